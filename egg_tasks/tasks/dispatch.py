"""The one place where what an outbox holds becomes Celery messages, and only after the commit."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from celery import Signature, chord, group

from egg_tasks import wakeups
from egg_tasks.app import AGENTS, CONTROL, app
from egg_tasks.config import settings
from egg_tasks.outbox import (
    Clearing,
    Deletion,
    Evaluation,
    News,
    Notice,
    Parcel,
    Preparation,
    Publication,
    RebaseKey,
    Runs,
    RunToSend,
    VersionKey,
    WakeUp,
)


class TaskSender:
    """The sender of every process of ours: wake-ups over Redis, all else as Celery's tasks."""

    def send(self, parcel: Parcel) -> None:
        """Send one parcel of a unit of work that has committed."""
        match parcel:
            case WakeUp():
                wakeups.publish([_topic(news) for news in parcel.news])
            case Runs():
                _send_runs(parcel.phase_run_id, parcel.runs)
            case Notice() if settings().webhook is None:
                # The decision's own row tells of it, to whoever looks.
                return
            case _:
                _single(parcel).apply_async(ignore_result=True)


def send_to_node(run_id: UUID, node: str, pipeline_id: str) -> None:
    """Send a run that was started on a machine there, where alone it can be watched."""
    queue = f"{AGENTS}.{node}"
    _signature("agent_runs.attend", str(run_id), of=pipeline_id, queue=queue, shadow="agent").apply_async()


def send_tidying() -> None:
    """Send the taking off the disk of what was removed."""
    _signature("disk.tidy", of="every", shadow="tidy").apply_async(ignore_result=True)


def send_ending_of_strangers(node: str, *, within: timedelta) -> None:
    """Have a machine end what runs there and is nobody's, unless it has no worker that long."""
    signature = _signature(
        "agent_runs.end_strangers", of="every", queue=f"{AGENTS}.{node}", shadow="strangers"
    )
    signature.apply_async(ignore_result=True, expires=within.total_seconds())


def _send_runs(phase_run_id: UUID, runs: Sequence[RunToSend]) -> None:
    """Send a group of agent runs whose barrier evaluates their phase run."""
    header = group([_attend(run) for run in runs])
    body = _evaluate(phase_run_id, runs[0].pipeline_id)
    result = chord(header)(body)
    _forget_subscriptions(result)


def _single(
    parcel: VersionKey | RebaseKey | Evaluation | Preparation | Publication | Deletion | Clearing | Notice,
) -> Signature:
    """The one task that a parcel is; nobody waits for its result."""
    of = parcel.pipeline_id
    match parcel:
        case VersionKey(phase_run_id, role, number):
            arguments = (str(phase_run_id), role, number)
            return _signature("versions.integrate", *arguments, of=of, shadow=f"merge:{role}")
        case RebaseKey():
            return _signature("rebases.merge", parcel.number, of=of, shadow="rebase")
        case Evaluation(phase_run_id):
            return _evaluate(phase_run_id, of)
        case Preparation():
            return _signature("pipelines.prepare", of, of=of, shadow="prepare")
        case Publication():
            return _signature("pipelines.publish", of, of=of, shadow="publish")
        case Deletion():
            return _signature("pipelines.delete", of, of=of, shadow="delete")
        case Clearing(run_id, node):
            queue = f"{AGENTS}.{node}" if node else AGENTS
            return _signature("agent_runs.clear", str(run_id), of=of, queue=queue, shadow="clear")
        case Notice(decision_id, number):
            return _signature("decisions.notify", decision_id, number, of=of, shadow="notify")


def _topic(news: News) -> str:
    if news.to_role:
        return wakeups.messages_to(news.pipeline_id, news.to_role)
    return wakeups.events_of(news.pipeline_id)


def _attend(run: RunToSend) -> Signature:
    queue = f"{AGENTS}.{run.node}" if run.node else AGENTS
    shadow = f"agent:{run.phase}:{run.role}"
    return _signature("agent_runs.attend", str(run.run_id), of=run.pipeline_id, queue=queue, shadow=shadow)


def _evaluate(phase_run_id: UUID, pipeline_id: str) -> Signature:
    return _signature("phases.evaluate", str(phase_run_id), of=pipeline_id, shadow="evaluate")


def _signature(name: str, *arguments: object, of: str, shadow: str, queue: str = CONTROL) -> Signature:
    """A task of the pipeline *of*, which Flower shows where it shows arguments by name; it gets none."""
    return app.signature(
        name, args=arguments, immutable=True, queue=queue, shadow=shadow, kwargsrepr=f"pipeline={of}"
    )


def _forget_subscriptions(result: object) -> None:
    """Stop listening for results nobody reads: else each sent task stays subscribed for good."""
    consumer = app.backend.result_consumer
    parent = getattr(result, "parent", None)
    for part in (result, *(getattr(parent, "results", None) or ())):
        consumer.cancel_for(part.id)
