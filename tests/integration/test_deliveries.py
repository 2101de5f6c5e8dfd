"""What is new is read once for all who wait, and each is given just what it would have read alone."""

from collections.abc import Sequence

import pytest

from egg_tasks.services.bus import polls
from egg_tasks.services.bus.polls import Received, Selection, WaitingPoll
from models.schemas.message import MessageType
from models.tables import Role
from tests.integration.world import World, definition

WORKERS = ("coder", "tester", "reviewer")
ROSTER: tuple[dict[str, object], ...] = tuple({"role": role} for role in WORKERS)


@pytest.fixture
def busy(world: World) -> World:
    """A phase of three roles that run."""
    world.begin(definition(*ROSTER))
    for role in WORKERS:
        world.start(role)
    return world


def wait(world: World, role: str, **selection: object) -> WaitingPoll:
    """Read as the role's agent until there is nothing more, and wait."""
    chosen = Selection(**selection)  # type: ignore[arg-type]
    with world.work() as session:
        found = polls.receive(session, run_id=world.live(role).id, selection=chosen)
        world.finish(session)
    assert not found.page.messages
    return WaitingPoll(found.reader, chosen, found.page.tip)


def deliver(world: World, waiting: Sequence[WaitingPoll]) -> dict[str, Received]:
    """Give those who wait what is new, by role."""
    with world.work() as session:
        found = polls.find_for(session, waiting=waiting)
        assert found is not None
        given = polls.deliver(session, waiting=waiting, found=found)
        world.finish(session)
    roles = {each.reader.run_id: each.reader.role for each in waiting}
    return {roles[run_id]: received for run_id, received in given.items()}


def ids(received: Received) -> list[int]:
    """The ids on a page."""
    return [message.id for message in received.page.messages]


def cursor(world: World, role: str) -> int:
    """How far the role has read."""
    with world.work() as session:
        row = session.get(Role, (world.phase_run().id, role))
        assert row is not None
        return row.cursor


def test_a_broadcast_is_given_to_all_who_wait_but_its_sender(busy: World) -> None:
    waiting = [wait(busy, role) for role in WORKERS]
    busy.send("coder", "all", MessageType.PROGRESS)

    given = deliver(busy, waiting)

    assert {role: ids(received) for role, received in given.items()} == {
        "coder": [],
        "tester": [1],
        "reviewer": [1],
    }
    assert [cursor(busy, role) for role in WORKERS] == [0, 1, 1]


def test_each_is_given_its_own_in_order_and_told_of_more(busy: World) -> None:
    waiting = [wait(busy, "tester", limit=2), wait(busy, "reviewer", types=(MessageType.STATUS,))]
    for message_type in (MessageType.PROGRESS, MessageType.STATUS, MessageType.PROGRESS):
        busy.send("coder", "all", message_type)
    busy.send("coder", "reviewer", MessageType.PROGRESS)

    given = deliver(busy, waiting)

    assert (ids(given["tester"]), given["tester"].page.has_more) == ([1, 2], True)
    assert (ids(given["reviewer"]), given["reviewer"].page.has_more) == ([2], False)
    assert (cursor(busy, "tester"), cursor(busy, "reviewer")) == (2, 0)


def test_who_has_read_elsewhere_meanwhile_is_to_read_alone(busy: World) -> None:
    waiting = [wait(busy, "tester"), wait(busy, "reviewer")]
    busy.send("coder", "all", MessageType.PROGRESS)
    with busy.work() as session:
        selection = Selection()
        polls.receive(session, run_id=busy.live("tester").id, selection=selection)
        busy.finish(session)

    assert set(deliver(busy, waiting)) == {"reviewer"}


def test_whose_run_is_over_is_given_nothing(busy: World) -> None:
    waiting = [wait(busy, "tester"), wait(busy, "reviewer")]
    busy.ready("tester")
    busy.end("tester")
    busy.send("coder", "all", MessageType.PROGRESS)

    assert set(deliver(busy, waiting)) == {"reviewer"}


def test_who_finds_nothing_and_is_over_is_to_hear_it_by_itself(busy: World) -> None:
    waiting = [wait(busy, "tester"), wait(busy, "reviewer")]
    busy.ready("tester")
    busy.end("tester")

    assert set(deliver(busy, waiting)) == {"reviewer"}


def test_what_another_transaction_holds_is_passed_over_and_not_waited_for(busy: World) -> None:
    waiting = [wait(busy, "tester"), wait(busy, "reviewer")]
    busy.send("coder", "all", MessageType.PROGRESS)

    with busy.work() as other:
        held = other.get(Role, (busy.phase_run().id, "tester"), with_for_update={"key_share": True})
        given = deliver(busy, waiting)

    assert held is not None
    assert set(given) == {"reviewer"}


def test_too_much_for_one_reading_is_left_to_each(busy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polls, "SHARED", 2)
    waiting = [wait(busy, "tester")]
    for _ in range(3):
        busy.send("coder", "all", MessageType.PROGRESS)

    with busy.work() as session:
        found = polls.find_for(session, waiting=waiting)

    assert found is None


def test_so_is_what_is_too_long_for_one(busy: World) -> None:
    waiting = [wait(busy, "tester")]
    for _ in range(polls.PAGE_BYTES // 65536 + 1):
        busy.send("coder", "all", MessageType.PROGRESS, body="x" * 65536)

    with busy.work() as session:
        found = polls.find_for(session, waiting=waiting)

    assert found is None
