"""Sends that share a statement: each is numbered, refused and counted as if it were alone."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import text

from benchmarks.agents import Seat, seat
from egg_tasks.clock import utcnow
from egg_tasks.database import engine, single_statements, unit_of_work
from egg_tasks.services.agents import agent_runs
from egg_tasks.services.bus import messages
from egg_tasks.services.bus.messages import Draft, Outgoing
from models.schemas.message import MessageType
from models.schemas.run import Exit
from models.shares import MOST_QUOTA, ROW_BYTES, message_limit
from models.tables import Message
from tests import fakes
from tests.integration.api_scene import Answer, Scene

ROLES = ("ann", "bob", "cid")


@pytest.fixture
def seats(scene: Scene) -> dict[str, Seat]:
    """Two pipelines of three roles that live: `a-ann`, …"""
    del scene
    return {f"{name}-{each.role}": each for name in ("a", "b") for each in seat(f"pipeline-{name}", ROLES)}


def outgoing(one: Seat, **more: object) -> Outgoing:
    """A message of the agent in a seat."""
    query = text("SELECT id FROM egg.agent_runs WHERE pipeline_id = :pipeline_id AND role = :role")
    with engine().connect() as connection:
        run_id: UUID = connection.scalars(query, {"pipeline_id": one.pipeline_id, "role": one.role}).one()
    fields = {"message_type": MessageType.PROGRESS, "subject": one.role, **more}
    return Outgoing(run_id, one.role, Draft(**fields))  # type: ignore[arg-type]


def together(sent: Sequence[Outgoing]) -> list[int | None]:
    """Send all at once; the ids they got."""
    with single_statements() as session:
        found = messages.send_together(session, outgoing=sent, now=utcnow())
    return [message.id if message else None for message in found]


def ask(scene: Scene, one: Seat, **more: object) -> Answer:
    """Send a message through the API."""
    body = {"message_type": "PROGRESS", "subject": "news", **more}
    return scene.ask("POST", f"/pipelines/{one.pipeline_id}/messages", body, who=one.token)


def fetch(query: str) -> list[tuple[object, ...]]:
    """What is in the rows."""
    with engine().connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def change(statement: str) -> None:
    """Write to the rows what takes long to come to."""
    with engine().begin() as connection:
        connection.execute(text(statement))


def test_of_each_pipeline_the_ids_follow_each_other_in_the_order_of_the_group(
    seats: dict[str, Seat],
) -> None:
    order = ("b-cid", "a-ann", "a-cid", "b-ann", "a-bob")

    assert together([outgoing(seats[name]) for name in order]) == [1, 1, 2, 2, 3]
    assert together([outgoing(seats["a-ann"])]) == [4]
    assert fetch("SELECT from_role FROM egg.messages WHERE pipeline_id = 'pipeline-a' ORDER BY id") == [
        ("ann",),
        ("cid",),
        ("bob",),
        ("ann",),
    ]


def test_each_event_tells_of_its_message(seats: dict[str, Seat]) -> None:
    together([outgoing(seats[name]) for name in ("a-ann", "b-bob", "a-bob")])

    told = fetch(
        "SELECT events.role, messages.from_role FROM egg.events JOIN egg.messages"
        " ON messages.pipeline_id = events.pipeline_id AND messages.id = (details ->> 'message_id')::bigint"
        " WHERE type = 'message.sent' ORDER BY events.pipeline_id, events.id"
    )
    assert told == [("ann", "ann"), ("bob", "bob"), ("bob", "bob")]


@pytest.mark.parametrize(
    "fault",
    [{"to_role": "dan"}, {"in_reply_to": 99}, {"client_key": "used"}, {"body": "x" * 100_000}],
    ids=["recipient", "reply", "key", "size"],
)
def test_what_is_refused_is_refused_alone(
    scene: Scene, seats: dict[str, Seat], fault: dict[str, object]
) -> None:
    together([outgoing(seats["a-bob"], client_key="used")])
    group = [outgoing(seats["a-ann"]), outgoing(seats["a-bob"], **fault), outgoing(seats["a-cid"])]

    ids = together(group)
    if "body" in fault:  # the tables refuse it, and with it the group: each is sent alone then
        assert ids == [None, None, None]
        ids = [together([each])[0] for each in group]

    assert ids == [2, None, 3]
    assert ask(scene, seats["a-ann"]).data["message"]["id"] == 4


def test_a_run_that_is_over_is_fenced_alone(scene: Scene, seats: dict[str, Seat]) -> None:
    group = [outgoing(seats[name]) for name in ("a-ann", "a-bob", "b-ann")]
    with unit_of_work() as session:
        well = Exit(exit_code=0)
        agent_runs.settle(
            session,
            run_id=group[0].run_id,
            outcome=well,
            salvaged=None,
            report=fakes.report(well),
            now=utcnow(),
        )

    assert together(group) == [None, 1, 1]
    assert ask(scene, seats["a-ann"]).status == 409


def test_of_two_the_first_is_sent_where_the_quota_has_room_for_one(
    scene: Scene, seats: dict[str, Seat]
) -> None:
    room = ROW_BYTES + 100
    change(f"UPDATE egg.message_streams SET quota = stored_bytes + {room}")  # noqa: S608
    group = [outgoing(seats["a-ann"]), outgoing(seats["a-bob"]), outgoing(seats["b-bob"])]

    assert together(group) == [1, None, 1]
    assert ask(scene, seats["a-bob"]).status == 409
    assert fetch("SELECT stored_bytes FROM egg.message_streams") == [(ROW_BYTES + 3,)] * 2


def test_of_two_of_one_run_the_second_is_refused_where_its_share_has_room_for_one(
    scene: Scene, seats: dict[str, Seat]
) -> None:
    ask(scene, seats["a-ann"])
    most = message_limit(MOST_QUOTA).number
    change(f"UPDATE egg.run_shares SET number = {most - 1}")  # noqa: S608

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(scene, seats["a-ann"]).status, range(4)))

    assert sorted(answers) == [201, 409, 409, 409]


def test_of_many_with_one_key_at_once_one_is_sent(scene: Scene, seats: dict[str, Seat]) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(scene, seats["a-ann"], client_key="k"), range(12)))

    assert {(answer.status, answer.data["message"]["id"]) for answer in answers} == {(201, 1)}


def test_no_group_waits_for_a_run_that_somebody_has_locked(seats: dict[str, Seat]) -> None:
    group = [outgoing(seats["a-ann"]), outgoing(seats["a-bob"])]

    with engine().begin() as connection:
        connection.execute(text("SELECT FROM egg.agent_runs WHERE role = 'ann' FOR NO KEY UPDATE"))

        assert together(group) == [None, 1]


def test_a_stream_that_somebody_holds_keeps_only_its_own_senders_waiting(
    scene: Scene, seats: dict[str, Seat]
) -> None:
    with ThreadPoolExecutor(2) as pool:
        with engine().begin() as connection:
            query = "SELECT FROM egg.message_streams WHERE pipeline_id = 'pipeline-a' FOR UPDATE"
            connection.execute(text(query))
            held = [pool.submit(ask, scene, seats[f"a-{role}"]) for role in ("ann", "bob")]
            free = [ask(scene, seats["b-ann"]).data["message"]["id"] for _ in range(3)]
            is_held = not any(each.done() for each in held)
        ids = {each.result().data["message"]["id"] for each in held}

    assert (free, is_held, ids) == ([1, 2, 3], True, {1, 2})


def test_groups_in_any_order_never_wait_in_a_circle(seats: dict[str, Seat]) -> None:
    ways = [outgoing(each) for each in seats.values()]

    def send(group: Sequence[Outgoing]) -> list[Message | None]:
        with single_statements() as session:
            return messages.send_together(session, outgoing=group, now=utcnow())

    with ThreadPoolExecutor(4) as pool:
        for group in [ways, ways[::-1], ways[3:] + ways[:3], ways[::2] + ways[1::2]] * 15:
            pool.submit(send, group)

    for name in ("a", "b"):
        found = fetch(f"SELECT id FROM egg.messages WHERE pipeline_id = 'pipeline-{name}' ORDER BY id")  # noqa: S608
        assert found == [(number,) for number in range(1, len(found) + 1)]
        assert len(found) == 180
