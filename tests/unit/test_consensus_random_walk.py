"""Long random walks of three to five roles with any rules obey the same laws, wake-ups lost or not."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.consensus.policy import (
    CheckPolicy,
    GatePolicy,
    Mode,
    NeedPolicy,
    OnFailure,
    PhasePolicy,
    RolePolicy,
)
from models.consensus.step import ABORT, ACCEPT
from models.states import PhaseStatus
from tests.unit.consensus_laws import Rest, settle
from tests.unit.consensus_moves import CLEAN, DIRTY, FAILURES, moves
from tests.unit.consensus_world import Story, beginning, forgetful
from tests.unit.test_consensus_walk import UNHEARD

ROSTER = ("coder", "tester", "documenter", "reviewer", "integrator")
MOVES = frozenset(
    {
        *("new", "blocked", "blocked on", "objecting", "working", "again", "sync", "message"),
        *("conflict", "red", "error", "asks", "unprepared", "unsafe", "order", "deadlines", "idle"),
        "rebase",
        *(CLEAN, DIRTY, *FAILURES),
    }
)
STEPS = 60
GATE = GatePolicy("Ship it?", ("approve", "request changes"), "approve")
FINAL = (ABORT, ACCEPT)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """A phase of three to five roles; needs go to earlier roles, reviews to any other."""
    names = ROSTER[: draw(st.integers(3, 5))]
    roles = [
        RolePolicy(
            name,
            required=at == 0 or draw(st.booleans()),
            needs=tuple(
                NeedPolicy(other, draw(st.booleans())) for other in names[:at] if draw(st.booleans())
            ),
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
        max_loss_retries=1,
        max_quota_retries=2,
    )
    return Story(rules, MOVES, max_versions=3, max_grants=3, max_rebases=3)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(story=stories(), choices=st.lists(st.integers(0, 4999), min_size=STEPS, max_size=STEPS))
def test_a_random_walk_obeys_the_laws(story: Story, choices: list[int]) -> None:
    rest = settle(story, beginning(story))

    for choice in choices:
        possible = list(moves(story, rest.world, rest.waits))
        if not possible:
            break
        # People are patient here, else most walks end at the first question.
        patient = [move for move in possible if not move[0].endswith(FINAL)] or possible
        _, world = patient[choice // 5 % len(patient)]
        is_lost = choice % 5 == 0
        rest = Rest(forgetful(story, world), UNHEARD) if is_lost else settle(story, world)

    rest = settle(story, rest.world)
    assert rest.world.status is PhaseStatus.COMPLETE or list(moves(story, rest.world, rest.waits))
