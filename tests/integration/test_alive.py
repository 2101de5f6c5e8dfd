"""What a shim's `alive` says of a machine that slept, whoever wrote in it."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from egg_tasks import config, database
from egg_tasks.clock import utcnow
from egg_tasks.runners import alive
from egg_tasks.runners.process import ProcessRunner
from egg_tasks.runners.run_directory import CONTAINER_LAYOUT
from egg_tasks.use_cases import ticking
from egg_tasks.use_cases.ticking import Ticker
from models.errors import Unavailable
from models.queries import clock
from models.schemas.run import Launch
from models.schemas.silence import BEGINNING, Silence

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STOPPED_SECONDS = 11


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[ProcessRunner]:
    runner = ProcessRunner(tmp_path / "runs")
    yield runner
    for run_id in runner.list_live():
        runner.kill(run_id)


def write(directory: Path, text: str, *, at: datetime = NOW) -> None:
    """Leave an `alive` that was last touched then."""
    (directory / "alive").write_text(text)
    os.utime(directory / "alive", (at.timestamp(), at.timestamp()))


def test_a_shim_that_was_stopped_tells_when_and_that_it_goes_on(runner: ProcessRunner) -> None:
    run = Launch(run_id=uuid4(), argv=("sleep", "60"), environment={"PATH": "/bin:/usr/bin"}, directory="/")
    began = utcnow()
    runner.ensure(run)
    directory = runner.own(run.run_id)
    while len(alive.read(directory, now=utcnow())) < 2:
        time.sleep(0.05)
    shim = int((directory / "shim.lock").read_text().split()[0])
    os.kill(shim, signal.SIGSTOP)
    time.sleep(STOPPED_SECONDS)
    os.kill(shim, signal.SIGCONT)
    while len(alive.read(directory, now=utcnow())) < 3:
        time.sleep(0.05)

    ((unborn, stopped, since),) = runner.list_silences(since=began)
    assert unborn.began_at == BEGINNING
    assert began <= unborn.ended_at <= utcnow()
    assert stopped.length >= timedelta(seconds=STOPPED_SECONDS)
    assert since.length < timedelta(seconds=STOPPED_SECONDS)
    assert runner.list_silences(since=utcnow()) == []


def test_lines_are_silences_and_the_last_one_goes_on(tmp_path: Path) -> None:
    write(tmp_path, "0.000 1000.000\n2000.500 3000.000\n", at=NOW - timedelta(seconds=7))

    moment = datetime(1970, 1, 1, tzinfo=UTC)
    assert alive.read(tmp_path, now=NOW) == (
        Silence(BEGINNING, moment + timedelta(seconds=1000)),
        Silence(moment + timedelta(seconds=2000.5), moment + timedelta(seconds=3000)),
        Silence(NOW - timedelta(seconds=7), NOW),
    )


def nothing(_path: Path) -> None:
    """Leave no file."""


def from_the_future(path: Path) -> None:
    path.touch()
    os.utime(path, (NOW.timestamp() + 60, NOW.timestamp() + 60))


@pytest.mark.parametrize(
    "leave",
    [
        nothing,
        from_the_future,
        Path.mkdir,
        os.mkfifo,
        lambda path: path.symlink_to("/etc/hostname"),
        lambda path: path.write_text("at noon\n"),
        lambda path: path.write_text("1.0\n"),
        lambda path: path.write_text("nan inf\n"),
        lambda path: path.write_text("1e300 2e300\n"),
        lambda path: path.write_text("1 2 3\n"),
        lambda path: path.write_bytes(b"\xff\xfe\n"),
        lambda path: path.write_text("1.0 2.0\n" * 10_000),
    ],
)
def test_what_no_shim_wrote_says_nothing(tmp_path: Path, leave: Callable[[Path], object]) -> None:
    leave(tmp_path / "alive")
    if leave is not from_the_future and (tmp_path / "alive").is_file():
        os.utime(tmp_path / "alive", (NOW.timestamp(), NOW.timestamp()), follow_symlinks=False)

    assert alive.read(tmp_path, now=NOW) == ()


@pytest.mark.usefixtures("scene")
def test_an_agent_that_says_it_slept_stops_no_clock(runner: ProcessRunner) -> None:
    ticker = Ticker([runner], now=NOW)
    directory = runner.own(uuid4())
    directory.mkdir(parents=True)
    for name in ("started", "spec.json"):
        (directory / name).touch()
    write(directory, f"0 {NOW.timestamp() + 3600}\n", at=NOW + timedelta(seconds=8))
    for seconds in (0, 8, 16):
        ticker.tick(now=NOW + timedelta(seconds=seconds))

    assert last_tick() == NOW + timedelta(seconds=16)


@pytest.mark.usefixtures("scene")
def test_an_agent_in_a_container_that_ticked_says_that_the_machine_did_not_sleep() -> None:
    ticking.begun(now=NOW).tick(now=NOW)
    own = config.settings().home / "shims" / str(uuid4())
    (own / "box" / "word").mkdir(parents=True)
    (own / "started").touch()
    (own / "spec.json").write_text(json.dumps({"layout": CONTAINER_LAYOUT, "word": "word"}))
    later = NOW + timedelta(hours=1)
    write(own / "box" / "word", f"0 {NOW.timestamp() - 60}\n", at=later)

    ticker = ticking.begun(now=later)
    ticker.tick(now=later)

    assert ticker.slept == timedelta(0)
    assert last_tick() == later


def last_tick() -> datetime | None:
    """When something last ticked, as the row says."""
    with database.unit_of_work() as session:
        return clock.find_tick(session)


@pytest.mark.usefixtures("scene")
def test_time_without_the_database_is_no_silence(
    runner: ProcessRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticker = Ticker([runner], now=NOW)
    ticker.tick(now=NOW)
    reached = config.settings().database_url
    point_at(monkeypatch, "postgresql://nobody@127.0.0.1:1/none")
    for seconds in (8, 16, 24):
        with pytest.raises(Unavailable):
            ticker.tick(now=NOW + timedelta(seconds=seconds))
    point_at(monkeypatch, reached.replace("+psycopg", ""))

    assert ticker.slept == timedelta(0)
    ticker.tick(now=NOW + timedelta(seconds=32))
    assert ticker.slept == timedelta(0)
    ticker.tick(now=NOW + timedelta(seconds=132))
    assert ticker.slept == timedelta(seconds=100)
    assert last_tick() == NOW + timedelta(seconds=132)


@pytest.mark.usefixtures("scene")
def test_who_has_only_just_begun_knows_nothing_of_the_time_before(runner: ProcessRunner) -> None:
    Ticker([runner], now=NOW).tick(now=NOW)
    after = NOW + timedelta(hours=8)
    ticker = Ticker([runner], now=after)
    with capture_logs() as told:
        ticker.tick(now=after)
        ticker.tick(now=after + timedelta(hours=1))

    assert ticker.slept == timedelta(hours=9)
    assert [each["event"] for each in told] == ["stack.was_down", "machine.slept"]


def point_at(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Have this process use another database."""
    database.engine().dispose()
    monkeypatch.setenv("EGG_DATABASE_URL", url)
    config.settings.cache_clear()
