"""Who has received and handled what, and what becomes of messages nobody will handle."""

from sqlalchemy import select

from egg_tasks.services.bus import polls, receipts
from egg_tasks.services.bus.polls import PollPage, Selection
from egg_tasks.services.people import decisions
from models.schemas.history import Receipt
from models.schemas.message import MessageType
from models.schemas.run import Exit
from models.tables import Event, Message, MessageStream
from tests.integration.world import World, definition

CODER: dict[str, object] = {"role": "coder"}
TESTER: dict[str, object] = {"role": "tester"}


def begin(world: World, *roles: dict[str, object]) -> None:
    """Start a phase whose coder and tester run."""
    world.begin(definition(*(roles or (CODER, TESTER))))
    for role in ("coder", "tester"):
        world.start(role)


def receive(world: World, role: str, key: str | None = None, **more: object) -> PollPage:
    """Poll as the role's agent."""
    selection = Selection(poll_key=key, **more)  # type: ignore[arg-type]
    with world.work() as session:
        found = polls.receive(session, run_id=world.live(role).id, selection=selection)
        world.finish(session)
    return found.page


def receipt(world: World, role: str) -> Receipt:
    """How far the role is."""
    with world.work() as session:
        return receipts.messages_read(session, pipeline_id="p").receipts[role]


def ids(page: PollPage) -> list[int]:
    """The ids on a page."""
    return [message.id for message in page.messages]


def sent_to(world: World, role: str) -> list[Message]:
    """All that was ever sent to a role alone."""
    with world.work() as session:
        query = select(Message).where(Message.to_role == role).order_by(Message.id)
        return list(session.scalars(query))


def events(world: World, kind: str) -> list[Event]:
    """The events of a kind."""
    with world.work() as session:
        return list(session.scalars(select(Event).where(Event.type == kind).order_by(Event.id)))


def test_a_message_to_all_is_for_every_role_but_its_sender(world: World) -> None:
    begin(world)

    world.send("coder", "all", MessageType.PROGRESS)

    assert (receipt(world, "tester").unread, receipt(world, "coder").unread) == (1, 0)


def test_a_message_is_sent_then_delivered_then_handled(world: World) -> None:
    begin(world)
    world.send("coder", "tester", MessageType.PROGRESS)
    sent = receipt(world, "tester")
    receive(world, "tester")
    delivered = receipt(world, "tester")

    world.ready("tester")
    world.end("tester")

    assert (sent.unread, sent.delivered, sent.handled) == (1, 0, 0)
    assert (delivered.unread, delivered.unhandled, delivered.delivered, delivered.handled) == (0, 1, 1, 0)
    assert (receipt(world, "tester").unhandled, receipt(world, "tester").handled) == (0, 1)


def test_what_was_delivered_to_a_run_that_died_is_delivered_again(world: World) -> None:
    begin(world)
    world.send("coder", "tester", MessageType.PROGRESS)
    receive(world, "tester")

    world.end("tester", Exit())
    world.wait_out()
    brief = world.start("tester")

    assert brief is not None
    assert [message.id for message in brief.messages] == [1]


def test_a_poll_repeated_with_its_key_gives_the_same_messages(world: World) -> None:
    begin(world)
    world.send("coder", "tester", MessageType.PROGRESS)
    first = receive(world, "tester", "k1")
    world.send("coder", "tester", MessageType.PROGRESS)

    again = receive(world, "tester", "k1")

    assert (ids(first), ids(again), ids(receive(world, "tester", "k2"))) == ([1], [1, 2], [])


def test_a_repeated_poll_that_found_nothing_finds_what_came_since(world: World) -> None:
    begin(world)
    receive(world, "tester", "k1")
    world.send("coder", "tester", MessageType.PROGRESS)

    assert ids(receive(world, "tester", "k1")) == [1]


def test_a_poll_by_type_takes_nothing_away(world: World) -> None:
    begin(world)
    world.send("coder", "tester", MessageType.PROGRESS)
    world.send("coder", "tester", MessageType.STATUS)

    page = receive(world, "tester", types=[MessageType.STATUS])

    assert (ids(page), ids(receive(world, "tester"))) == ([2], [1, 2])


