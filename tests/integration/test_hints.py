"""Hints are heard again after anything that anybody may publish."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from egg_tasks import config, wakeups

ODD = [b"\xff\xfe", b"", b"\n\n\n", b"\x00" * 100_000, b"a\nb\xff\nc", "ä\u2028\nö".encode()]


async def heard_after_all(url: str) -> list[str | None]:
    """What is heard when odd things, and then a hint, are published by somebody else."""
    found: list[str | None] = []
    task = asyncio.create_task(wakeups.listen(found.append))
    with Redis.from_url(url) as others:
        await until(lambda: None in found)
        for payload in (*ODD, b"somebody\nshop coder"):
            others.publish(wakeups.CHANNEL, payload)
    await until(lambda: "shop coder" in found)
    task.cancel()
    return found


async def until(truth: Callable[[], bool]) -> None:
    """Poll until it holds."""
    deadline = asyncio.get_running_loop().time() + 20
    while not truth():
        assert asyncio.get_running_loop().time() < deadline, "it never came true"
        await asyncio.sleep(0.05)


def test_a_hint_is_heard_after_what_is_no_hint(
    redis_url: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGG_REDIS_URL", redis_url)
    monkeypatch.setenv("EGG_DATABASE_URL", database_url)
    monkeypatch.setenv("EGG_HOME", str(tmp_path))
    config.settings.cache_clear()

    found = asyncio.run(heard_after_all(redis_url))
    config.settings.cache_clear()

    assert found.count(None) == 1
