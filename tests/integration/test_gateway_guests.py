"""Places at the gateway: each container has its part of them, each agent run its own, and no more."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from egg_tasks import descriptors
from egg_tasks.gateway import guests
from egg_tasks.gateway.guests import STRANGER, Guest, Guests, container_in
from models.errors import TooMany
from tests.integration.api_scene import Scene
from tests.integration.gateway_scene import gateway
from tests.integration.test_api_credentials import P

ONE, OTHER = "1f" * 32, "2e" * 32
VISITOR = """
import socket, sys
with socket.socket(socket.AF_UNIX) as near:
    near.connect(sys.argv[1])
    near.recv(1)
"""


@contextmanager
def visitors(path: Path, number: int) -> Iterator[list[socket.socket]]:
    """Connections to us by so many processes."""
    with socket.socket(socket.AF_UNIX) as door, ExitStack() as at_end:
        door.bind(str(path))
        door.listen(number)
        for _ in range(number):
            process = subprocess.Popen([sys.executable, "-c", VISITOR, str(path)])
            at_end.callback(process.wait, 20)
        yield [at_end.enter_context(door.accept()[0]) for _ in range(number)]


def guest(room: Guests, at_end: ExitStack, out: list[int]) -> Guest:
    """A connection by the port that there is room for; *out* tells when it is shown out."""
    found = at_end.enter_context(
        room.entered(at_end.enter_context(socket.socket()), lambda: out.append(len(out)))
    )
    assert found is not None
    return found


def test_processes_of_one_container_share_one_part_however_many_they_are(tmp_path: Path) -> None:
    room = Guests(most=8)

    with visitors(tmp_path / "door", 4) as connections, ExitStack() as at_end:
        rooms = [at_end.enter_context(room.entered(each, each.close)) is not None for each in connections]

    assert rooms == [True, True, False, False]


@pytest.mark.parametrize(
    ("groups", "container"),
    [
        (f"0::/system.slice/docker-{ONE}.scope\n", ONE),
        (f"0::/../docker-{ONE}.scope/below\n", ONE),
        (f"12:memory:/docker/{ONE}\n0::/docker/{ONE}\n", ONE),
        (f"9:name=systemd:/docker/{ONE}/docker/{OTHER}\n", OTHER),
        ("0::/user.slice/user-1000.slice\n", "0::/user.slice/user-1000.slice\n"),
    ],
)
def test_a_container_is_known_by_its_group_whatever_the_kernel_calls_that(
    groups: str, container: str
) -> None:
    assert container_in(groups) == container


def test_who_is_gone_when_it_is_looked_at_is_a_stranger(tmp_path: Path) -> None:
    room = Guests(most=4)
    with socket.socket(socket.AF_UNIX) as door, ExitStack() as at_end:
        door.bind(str(tmp_path / "door"))
        door.listen()
        script = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
        subprocess.run([sys.executable, "-c", script, str(tmp_path / "door")], check=True)
        gone = at_end.enter_context(door.accept()[0])
        at_end.enter_context(room.entered(gone, gone.close))

        assert dict(room.counts) == {STRANGER: 1}


def test_a_container_and_its_run_have_one_part_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guests, "CONTAINER", re.compile(r"[^\n]+"))
    room, run = Guests(most=8), uuid4()

    with visitors(tmp_path / "door", 4) as connections, ExitStack() as at_end:
        rooms = []
        for each in connections:
            found = at_end.enter_context(room.entered(each, each.close))
            rooms.append(found is not None)
            if found:
                found.is_of(run)

    assert rooms == [True, True, False, False]
    assert not room.counts
    assert not room.of_containers


def test_no_part_is_larger_than_what_memory_is_there_for() -> None:
    assert Guests(most=10**6).part == guests.MOST_IN_A_PART


def test_a_connection_counts_for_its_run_once_that_has_shown_its_token() -> None:
    room, run, other = Guests(most=8), uuid4(), uuid4()
    with ExitStack() as at_end:
        for _ in range(2):
            guest(room, at_end, []).is_of(run)
        third = guest(room, at_end, [])
        third.is_of(other)
        third.is_of(other)

        with pytest.raises(TooMany, match="this run has 2 connections to the gateway already"):
            third.is_of(run)

        assert dict(room.counts) == {str(run): 2, str(other): 1}
    assert not room.counts


def test_a_stranger_has_the_place_of_the_one_who_said_nothing_for_longest() -> None:
    room, run, out = Guests(most=8), uuid4(), [list[int]() for _ in range(5)]
    with ExitStack() as at_end:
        known = guest(room, at_end, out[0])
        known.is_of(run)
        strangers = [guest(room, at_end, each) for each in out[1:]]
        shown_out = [len(each) for each in out]
        strangers[0].is_of(run)

        assert shown_out == [0, 1, 1, 0, 0]
        assert dict(room.counts) == {str(run): 2, STRANGER: 2}
    assert not room.counts


def test_nobody_is_kept_out_by_those_who_say_nothing(shop: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guests, "PARTS", (descriptors.limit() - descriptors.KEPT_BACK) // 4)
    with gateway(shop.home, api_port=shop.port) as way, ExitStack() as at_end:
        silent = [
            at_end.enter_context(socket.create_connection(("127.0.0.1", way.port), 20)) for _ in range(4)
        ]
        said = way.ask("GET", f"{P}/context", shop.tokens["coder"])[0]
        hung_up = silent[0].recv(1)

    assert (said, hung_up) == (200, b"")


def test_a_run_with_all_its_connections_is_told_so_and_another_is_served(
    shop: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guests, "PARTS", (descriptors.limit() - descriptors.KEPT_BACK) // 4)
    asked = "\r\n".join((f"GET /api/v1{P}/context HTTP/1.1", "Host: x", "Authorization: Bearer {}", "", ""))
    with gateway(shop.home, api_port=shop.port) as way, ExitStack() as at_end:
        statuses = []
        for who in ("coder", "coder", "coder", "tester"):
            near = at_end.enter_context(socket.create_connection(("127.0.0.1", way.port), 20))
            near.sendall(asked.format(shop.tokens[who]).encode())
            statuses.append(near.recv(65536).split(b" ", 2)[1])

    assert statuses == [b"200", b"200", b"429", b"200"]
