"""All rosters of one and two roles and some of three are walked; `make walk` walks them all."""

from collections.abc import Callable

import pytest

from models.consensus.policy import Mode, NeedPolicy, PhasePolicy
from tests.factories import policy
from tests.unit.consensus_rosters import Bounds, definable, rosters, story, walked
from tests.unit.consensus_world import Story
from tests.unit.test_consensus_walk import LOST, Walk

SAMPLE = 263
"""Each so-manieth roster of three roles is walked here; prime, so that all their kinds are among them."""
SOFT, HARD = NeedPolicy("coder"), NeedPolicy("coder", hard=True)


@pytest.mark.parametrize(("size", "number"), [(1, 3), (2, 180), (3, 146_496)])
@pytest.mark.parametrize("orders", [False, True])
def test_every_roster_that_can_be_defined_is_walked_once(size: int, number: int, orders: bool) -> None:
    found = rosters(size, orders=orders)

    assert definable(size) == number
    assert sum(roster.stands_for for roster in found) == number
    assert len({str(roster) for roster in found}) == len(found)
    assert all(any(roster.required) for roster in found)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((Mode.CONCURRENT, HARD), (Mode.WAVES, SOFT)),
        ((Mode.CONCURRENT, SOFT), (Mode.WAVES, None)),
        ((Mode.WAVES, HARD), (Mode.WAVES, SOFT)),
        ((Mode.SEQUENTIAL, HARD), (Mode.SEQUENTIAL, None)),
    ],
)
def test_rosters_that_are_not_walked_are_the_same_to_decide(
    one: tuple[Mode, NeedPolicy | None], other: tuple[Mode, NeedPolicy | None]
) -> None:
    walks = [Walk(_of_two(*one)), Walk(_of_two(*other))]

    for walk in walks:
        walk.run()

    assert walks[0].known.keys() == walks[1].known.keys()


def test_needs_tell_rosters_apart() -> None:
    walks = [Walk(_of_two(Mode.WAVES, SOFT)), Walk(_of_two(Mode.WAVES, None))]

    for walk in walks:
        walk.run()

    assert walks[0].known.keys() != walks[1].known.keys()


@pytest.mark.parametrize(
    ("size", "every", "bounds"),
    [
        (1, 1, Bounds(f"new, blocked, working, again, message, ends dirty, crashes, is lost, {LOST}", 2)),
        (2, 1, Bounds(f"new, sync, objecting, {LOST}", 2, 2)),
        (2, 1, Bounds(f"new, conflict, crashes, {LOST}", 2)),
        (2, 1, Bounds(f"new, blocked on, {LOST}", 2)),
        (3, SAMPLE, Bounds(f"new, crashes, {LOST}")),
        (3, SAMPLE, Bounds("new, sync, objecting")),
        (3, SAMPLE, Bounds("new", 2)),
    ],
    ids=str,
)
def test_no_state_of_any_roster_is_a_dead_end(
    size: int,
    every: int,
    bounds: Bounds,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = rosters(size)[::every]

    found = [walked(str(roster), story(roster, bounds)) for roster in chosen]

    assert [(one.broken, one.name) for one in found if one.broken] == []
    states = sum(one.states for one in found)
    record_property("states", states)
    with capsys.disabled():
        print(f"\n{len(found)} rosters of {size}, {bounds}: {states} states")  # noqa: T201 - what was shown


def _of_two(mode: Mode, need: NeedPolicy | None) -> Story:
    tester = policy("tester", needs=[need] if need else [], reviews=["coder"])
    rules = PhasePolicy("implement", (policy("coder"), tester), mode=mode, max_rounds=2)
    return Story(rules, frozenset({"new", "crashes"}), max_versions=1, max_grants=0)
