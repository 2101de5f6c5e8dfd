"""Receivers that mean harm, or are broken: a notice costs its own time limit and no memory, ever."""

import gc
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from egg_tasks import logging, webhook
from egg_tasks.clock import utcnow
from egg_tasks.config import Webhook
from egg_tasks.outbox import Notice
from egg_tasks.use_cases import telling
from egg_tasks.use_cases.telling import Tellers

SECRET = "sixteen characters and more"
OK = b"HTTP/1.1 200 OK\r\n"


def a_byte_now_and_then(door: socket.socket) -> None:
    door.sendall(OK)
    while True:
        door.sendall(b"X-")
        time.sleep(0.1)
        door.sendall(b"A: b\r\n")


def nothing(door: socket.socket) -> None:
    while door.recv(65536):
        pass


def interim_answers_for_ever(door: socket.socket) -> None:
    while True:
        door.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def headers_without_end(door: socket.socket) -> None:
    door.sendall(OK)
    while True:
        door.sendall(b"X-Header: value\r\n" * 1000)


def garbage(door: socket.socket) -> None:
    door.sendall(b"\xff\x00 HTTP 2 00 \r\n" * 10_000)


def a_body_without_end(door: socket.socket) -> None:
    door.sendall(OK + b"Content-Length: 1500000000\r\n\r\n")
    while True:
        door.sendall(bytes(1 << 20))


def a_redirect(door: socket.socket) -> None:
    door.sendall(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n")


@contextmanager
def receiver(manner: Callable[[socket.socket], None]) -> Iterator[Webhook]:
    """A receiver that treats each who comes in its manner."""

    def serve(door: socket.socket) -> None:
        with suppress(OSError), door:
            door.recv(65536)
            manner(door)

    def serve_all() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve_all, daemon=True).start()
        yield Webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/", SECRET)
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("manner", "said"),
    [
        (a_byte_now_and_then, "no answer within 1 s"),
        (nothing, "no answer within 1 s"),
        (interim_answers_for_ever, "no answer within 1 s"),
        (headers_without_end, "RemoteProtocolError"),
        (garbage, "RemoteProtocolError"),
        (a_redirect, "HTTP 302"),
        (a_body_without_end, None),
    ],
)
def test_a_receiver_costs_its_time_limit_at_most_and_no_memory(
    manner: Callable[[socket.socket], None], said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "SECONDS", 1.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with receiver(manner) as hook:
        why = webhook.tell(hook, {"question": "?"}, message_id="1", now=utcnow())

    assert why == said
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


# asyncio leaves a handshake that is given up to be closed with its memory.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_handshake_without_end_costs_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "SECONDS", 1.0)

    with receiver(nothing) as hook:
        secure = Webhook(hook.url.replace("http:", "https:"), SECRET)
        why = webhook.tell(secure, {"question": "?"}, message_id="1", now=utcnow())

    gc.collect()
    assert why == "no answer within 1 s"


def test_slow_notices_hold_up_nobody_and_are_not_taken_twice() -> None:
    told, gate = [], threading.Event()

    def slow(attempt: Notice) -> None:
        gate.wait(30)
        told.append(attempt.decision_id)

    tellers = Tellers(slow)

    taken = [tellers.take(Notice(number % 500, 1)) for number in range(1000)]
    waiting = len(told)
    gate.set()

    assert waiting == 0
    assert telling.MOST_WAITING <= sum(taken) <= telling.MOST_WAITING + telling.TELLING
    deadline = time.monotonic() + 30
    while len(told) < sum(taken):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(set(told)) == len(told)


def test_a_notice_that_fails_keeps_the_next_one_from_nothing() -> None:
    logging.configure()
    told = threading.Event()

    def failing(attempt: Notice) -> None:
        if attempt.decision_id <= telling.TELLING:
            raise RuntimeError("a bug")
        told.set()

    tellers = Tellers(failing)

    for number in range(1, telling.TELLING + 2):
        tellers.take(Notice(number, 1))

    assert told.wait(30)
