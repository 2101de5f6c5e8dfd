"""Taking a verdict: the clone is looked at first, the rows are written in one transaction, git follows."""

from pathlib import Path

import structlog
from pydantic import BaseModel

from egg_tasks.adapters import workspace
from egg_tasks.clock import utcnow
from egg_tasks.database import single_statements, unit_of_work
from egg_tasks.services.agents import clone_inspection
from egg_tasks.services.engine import readiness_signals
from egg_tasks.services.engine.readiness_signals import CloneState, Signal
from egg_tasks.services.reads import consensus_status
from egg_tasks.use_cases import looking
from egg_tasks.use_cases.looking import LOOKS
from models.errors import EggError, Leftovers, Unavailable
from models.git_names import role_branch
from models.queries import agent_runs
from models.schemas.credential import CallingAgent
from models.schemas.report import Consensus
from models.states import Readiness

log = structlog.get_logger()

BRANCHES = 50
"""How many salvage branches of one run are tried."""
MOVES = 2
"""How often a role's branch is moved at most: somebody else may move it in between."""


class ReadinessRead(BaseModel):
    """Where the role stands after its signal."""

    role: str
    state: Readiness
    reason: str
    version: int


class ReadinessAnswer(BaseModel):
    """What a verdict led to."""

    readiness: ReadinessRead
    consensus: Consensus


def take(who: CallingAgent, signal: Signal) -> ReadinessAnswer:
    """Take a verdict and everything that follows from it."""
    if signal.state is not Readiness.READY:
        return _take(who, signal, None)
    with LOOKS.of(who.run_id):
        look = _look(who, signal)
        answer = _take(who, signal, look)
        if look.is_new or look.is_mended:
            _publish(who, look.commit)
        return answer


def _take(who: CallingAgent, signal: Signal, look: CloneState | None) -> ReadinessAnswer:
    now = utcnow()
    with unit_of_work() as session:
        said = readiness_signals.readiness(session, run_id=who.run_id, signal=signal, look=look, now=now)
        standing = consensus_status.of(session, said.epoch.pipeline, said.epoch.phase_run, now=now)
        return ReadinessAnswer(
            readiness=ReadinessRead(
                role=said.role.role,
                state=said.role.state,
                reason=said.role.reason,
                version=said.role.version,
            ),
            consensus=consensus_status.consensus(session, standing),
        )


def clone(who: CallingAgent) -> Path:
    """Where the agent's clone is."""
    return workspace().clone_of(who.run_id)


def _look(who: CallingAgent, signal: Signal) -> CloneState:
    """Look at the clone's head; the transaction that follows checks that the run may still speak."""
    with single_statements() as session:
        readiness_signals.attempt(session, run_id=who.run_id, signal=signal, now=utcnow())
    try:
        with looking.at_clone(who.run_id):
            taken = workspace().take(who.pipeline_id, run_id=who.run_id, clone=clone(who))
    except Leftovers:
        # Before the agent is told: what it leaves so is never merged as if it had been committed.
        with unit_of_work() as session:
            readiness_signals.note_refused(session, run_id=who.run_id, now=utcnow())
        raise
    with single_statements() as session:
        reading = clone_inspection.read(session, run=agent_runs.get_agent_run(session, run_id=who.run_id))
    return clone_inspection.look(workspace(), reading, taken=taken)


def _publish(who: CallingAgent, commit: str) -> None:
    """Bring the role's branch up to its new version; what fails here is mended when the run is salvaged."""
    branch = role_branch(who.pipeline_id, who.role)
    try:
        for _ in range(MOVES):
            stands = workspace().find_branch(who.pipeline_id, branch=branch)
            if stands is not None and _contains(who, stands, commit):
                return
            if stands is not None and not _contains(who, commit, stands):
                _keep(who, stands)
            if workspace().move_branch(who.pipeline_id, branch=branch, commit=commit, expected=stands):
                return
    except EggError as error:
        log.warning("branch.unmoved", branch=branch, commit=commit, error=error.message)


def _contains(who: CallingAgent, commit: str, other: str) -> bool:
    return bool(workspace().ancestors(who.pipeline_id, commit=commit, among=[other]))


def _keep(who: CallingAgent, commit: str) -> None:
    """Keep work that the new version has left behind, before the role's branch leaves it too.

    A branch that others' work is on stays where it is: the next one takes it. `Unavailable` when none did,
    and then the role's branch stays as well.
    """
    for number in range(1, BRANCHES + 1):
        name = f"salvage/{who.run_id}" if number == 1 else f"salvage/{who.run_id}.{number}"
        branch = role_branch(who.pipeline_id, name)
        stands = workspace().find_branch(who.pipeline_id, branch=branch)
        if stands is not None and _contains(who, stands, commit):
            return
        if stands is None and workspace().move_branch(
            who.pipeline_id, branch=branch, commit=commit, expected=None
        ):
            return
    raise Unavailable(f"{commit} could not be kept on any of {BRANCHES} salvage branches of {who.run_id}")
