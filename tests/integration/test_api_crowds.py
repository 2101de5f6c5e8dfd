"""The API as a process of its own while one caller takes what it can: the others go on."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path

import pytest

from egg_tasks.api.connections import GRACE_SECONDS
from tests.integration.api_scene import NAME, OPERATOR, Scene, connect, forget, head, status, until

P = f"/pipelines/{NAME}"
SEND = {"message_type": "PROGRESS", "subject": "half way"}
MANY_KEYS = json.dumps({"signal_type": "heartbeat"} | {f"k{number}": 1 for number in range(80_000)}).encode()


@contextmanager
def process(home: Path, *, most_open: int | None = None) -> Iterator[Scene]:
    """Run the API as the stack does, over a pipeline whose agents are played; with so few descriptors."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = (sys.executable, "-c", "from egg_tasks.entry import main; main()", "api", "--port", str(port))

    def narrow() -> None:
        if most_open:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most_open, most_open))

    with (home / "api.log").open("wb") as log:
        server = subprocess.Popen(
            words,
            stdout=log,
            stderr=log,
            preexec_fn=narrow,  # noqa: PLW1509
        )
    scene = Scene(port, home)
    try:
        until(lambda: is_answered(scene), "the API answers")
        scene.start()
        yield scene
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()


@pytest.fixture
def environment(
    database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """What the API finds, and the test that plays its agents."""
    monkeypatch.setenv("EGG_DATABASE_URL", database_url)
    monkeypatch.setenv("EGG_REDIS_URL", redis_url)
    monkeypatch.setenv("EGG_HOME", str(tmp_path))
    monkeypatch.setenv("EGG_OPERATOR_TOKEN", OPERATOR)
    forget()
    yield tmp_path
    forget()


@pytest.fixture
def shop(environment: Path) -> Iterator[Scene]:
    """The API with what the test's process may open."""
    with process(environment) as scene:
        yield scene


def is_answered(scene: Scene) -> bool:
    """Whether anybody answers."""
    try:
        return scene.ask("GET", "/health", who=None).status == 200
    except (OSError, HTTPException):
        return False


@contextmanager
def idle(scene: Scene, count: int) -> Iterator[Sequence[socket.socket]]:
    """So many connections without a word, as far as they can be had."""
    with ExitStack() as stack:
        yield [stack.enter_context(connect(scene)) for _ in range(count)]


def test_others_are_answered_while_one_sends_bodies_of_eighty_thousand_unknown_keys(shop: Scene) -> None:
    with ThreadPoolExecutor(4) as pool:
        sent = [
            pool.submit(shop.ask, "POST", f"{P}/{where}", raw=MANY_KEYS, who="coder")
            for where in ("signal", "messages", "results", "decisions")
        ]
        others = [shop.ask("POST", f"{P}/messages", SEND, who="tester").status for _ in range(20)]
        answers = [each.result() for each in sent]

    assert others == [201] * 20
    assert {answer.status for answer in answers} == {413}
    assert all(len(str(answer.body)) < 1000 for answer in answers)


def test_eleven_hundred_idle_connections_leave_the_api_reachable_and_its_log_short(environment: Path) -> None:
    with process(environment, most_open=1024) as shop, idle(shop, 1100):
        # All are in when one behind them is answered; a second later none of them has just come.
        shop.ask("GET", "/ready", who=None)
        time.sleep(GRACE_SECONDS)
        answers = Counter(shop.ask("POST", f"{P}/messages", SEND, who="coder").status for _ in range(20))

        assert answers == {201: 20}
        assert shop.ask("GET", "/ready", who=None).status == 200
        assert (environment / "api.log").stat().st_size < 20_000


def test_few_descriptors_are_503_in_words_and_never_500(environment: Path) -> None:
    with process(environment, most_open=256) as shop, idle(shop, 400), ThreadPoolExecutor(40) as pool:
        # An operator alone may have so many requests under way.
        said = [pool.submit(tried, shop, "GET", f"{P}/{what}") for what in ("status", "why", "phases") * 60]
        shop.commit("coder", "work.txt")
        verdict = tried(shop, "POST", f"{P}/signal", {"signal_type": "readiness", "state": "READY"}, "coder")
        answers = Counter(each.result() for each in said)

        assert set(answers) <= {200, 503}
        assert verdict in {200, 503}
        until(lambda: tried(shop, "GET", f"{P}/status") == 200, "it is served again")


def tried(scene: Scene, method: str, path: str, body: object = None, who: str = "operator") -> int:
    """The status, of an answer in words."""
    answer = scene.ask(method, path, body, who=who)
    assert answer.body["message"]
    return answer.status


def test_requests_of_one_credential_that_never_end_leave_room_for_others(shop: Scene) -> None:
    said = head(shop, "POST", f"{P}/messages", "coder", "Content-Length: 100") + b"{"
    with ExitStack() as stack:
        unended = [stack.enter_context(connect(shop, said)) for _ in range(60)]
        # Those that are one too many are answered at once.
        refused = [each for each in unended[32:] if status(each) == 429]

        assert len(refused) == 28
        assert shop.ask("POST", f"{P}/messages", SEND, who="tester").status == 201


def test_long_polls_of_one_credential_are_bounded_and_others_may_still_wait(shop: Scene) -> None:
    asking = head(shop, "GET", f"{P}/messages?wait=60", "coder")
    with ExitStack() as stack:
        polls = [stack.enter_context(connect(shop, asking)) for _ in range(30)]
        for each in polls:
            each.settimeout(3)
        answers = Counter(map(answered, polls))

        assert answers == {429: 26, None: 4}
        assert shop.ask("GET", f"{P}/messages?wait=1", who="tester").status == 200
        assert shop.ask("POST", f"{P}/messages", SEND, who="coder").status == 201


def answered(connection: socket.socket) -> int | None:
    """The status; None while it waits."""
    try:
        return status(connection)
    except TimeoutError:
        return None


def test_random_credentials_share_one_bucket_and_take_nothing_from_known_ones(shop: Scene) -> None:
    with ThreadPoolExecutor(20) as pool:
        statuses = [
            pool.submit(shop.ask, "GET", f"{P}/messages", who=os.urandom(16).hex()) for _ in range(1500)
        ]
        known = Counter(shop.ask("POST", f"{P}/messages", SEND, who="coder").status for _ in range(50))
        answers = Counter(each.result().status for each in statuses)

    assert known == {201: 50}
    assert set(answers) == {401, 429}
