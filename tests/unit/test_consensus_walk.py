"""Every state a small phase run can reach, visited: it obeys the laws and can always come to its end."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from models.consensus.policy import (
    CheckPolicy,
    Criteria,
    GatePolicy,
    Mode,
    OnFailure,
    PhasePolicy,
    RolePolicy,
)
from models.consensus.verdict import Wait
from models.states import PhaseStatus
from tests.factories import policy
from tests.unit.consensus_laws import settle
from tests.unit.consensus_moves import moves
from tests.unit.consensus_world import Story, World, beginning

CODER = policy("coder")
TESTER = policy("tester", reviews=["coder"])


def story(
    *roles: RolePolicy,
    moves: str,
    mode: Mode = Mode.CONCURRENT,
    check: str | None = None,
    gate: GatePolicy | None = None,
    max_versions: int = 2,
    max_grants: int = 1,
    convergence: Criteria | None = None,
) -> Story:
    """A phase of two rounds a role, in which these moves may happen."""
    rules = PhasePolicy(
        "implement",
        roles,
        mode=mode,
        check=CheckPolicy(check) if check else None,
        gate=gate,
        max_rounds=2,
        max_recoveries=1,
        max_startup_retries=1,
        convergence=convergence,
        max_iterations=2,
    )
    return Story(rules, frozenset(moves.split(", ")), max_versions, max_grants)


STORIES = {
    "one role that meets everything": story(
        CODER,
        moves="new, blocked, ends dirty, crashes, is lost, cannot start, conflict, red, unprepared, unsafe",
        check="make test",
    ),
    "objections": story(CODER, TESTER, moves="new, objecting, sync"),
    "objections to conflicting work": story(
        CODER,
        policy("tester", needs=["coder"], reviews=["coder"]),
        moves="new, objecting, conflict",
        mode=Mode.WAVES,
    ),
    "a failing role that is gone on without": story(
        policy("coder", on_failure=OnFailure.CONTINUE),
        TESTER,
        moves="new, ends dirty, crashes",
        max_versions=1,
    ),
    "failing roles, one after the other": story(
        CODER,
        policy("tester", required=False, reviews=["coder"], on_failure=OnFailure.RETRY),
        moves="new, is lost, cannot start",
        mode=Mode.SEQUENTIAL,
        max_versions=1,
    ),
    "an agent of every class of failure": story(
        CODER,
        moves="new, is cut off, is refused, has no quota, overflows, is stopped, order",
        max_versions=1,
    ),
    "two roles that share a quota": story(
        policy("coder", agent="model"),
        policy("tester", reviews=["coder"], agent="model"),
        moves="new, has no quota",
        max_versions=1,
        max_grants=0,
    ),
    "roles that wait for each other": story(
        CODER,
        policy("tester", needs=["coder"], reviews=["coder"]),
        moves="new, blocked on, message",
        mode=Mode.WAVES,
    ),
    "reviews of each other": story(policy("a", reviews=["b"]), policy("b", reviews=["a"]), moves="new, sync"),
    "agents that change their mind": story(
        CODER, TESTER, moves="new, again, working", mode=Mode.SEQUENTIAL, max_grants=0
    ),
    "a phase that is repeated until it converges": story(
        policy("coder", on_failure=OnFailure.CONTINUE),
        TESTER,
        moves="new, reports 50, reports 95, crashes",
        max_versions=1,
        max_grants=0,
        convergence=Criteria(test_pass_rate=90),
    ),
    "deadlines": story(CODER, TESTER, moves="new, deadlines", mode=Mode.SEQUENTIAL, max_versions=1),
    "deadlines with a check": story(CODER, moves="new, red, deadlines", check="make test", max_versions=1),
    "an agent that does nothing": story(CODER, moves="new, blocked, idle, deadlines, ends dirty"),
    "questions to a person": story(
        CODER, TESTER, moves="new, asks, blocked", mode=Mode.SEQUENTIAL, max_versions=1, max_grants=0
    ),
    "a gate": story(
        CODER,
        moves="new, asks, blocked, crashes, ends dirty",
        gate=GatePolicy("Ship it?", ("approve", "request changes"), "approve"),
    ),
    "a check": story(CODER, TESTER, moves="new, red, error", mode=Mode.WAVES, check="make test"),
}


@dataclass
class Walk:
    """A breadth-first walk over the states at rest, and how each was reached first."""

    story: Story
    came_from: dict[World, tuple[World | None, str]] = field(default_factory=dict)
    before: dict[World, set[World]] = field(default_factory=dict)
    asked: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def run(self) -> None:
        """Visit every state; a broken law names the way to it."""
        first, waits = settle(self.story, beginning(self.story), self.asked)
        self.came_from[first] = (None, "begins")
        todo = deque([(first, waits)])
        while todo:
            world, waits = todo.popleft()
            for name, after in moves(self.story, world, waits, self.asked):
                if found := self._reach(world, name, after):
                    todo.append(found)

    def trapped(self) -> list[str]:
        """The ways to states from which nothing leads to the end of the phase run."""
        good = {world for world in self.came_from if world.status is PhaseStatus.COMPLETE}
        todo = list(good)
        while todo:
            new = self.before.get(todo.pop(), set()) - good
            good |= new
            todo += new
        return [self._way(world) for world in self.came_from if world not in good]

    def _reach(self, world: World, name: str, after: World) -> tuple[World, Wait] | None:
        try:
            rest, waits = settle(self.story, after, self.asked)
        except AssertionError as error:
            error.add_note(f"{self._way(world)}, {name}")
            raise
        self.before.setdefault(rest, set()).add(world)
        if rest in self.came_from:
            return None
        self.came_from[rest] = (world, name)
        return rest, waits

    def _way(self, world: World | None) -> str:
        names = []
        while world is not None:
            world, name = self.came_from[world]
            names.append(name)
        return ", ".join(reversed(names))


@pytest.mark.parametrize("name", STORIES)
def test_every_reachable_state_obeys_the_laws_and_can_come_to_its_end(
    name: str, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    walk = Walk(STORIES[name])

    walk.run()

    assert walk.trapped() == []
    record_property("states", len(walk.came_from))
    with capsys.disabled():
        print(f"\n{name}: {len(walk.came_from)} states")  # noqa: T201 - the size of what was shown
