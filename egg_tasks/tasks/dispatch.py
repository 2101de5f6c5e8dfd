"""The one place where verdicts become Celery messages, and only after the commit."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from celery import Signature, chord, group
from sqlalchemy.orm import Session

from egg_tasks import hints
from egg_tasks.app import AGENTS, CONTROL, app
from egg_tasks.config import settings
from egg_tasks.database import after_commit
from egg_tasks.services.effects import Effects, RebaseKey, RunToSend, VersionKey
from egg_tasks.services.notices import Try
from models.queries import streams


def dispatch(session: Session, effects: Effects) -> None:
    """Have everything an evaluation wants sent go out once its unit of work has committed."""
    for phase_run_id, runs in effects.dispatches:
        after_commit(session, partial(send_runs, phase_run_id, runs))
    for merge in effects.merges:
        after_commit(session, partial(send_merge, merge))
    for rebase in effects.rebases:
        after_commit(session, partial(send_rebase, rebase))
    for pipeline_id in effects.preparations:
        after_commit(session, partial(send_preparation, pipeline_id))
    for pipeline_id in effects.deletions:
        after_commit(session, partial(send_deletion, pipeline_id))
    for phase_run_id, pipeline_id in effects.evaluations.items():
        after_commit(session, partial(send_evaluation, phase_run_id, pipeline_id))
    if settings().webhook is not None:
        for decision_id, pipeline_id in effects.notices.items():
            after_commit(session, partial(send_notice, Try(decision_id, 1, pipeline_id)))
    told = {hints.messages_to(*recipient) for recipient in streams.recipients_pending(session)}
    topics = told | {hints.events_of(pipeline_id) for pipeline_id in effects.hints}
    if topics:
        after_commit(session, partial(hints.publish, sorted(topics)))


def send_runs(phase_run_id: UUID, runs: Sequence[RunToSend]) -> None:
    """Send a group of agent runs whose barrier evaluates their phase run."""
    header = group([_attend(run) for run in runs])
    body = _evaluate(phase_run_id, runs[0].pipeline_id)
    result = chord(header)(body)
    _forget_subscriptions(result)


def send_evaluation(phase_run_id: UUID, pipeline_id: str) -> None:
    """Send one evaluation of a phase run."""
    _evaluate(phase_run_id, pipeline_id).apply_async(ignore_result=True)


def send_to_node(run_id: UUID, node: str, pipeline_id: str) -> None:
    """Send a run that was started on a machine there, where alone it can be watched."""
    queue = f"{AGENTS}.{node}"
    _signature("agent_runs.attend", str(run_id), of=pipeline_id, queue=queue, shadow="agent").apply_async()


def send_clearing(run_id: UUID, node: str | None, pipeline_id: str) -> None:
    """Send the clearing away of a run's clone to the machine that has it."""
    queue = f"{AGENTS}.{node}" if node else AGENTS
    sent = _signature("agent_runs.clear", str(run_id), of=pipeline_id, queue=queue, shadow="clear")
    sent.apply_async(ignore_result=True)


def send_tidying() -> None:
    """Send the taking off the disk of what was removed."""
    _signature("disk.tidy", of="every", shadow="tidy").apply_async(ignore_result=True)


def send_deletion(pipeline_id: str) -> None:
    """Send the going of a pipeline that a person had deleted."""
    sent = _signature("pipelines.delete", pipeline_id, of=pipeline_id, shadow="delete")
    sent.apply_async(ignore_result=True)


def send_rebase(rebase: RebaseKey) -> None:
    """Send the merge of a present base."""
    sent = _signature("rebases.merge", rebase.number, of=rebase.pipeline_id, shadow="rebase")
    sent.apply_async(ignore_result=True)


def send_merge(merge: VersionKey) -> None:
    """Send the merge of a version."""
    arguments = (str(merge.phase_run_id), merge.role, merge.number)
    sent = _signature("versions.integrate", *arguments, of=merge.pipeline_id, shadow=f"merge:{merge.role}")
    sent.apply_async(ignore_result=True)


def send_preparation(pipeline_id: str) -> None:
    """Send the making of a pipeline's repository."""
    sent = _signature("pipelines.prepare", pipeline_id, of=pipeline_id, shadow="prepare")
    sent.apply_async(ignore_result=True)


def send_notice(attempt: Try) -> None:
    """Send one try to tell of a decision."""
    arguments = (attempt.decision_id, attempt.number)
    sent = _signature("decisions.notify", *arguments, of=attempt.pipeline_id, shadow="notify")
    sent.apply_async(ignore_result=True)


def send_publication(pipeline_id: str) -> None:
    """Send the moving of a work branch to where its row says."""
    sent = _signature("pipelines.publish", pipeline_id, of=pipeline_id, shadow="publish")
    sent.apply_async(ignore_result=True)


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
