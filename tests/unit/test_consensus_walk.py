"""Every state a small phase run can reach, visited: it obeys the laws and can always come to its end.

A lost wake-up is an event after which nobody decides, until something else happens or the reconciler comes
by. What is decided follows from the rows alone, and at rest it is the same whenever it is asked again
(`impatient`): the reconciler's later look does what the lost one would have done. What may happen *before*
that look is walked where "lost wake-ups" is among the moves: then every event may also follow an event, or
one verdict of several, about which nobody has decided yet. The tests walk all rosters of one and two roles
so, and `make walk` the stories too.
"""

import gc
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice

import pytest

from models.consensus.decide import decide
from models.consensus.policy import (
    CheckPolicy,
    Criteria,
    GatePolicy,
    Mode,
    OnFailure,
    PhasePolicy,
    RolePolicy,
)
from models.consensus.step import Step, Wait
from models.states import PhaseStatus
from tests.factories import NOW, policy
from tests.unit.consensus_laws import Rest, settle, spent
from tests.unit.consensus_moves import moves
from tests.unit.consensus_world import Story, World, beginning, view

LOST = "lost wake-ups"
"""The move by which nobody is told of an event, or a worker dies between two verdicts."""
UNHEARD = Wait("nothing: nobody has been told", until=NOW)
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
    max_rounds: int = 2,
    max_messages: int = 1,
    max_rebases: int = 1,
) -> Story:
    """A phase in which these moves may happen; of two rounds a role, but for those about often."""
    rules = PhasePolicy(
        "implement",
        roles,
        mode=mode,
        check=CheckPolicy(check) if check else None,
        gate=gate,
        max_rounds=max_rounds,
        max_recoveries=1,
        max_startup_retries=1,
        max_loss_retries=1,
        max_quota_retries=2,
        convergence=convergence,
        max_iterations=2,
    )
    return Story(rules, frozenset(moves.split(", ")), max_versions, max_grants, max_messages, max_rebases)


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
    "a role that is called again and again": story(
        CODER, moves="new, blocked, message", max_versions=1, max_rounds=5, max_messages=5, max_grants=0
    ),
    "a role that fails again and again and is retried": story(
        policy("coder", on_failure=OnFailure.RETRY),
        moves="new, crashes, has no quota",
        max_versions=1,
        max_rounds=4,
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
    "a base that comes in": story(
        CODER,
        moves="new, sync, rebase, conflict, red",
        check="make test",
        max_grants=0,
        max_rebases=2,
    ),
    "a base that comes in while two work": story(
        CODER, TESTER, moves="new, rebase", mode=Mode.SEQUENTIAL, max_versions=1, max_grants=0
    ),
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
    """A walk over the states at rest, or over all if wake-ups are lost, and how each was reached first."""

    story: Story
    came_from: dict[Rest, tuple[Rest | None, str]] = field(default_factory=dict)
    before: dict[Rest, set[Rest]] = field(default_factory=dict)
    known: dict[World, Rest] = field(default_factory=dict)

    def run(self) -> None:
        """Visit every state; a broken law names the way to it."""
        gc.disable()  # nothing of a walk is garbage, and looking for it costs a fifth of the time
        try:
            self._run()
        finally:
            gc.enable()

    def _run(self) -> None:
        todo = deque(self._reach(None, "begins", beginning(self.story)))
        while todo:
            rest = todo.popleft()
            for name, after in moves(self.story, rest.world, rest.waits):
                todo.extend(self._reach(rest, name, after))

    def trapped(self) -> list[str]:
        """The ways to states from which nothing leads to the end of the phase run."""
        good = {rest for rest in self.came_from if rest.world.status is PhaseStatus.COMPLETE}
        todo = list(good)
        while todo:
            new = self.before.get(todo.pop(), set()) - good
            good |= new
            todo += new
        return [self._way(rest) for rest in self.came_from if rest not in good]

    def circles(self) -> list[str]:
        """The ways to states that an event leads back from: there somebody could be woken without end."""
        return [
            self._way(rest)
            for rest, earlier in self.before.items()
            if any(spent(one.world) > spent(rest.world) for one in earlier)
        ]

    def impatient(self) -> list[str]:
        """The ways to states at rest that decide otherwise when asked again before the time waited for."""
        return [
            self._way(rest)
            for rest in self.came_from
            if rest.world.status is not PhaseStatus.COMPLETE and _asked_again(self.story, rest) != rest.waits
        ]

    def _reach(self, rest: Rest | None, name: str, after: World) -> Iterator[Rest]:
        known = len(self.known)
        try:
            found = settle(self.story, after, self.known)
        except AssertionError as error:
            error.add_note(f"{self._way(rest)}, {name}")
            raise
        if rest is not None:
            self.before.setdefault(found, set()).add(rest)
        if found not in self.came_from:
            self.came_from[found] = (rest, name)
            yield found
        if LOST in self.story.moves:
            for world in islice(reversed(self.known), len(self.known) - known):
                yield from self._unheard(rest, name, world)

    def _unheard(self, rest: Rest | None, name: str, world: World) -> Iterator[Rest]:
        """The same state if nobody is woken to decide about it, or a worker dies between two verdicts."""
        found = self.known[world]
        if found.world is not world:
            late = Rest(world, UNHEARD)
            self.came_from[late] = (rest, f"{name} (unheard)")
            self.before.setdefault(found, set()).add(late)
            yield late

    def _way(self, rest: Rest | None) -> str:
        names = []
        while rest is not None:
            rest, name = self.came_from[rest]
            names.append(name)
        return ", ".join(reversed(names))


def _asked_again(story: Story, rest: Rest) -> Step:
    """What the reconciler is told later, nothing having happened."""
    waited = (rest.waits.until - NOW) / 2 if rest.waits.until else timedelta(days=1)
    snapshot = view(story, rest.world)
    times = snapshot.deadlines
    if rest.waits.on_person:
        # The phase's clock has stood still meanwhile.
        times = replace(
            times, soft=times.soft and times.soft + waited, hard=times.hard and times.hard + waited
        )
    return decide(replace(snapshot, now=NOW + waited, deadlines=times))


@pytest.mark.parametrize("name", STORIES)
def test_every_reachable_state_obeys_the_laws_and_can_come_to_its_end(
    name: str, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    walk = Walk(STORIES[name])

    walk.run()

    assert walk.trapped() == []
    assert walk.circles() == []
    assert walk.impatient() == []
    record_property("states", len(walk.came_from))
    with capsys.disabled():
        print(f"\n{name}: {len(walk.came_from)} states")  # noqa: T201 - the size of what was shown
