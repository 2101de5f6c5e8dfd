"""A prompt holds so much and no more, what it leaves out comes by the cursor, and nothing is lost by that."""

import re

import pytest

from egg_tasks.prompts.prompt import render
from egg_tasks.services.agents import briefs
from egg_tasks.services.bus import polls
from egg_tasks.services.bus.polls import PollPage, Selection
from egg_tasks.services.engine.readiness_signals import Signal
from models import budgets
from models.schemas.brief import Brief
from models.schemas.message import MessageType
from models.states import Readiness
from tests.integration.world import World, definition

LONG = "x" * 64 * 1024
PROMPT_BYTES = 1024 * 1024
"""No prompt of a short task and a small roster has so much."""
BLOCKED = Signal(Readiness.BLOCKED)


@pytest.fixture
def crowded(world: World) -> World:
    """A tester to whom a coder has written thirty messages of 64 KiB before it runs."""
    world.begin(definition({"role": "coder"}, {"role": "tester", "needs": [{"role": "coder", "hard": True}]}))
    world.start("coder")
    for _ in range(30):
        world.send("coder", "tester", MessageType.QUESTION, body=LONG)
    world.ready("coder")
    world.merge("coder", 1)
    world.end("coder")
    return world


def given(brief: Brief | None) -> tuple[list[int], str]:
    """The ids of the messages in a brief, and its prompt."""
    assert brief is not None
    return [message.id for message in brief.messages], render(brief)


def poll(world: World, **more: object) -> PollPage:
    """Poll as the tester's agent."""
    with world.work() as session:
        selection = Selection(**more)  # type: ignore[arg-type]
        found = polls.receive(session, run_id=world.live("tester").id, selection=selection)
        world.finish(session)
    return found.page


def test_a_prompt_gives_the_oldest_messages_it_has_room_for_and_names_the_rest(crowded: World) -> None:
    ids, prompt = given(crowded.start("tester"))

    assert ids == [1, 2, 3]
    assert len(prompt.encode()) < budgets.MESSAGES + 16 * budgets.KIB
    assert "27 more messages (ids 4 to 30) were not put here: `egg message poll --since 3`.\n" in prompt


def test_only_what_was_in_the_prompt_is_delivered_and_polls_give_the_rest_once(crowded: World) -> None:
    crowded.start("tester")
    assert crowded.role("tester").cursor == 3

    pages = [poll(crowded, since=3)]
    while pages[-1].has_more:
        pages.append(poll(crowded))

    assert [message.id for page in pages for message in page.messages] == [*range(4, 31)]
    assert all(len(page.messages) <= polls.PAGE_BYTES // len(LONG) + 1 for page in pages)
    assert poll(crowded).messages == ()


def test_a_message_that_wakes_still_does_if_no_prompt_had_room_for_it(crowded: World) -> None:
    crowded.start("tester")
    crowded.say("tester", BLOCKED)

    crowded.end("tester")

    assert crowded.role("tester").handled_message == 3
    ids, prompt = given(crowded.start("tester"))
    assert ids == [4, 5, 6]
    assert "message 30 is addressed to you" in prompt


def test_a_role_that_has_polled_the_rest_is_not_woken_for_it(crowded: World) -> None:
    crowded.start("tester")
    while poll(crowded).has_more:
        pass
    crowded.say("tester", BLOCKED)

    crowded.end("tester")

    assert crowded.roles_live() == set()


def test_nobody_is_woken_by_their_own_words(world: World) -> None:
    world.begin(definition({"role": "coder"}))
    world.start("coder")
    world.send("coder", "coder", MessageType.QUESTION)
    world.say("coder", BLOCKED)

    world.end("coder")

    assert world.roles_live() == set()


def test_what_a_run_knows_when_it_asks_has_the_same_bounds(crowded: World) -> None:
    crowded.start("tester")

    with crowded.work() as session:
        brief = briefs.write(session, run=crowded.live("tester"))

    assert len(brief.model_dump_json()) < PROMPT_BYTES


@pytest.mark.parametrize("body", ["\n" * 65536, "\x1b" * 65536, "\u202e" * 20000, "\U000e0001" * 16000])
def test_what_grows_when_it_is_quoted_and_escaped_is_counted_as_it_is_shown(world: World, body: str) -> None:
    world.begin(definition({"role": "coder"}, {"role": "tester"}))
    for _ in range(4):
        world.send("coder", "tester", MessageType.STATUS, body=body)

    ids, prompt = given(world.start("tester"))

    assert ids == [1]
    assert "3 more messages (ids 2 to 4)" in prompt


def test_a_message_that_is_longer_than_its_part_is_given_all_the_same(world: World) -> None:
    world.begin(definition({"role": "coder"}, {"role": "tester"}))
    world.send("coder", "tester", MessageType.QUESTION, body="\n" * 65536)

    ids, prompt = given(world.start("tester"))

    assert ids == [1]
    assert "not put here" not in prompt


def test_objections_are_all_handed_over_each_cut_to_its_share(world: World) -> None:
    reviewers = [f"reviewer{number}" for number in range(3)]
    roster: list[dict[str, object]] = [{"role": name, "reviews": ["coder"]} for name in reviewers]
    world.begin(definition({"role": "coder"}, *roster))
    for role in ("coder", *reviewers):
        world.start(role)
    world.ready("coder")
    world.merge("coder", 1)
    world.end("coder")
    for name in reviewers:
        with_reason = Signal(Readiness.OBJECTING, about="coder", reason="no\n" * 20000)
        world.say(name, with_reason, coder=1)

    _, prompt = given(world.start("coder"))

    assert len(re.findall(r"^- objection \d \(open, round 1\)", prompt, re.MULTILINE)) == len(reviewers)
    assert len(prompt.encode()) < budgets.OBJECTIONS + 32 * budgets.KIB


def test_conflicting_paths_are_named_as_far_as_there_is_room(world: World) -> None:
    world.begin(definition({"role": "coder"}))
    world.start("coder")
    world.ready("coder")
    world.merge("coder", 1, conflict=tuple(f"{'d' * 200}/{number}" for number in range(20000)))
    world.end("coder")

    _, prompt = given(world.start("coder"))

    assert len(prompt.encode()) < budgets.CONFLICTS + 32 * budgets.KIB
    assert re.search(r"\n\n199\d\d more paths were not put here: `egg sync` names them\.\n", prompt)
