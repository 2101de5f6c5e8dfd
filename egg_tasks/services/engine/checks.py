"""Checks: what a check's run came to."""

from egg_tasks.services.engine import failures
from egg_tasks.services.engine.epochs import Epoch
from models import log_tail
from models.consensus import endings
from models.consensus.views import how_it_ended
from models.events import EventType
from models.queries import versions
from models.schemas.run import Exit
from models.states import CheckStatus
from models.tables import AgentRun, move_to

MAX_LOG = 16 * 1024


def settle(epoch: Epoch, run: AgentRun, outcome: Exit, log: str) -> None:
    """Write a check's verdict; a check that did not come to its own end is an error, not red."""
    check = versions.find_running_check(epoch.session, phase_run_id=run.phase_run_id)
    if check is None or check.agent_run_id != run.id:
        return
    move_to(check, _status(outcome))
    # One that we have stopped says nothing of its environment; its command may stop it, too, each time.
    was_asked = outcome.stopped and run.stop_at is not None and run.stop_at <= epoch.now
    check.errors += check.status is CheckStatus.ERROR and not was_asked
    check.log = log.replace("\x00", "")[-MAX_LOG:]
    check.ended_at = epoch.now
    how = how_it_ended(run)
    text = f"the check of {check.commit[:10]} is {check.status}{f' ({how})' if how else ''}"
    text = endings.with_last(text, log_tail.last_line(run.log_tail))
    details = failures.of_run(run).model_dump(mode="json") if failures.has_failed(run) else None
    epoch.tell(EventType.CHECK_ENDED, text, run=run, details=details)


def _status(outcome: Exit) -> CheckStatus:
    if outcome.exit_code is None or outcome.stopped:
        return CheckStatus.ERROR
    return CheckStatus.GREEN if outcome.exit_code == 0 else CheckStatus.RED