def test_a_poll_with_a_cursor_of_its_own_marks_delivery_only_without_a_gap(world: World) -> None:
    begin(world)
    for _ in range(3):
        world.send("coder", "tester", MessageType.PROGRESS)

    receive(world, "tester", since=1)
    with_a_gap = receipt(world, "tester").delivered
    receive(world, "tester", since=0, limit=2)

    assert (with_a_gap, receipt(world, "tester").delivered) == (0, 2)


def test_a_role_that_writes_much_itself_does_not_read_it_at_every_poll(world: World) -> None:
    begin(world)
    with world.work() as session:
        session.add_all(world_message(world, number) for number in range(1, polls.LEAP + 3))
        world.finish(session)
    raise_counter(world, polls.LEAP + 2)

    page = receive(world, "coder")

    assert (ids(page), receipt(world, "coder").delivered) == ([], polls.LEAP + 2)


def test_a_new_phase_run_does_not_read_what_came_before_it(world: World) -> None:
    document = definition(CODER)
    phases = document["phases"]
    assert isinstance(phases, list)
    phases.append({**phases[0], "name": "ship"})
    world.begin(document)
    world.start("coder")
    world.send("human", "all", MessageType.DIRECTIVE)
    world.ready("coder")
    world.merge("coder", 1)
    world.end("coder")

    brief = world.start("coder")

    assert world.phase_run().phase == "ship"
    assert brief is not None
    assert brief.messages == ()
    assert receipt(world, "coder").unread == 0


def test_senders_to_a_role_a_person_does_without_are_told(world: World) -> None:
    begin(world)
    question = world.send("coder", "tester", MessageType.QUESTION)
    world.end("tester", Exit(exit_code=3))
    with world.work() as session:
        decisions.resolve(
            session, decision_id=world.decisions()[0].id, resolution="Continue without", now=world.now
        )
        world.finish(session)

    told = sent_to(world, "coder")

    assert [(row.message_type, row.from_role, row.in_reply_to) for row in told] == [
        ("STATUS", "orchestrator", question)
    ]
    assert told[0].subject == "never read by tester: QUESTION"


def test_senders_to_an_advisory_role_that_is_dropped_are_told_once(world: World) -> None:
    begin(world, CODER, {**TESTER, "required": False, "on_failure": "continue"})
    numbers = [world.send("coder", "tester", MessageType.PROGRESS) for _ in range(2)]

    world.end("tester", Exit(exit_code=3))

    told = sent_to(world, "coder")
    assert [row.metadata_["message_ids"] for row in told] == [numbers]
    assert receipt(world, "tester").dropped


def test_the_end_of_a_phase_lists_what_was_never_handled(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    world.ready("coder")
    world.merge("coder", 1)
    left = world.send("human", "coder", MessageType.DIRECTIVE)

    world.end("coder")

    (event,) = events(world, "phase.completed")
    assert event.details["unhandled"] == {"coder": [left]}
    assert event.text.endswith(f"; never handled: coder {left}")


def test_an_event_says_which_message_was_sent(world: World) -> None:
    begin(world)
    world.send("coder", "tester", MessageType.PROGRESS)
    world.end("tester", Exit(exit_code=3))

    told = events(world, "message.sent")

    assert [(event.details["message_id"], event.role) for event in told] == [
        (1, "coder"),
        (2, "orchestrator"),
    ]


def world_message(world: World, number: int) -> Message:
    """A message of the coder's as it is stored."""
    phase_run = world.phase_run()
    return Message(
        pipeline_id="p",
        id=number,
        phase_run_id=phase_run.id,
        phase=phase_run.phase,
        iteration=1,
        from_role="coder",
        to_role="all",
        message_type="PROGRESS",
        metadata_={},
        created_at=world.now,
    )


def raise_counter(world: World, number: int) -> None:
    """Have the stream go on after so many messages."""
    with world.work() as session:
        stream = session.get_one(MessageStream, "p")
        stream.last_message_id = number
        session.commit()
