"""Long random walks of three and four roles with any rules obey the same laws."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.consensus.policy import CheckPolicy, GatePolicy, Mode, Need, OnFailure, PhasePolicy, RolePolicy
from models.consensus.verdict import ABORT, ACCEPT
from models.states import PhaseStatus
from tests.unit.consensus_laws import settle
from tests.unit.consensus_moves import CLEAN, DIRTY, FAILURES, moves
from tests.unit.consensus_world import Story, beginning

ROSTER = ("coder", "tester", "documenter", "reviewer")
MOVES = frozenset(
    {
        *("new", "blocked", "blocked on", "objecting", "working", "again", "sync", "message"),
        *("conflict", "red", "error", "asks", "unprepared", "unsafe", "order", "deadlines", "idle"),
        *(CLEAN, DIRTY, *FAILURES),
    }
)
STEPS = 60
GATE = GatePolicy("Ship it?", ("approve", "request changes"), "approve")
FINAL = (ABORT, ACCEPT)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """A phase of three or four roles; needs go to earlier roles, reviews to any other."""
    names = ROSTER[: draw(st.integers(3, 4))]
    roles = [
        RolePolicy(
            name,
            required=at == 0 or draw(st.booleans()),
            needs=tuple(Need(other, draw(st.booleans())) for other in names[:at] if draw(st.booleans())),
            reviews=tuple(other for other in names if other != name and draw(st.booleans())),
            on_failure=draw(st.sampled_from(OnFailure)),
            agent=draw(st.sampled_from(["", "model"])),
        )
        for at, name in enumerate(names)
    ]
    rules = PhasePolicy(
        "implement",
        tuple(roles),
        mode=draw(st.sampled_from(Mode)),
        check=CheckPolicy("make test", draw(st.sampled_from([None, *names])))
        if draw(st.booleans())
        else None,
        gate=GATE if draw(st.booleans()) else None,
        max_concurrent_agents=draw(st.integers(1, 4)),
        max_rounds=draw(st.integers(1, 5)),
        max_recoveries=1,
        max_startup_retries=1,
    )
    return Story(rules, MOVES, max_versions=3, max_grants=3)


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(story=stories(), choices=st.lists(st.integers(0, 999), min_size=STEPS, max_size=STEPS))
def test_a_random_walk_obeys_the_laws(story: Story, choices: list[int]) -> None:
    asked: dict[str, tuple[str, ...]] = {}
    world, waits = settle(story, beginning(story), asked)

    for choice in choices:
        possible = list(moves(story, world, waits, asked))
        if not possible:
            break
        # People are patient here, else most walks end at the first question.
        patient = [move for move in possible if not move[0].endswith(FINAL)] or possible
        _, world = patient[choice % len(patient)]
        world, waits = settle(story, world, asked)

    assert world.status is PhaseStatus.COMPLETE or list(moves(story, world, waits, asked))
