"""Agent runs, as tasks."""

import threading
import warnings
from functools import cache
from logging import Logger
from uuid import UUID

import structlog
from celery import Task, signals
from celery.exceptions import SecurityWarning
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from egg_tasks import database, garbage, logging, shell
from egg_tasks.adapters import backend, runner, workspace
from egg_tasks.app import app
from egg_tasks.attending import owners
from egg_tasks.attending.attendance import Attendance, Left
from egg_tasks.attending.disk_limits import DiskLimits
from egg_tasks.attending.leases import Leases
from egg_tasks.attending.snapshots import Snapshots
from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import single_statements, unit_of_work
from egg_tasks.ports import Backend, Runner
from egg_tasks.tasks.dispatch import TaskSender, send_to_node
from egg_tasks.use_cases import clearing, ticking
from models.errors import Unavailable
from models.queries import agent_runs

log = structlog.get_logger()

DRAINING = threading.Event()
LEASES = Leases()


@app.task(name="agent_runs.attend", bind=True)  # type: ignore[untyped-decorator]
def attend(self: Task, run_id: str) -> dict[str, str]:
    """Attend one agent run. Safe twice: the lease lets one in, and a run that is over says how it was."""
    left = _attendance(UUID(run_id)).attend()
    if left is Left.ELSEWHERE:
        _forward(run_id)
    if left is Left.DRAINED:
        raise self.retry(countdown=0, max_retries=None)
    return {"outcome": str(left)}


@app.task(name="agent_runs.clear", autoretry_for=())  # type: ignore[untyped-decorator]
def clear(run_id: str) -> None:
    """Clear away the clone of a run that is over. Safe twice: what is done is noted, and not done again.

    Not retried by Celery: whoever finds it not done sends it again.
    """
    clearing.clear_run(UUID(run_id))
    clearing.tidy()
    clearing.end_strangers()


@app.task(name="agent_runs.end_strangers", autoretry_for=())  # type: ignore[untyped-decorator]
def end_strangers() -> None:
    """End what runs on this machine and is nobody's. Safe twice: what is gone is passed over."""
    clearing.end_strangers()


@app.task(name="disk.tidy", autoretry_for=())  # type: ignore[untyped-decorator]
def tidy() -> None:
    """Take off the disk what was removed. Safe twice, and at once: what is gone is passed over."""
    clearing.tidy()


def _attendance(run_id: UUID) -> Attendance:
    return Attendance(
        run_id,
        owner=owners.new_name(settings().node),
        settings=settings(),
        runner=_runner(run_id),
        backend=_backend(run_id),
        workspace=workspace(),
        draining=DRAINING,
        leases=LEASES,
        snapshots=_snapshots(),
        limits=_limits(),
    )


@cache
def _snapshots() -> Snapshots:
    """Those of this process."""
    return Snapshots(workspace(), every=settings().snapshot_every)


@cache
def _limits() -> DiskLimits:
    """Those of this process."""
    return DiskLimits(settings().home)


def _runner(run_id: UUID) -> Runner:
    """Where the run is, or is to be: its agent's isolation says so, whoever attends it and whenever."""
    with single_statements() as session:
        return runner(agent_runs.get_isolation(session, run_id=run_id))


def _backend(run_id: UUID) -> Backend:
    """Who starts and understands the run's program: its agent says so."""
    with single_statements() as session:
        return backend(agent_runs.get_backend(session, run_id=run_id))


def _forward(run_id: str) -> None:
    """Send a run that was started on another machine there, where alone it can be watched."""
    with unit_of_work() as session:
        run = agent_runs.get_agent_run(session, run_id=UUID(run_id))
    send_to_node(run.id, str(run.node), run.pipeline_id)


@signals.after_setup_logger.connect(weak=False)  # type: ignore[untyped-decorator]
def log_in_lines(logger: Logger, **_: object) -> None:
    """Have the worker's log hold our lines, and Celery's, as those of every other process of ours."""
    logging.configure()
    for handler in logger.handlers:
        handler.setFormatter(logging.Indenting(handler.formatter))


@signals.celeryd_init.connect(weak=False)  # type: ignore[untyped-decorator]
def run_as_root_in_silence(**_: object) -> None:
    """Have Celery not warn of root, line by line: it may be a stack's user, and no task is pickled."""
    warnings.filterwarnings("ignore", category=SecurityWarning)


@signals.worker_init.connect(weak=False)  # type: ignore[untyped-decorator]
def send(**_: object) -> None:
    """Have what the worker's units of work leave behind sent as tasks."""
    database.use(TaskSender())


@signals.worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator]
def drain(**_: object) -> None:
    """Have every attendance give its run back when the worker is asked to end."""
    DRAINING.set()


@signals.worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]
def take_up(**_: object) -> None:
    """Tick, and free the runs of this machine's workers that are gone: they are attended again at once.

    In threads of their own: the database may come up later than the worker.
    """
    log.info("worker.started", node=settings().node)
    shell.variables()
    garbage.look_seldom()
    ticking.start()
    threading.Thread(target=_free_leases, daemon=True).start()


@retry(retry=retry_if_exception_type(Unavailable), wait=wait_fixed(0.5), stop=stop_after_delay(120))
def _free_leases() -> None:
    node = settings().node
    with unit_of_work() as session:
        held = agent_runs.list_lease_owners(session, node=node)
        dead = [owner for owner in held if owners.is_dead(owner)]
        freed = agent_runs.release_leases(session, owners=dead, now=utcnow()) if dead else 0
        uncleared = agent_runs.send_uncleared_again(session, node=node, now=utcnow())
    if uncleared:
        log.info("clones.due", node=node, runs=uncleared)
    if freed:
        log.info("leases.freed", node=node, runs=freed)
