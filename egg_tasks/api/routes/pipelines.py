"""Pipelines: create, list, look, start, pause, resume, restart a phase, cancel."""

from collections.abc import Callable
from functools import partial
from pathlib import PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel

from egg_tasks import disk
from egg_tasks.adapters import workspace
from egg_tasks.api.auth import OPERATOR
from egg_tasks.api.envelope import Envelope
from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import unit_of_work
from egg_tasks.services.agents import deletions
from egg_tasks.services.bus import shares
from egg_tasks.services.engine import rebases
from egg_tasks.services.people import lineage, operator_actions, pipelines
from egg_tasks.services.reads import pipeline_status
from models.errors import Unprocessable
from models.foreign import counted, named
from models.masking import masked
from models.schemas.definition import Definition, validate
from models.schemas.fault import Fault, Faulty
from models.schemas.git import Branches
from models.schemas.http import ExtensionIn, QuotaIn, RebaseIn, SubmissionIn
from models.schemas.report import PipelineDetail, PipelinePage, RebaseRead, StatusRead, WhyRead
from models.schemas.source import REMOTE, is_remote, refuse_reckoned
from models.schemas.text import PhaseName, PipelineId
from models.states import PipelineStatus

router = APIRouter(tags=["pipelines"], dependencies=[OPERATOR])

Limit = Annotated[int, Query(ge=1, le=500)]


class PipelineAnswer(BaseModel):
    """One pipeline."""

    pipeline: PipelineDetail


class Deleted(BaseModel):
    """A pipeline that goes."""

    pipeline: str


class RebaseAnswer(BaseModel):
    """The present base on its way into a work branch."""

    rebase: RebaseRead


@router.post("/pipelines", status_code=201)
def create(document: Annotated[Any, Body()]) -> Envelope[PipelineAnswer]:
    """Pin a definition as a new pipeline; it waits to be started.

    Beside the definition's keys: `rerun_of`, `file`, `overrides`, `numbered`, `client_key`.
    """
    submission, rest = SubmissionIn.beside(document)
    definition = _valid(rest)
    _need_containers(definition)
    with unit_of_work() as session:
        created = lineage.submit(
            session, definition=definition, submission=submission, is_kept=_has_repository, now=utcnow()
        )
        detail = pipeline_status.pipeline(session, workspace(), pipeline_id=created.id)
    return _answer(detail, "created")


@router.get("/pipelines")
def list_(
    status: PipelineStatus | None = None, after: PipelineId | None = None, limit: Limit = 100
) -> Envelope[PipelinePage]:
    """List pipelines, newest first; `after` is the id the last page ended with."""
    with unit_of_work() as session:
        page = pipeline_status.list_pipelines(session, workspace(), status=status, after=after, limit=limit)
    return Envelope(message=counted(len(page.pipelines), "pipeline"), data=page)


@router.get("/pipelines/{pipeline_id}")
def get(pipeline_id: PipelineId) -> Envelope[PipelineAnswer]:
    """Show a pipeline with its definition, and the versions that changed nothing."""
    with unit_of_work() as session:
        detail = pipeline_status.pipeline(session, workspace(), pipeline_id=pipeline_id)
        merges = pipeline_status.list_merges(session, pipeline_id=pipeline_id)
    detail = detail.model_copy(update={"unchanged": pipeline_status.unchanged(workspace(), merges)})
    return Envelope(
        message=f"pipeline {pipeline_id} is {detail.status}", data=PipelineAnswer(pipeline=detail)
    )


@router.get("/pipelines/{pipeline_id}/status")
def status_of(pipeline_id: PipelineId) -> Envelope[StatusRead]:
    """Say where a pipeline stands."""
    with unit_of_work() as session:
        found = pipeline_status.status(session, pipeline_id=pipeline_id, now=utcnow())
    return Envelope(message=f"pipeline {pipeline_id} is {found.status}", data=found)


@router.get("/pipelines/{pipeline_id}/why")
def why(pipeline_id: PipelineId) -> Envelope[WhyRead]:
    """Say what a pipeline waits for."""
    with unit_of_work() as session:
        found = pipeline_status.why(session, pipeline_id=pipeline_id, now=utcnow())
    if short := disk.shortage(settings().home):
        found = found.model_copy(update={"why": f"{short}; {found.why}"})
    return Envelope(message=found.why, data=found)


@router.post("/pipelines/{pipeline_id}/start")
def start(pipeline_id: PipelineId) -> Envelope[PipelineAnswer]:
    """Start a pipeline; one that runs already stays as it is."""
    return _moved(pipeline_id, pipelines.start)


@router.post("/pipelines/{pipeline_id}/cancel")
def cancel(pipeline_id: PipelineId) -> Envelope[PipelineAnswer]:
    """End a pipeline at once; its agents are stopped and their work is kept."""
    return _moved(pipeline_id, pipelines.cancel)


@router.get("/pipelines/{pipeline_id}/branches")
def branches(pipeline_id: PipelineId) -> Envelope[Branches]:
    """List the branches of a pipeline's repository, and which are in the repository it came from as well."""
    with unit_of_work() as session:
        source = pipelines.source(session, pipeline_id=pipeline_id)
        refused = deletions.refusal(session, pipeline_id=pipeline_id)
    found = workspace().list_branches(pipeline_id, source=source).model_copy(update={"refused": refused})
    return Envelope(message=f"{len(found.branches)} branches", data=found)


@router.post("/pipelines/{pipeline_id}/delete")
def delete(pipeline_id: PipelineId) -> Envelope[Deleted]:
    """Delete a pipeline that does not run, with its repository, its logs and all that is stored of it."""
    with unit_of_work() as session:
        deletions.order(session, pipeline_id=pipeline_id, now=utcnow())
    return Envelope(message=f"pipeline {pipeline_id} is deleted", data=Deleted(pipeline=pipeline_id))


@router.post("/pipelines/{pipeline_id}/pause")
def pause(pipeline_id: PipelineId) -> Envelope[PipelineAnswer]:
    """Let nothing new start; agents that run go on."""
    return _moved(pipeline_id, pipelines.pause)


@router.post("/pipelines/{pipeline_id}/resume")
def resume(pipeline_id: PipelineId) -> Envelope[PipelineAnswer]:
    """Go on with a paused pipeline."""
    return _moved(pipeline_id, pipelines.resume)


@router.post("/pipelines/{pipeline_id}/extend")
def extend(pipeline_id: PipelineId, body: ExtensionIn) -> Envelope[PipelineAnswer]:
    """Grant more iterations to phases that do not converge, or more time to the current one."""
    return _moved(
        pipeline_id, partial(pipelines.extend, iterations=body.iterations or 0, minutes=body.minutes or 0)
    )


@router.post("/pipelines/{pipeline_id}/rebase", status_code=202)
def rebase(pipeline_id: PipelineId, body: RebaseIn) -> Envelope[RebaseAnswer]:
    """Have the present base merged into the work branch of a pipeline that runs.

    `commit` is what it stands for, if the pipeline's repository holds that; else the server fetches it.
    """
    if body.commit and body.commit not in workspace().trees(pipeline_id, commits=[body.commit]):
        raise Unprocessable(
            f"commit: the repository of {pipeline_id} holds no {body.commit}; leave it out, and it is fetched"
        )
    with unit_of_work() as session:
        row = rebases.wish(session, pipeline_id=pipeline_id, commit=body.commit, now=utcnow())
        found = RebaseRead.model_validate(row, from_attributes=True)
    return Envelope(
        message=f"the present base is on its way into {pipeline_id}", data=RebaseAnswer(rebase=found)
    )


@router.post("/pipelines/{pipeline_id}/quota")
def quota(pipeline_id: PipelineId, body: QuotaIn) -> Envelope[PipelineAnswer]:
    """Set how many bytes of messages a pipeline may store; one run has a sixteenth of it."""
    return _moved(pipeline_id, partial(shares.grant, quota=body.messages))


@router.post("/pipelines/{pipeline_id}/phases/{phase}/restart")
def restart(pipeline_id: PipelineId, phase: PhaseName) -> Envelope[PipelineAnswer]:
    """Supersede the current phase run and start its phase anew, from the roles' own branches."""
    return _moved(pipeline_id, partial(operator_actions.restart_phase, phase=phase))


@router.post("/pipelines/{pipeline_id}/phases/{phase}/advance")
def advance(pipeline_id: PipelineId, phase: PhaseName) -> Envelope[PipelineAnswer]:
    """Accept the current state of the current phase, without having been asked."""
    return _moved(pipeline_id, partial(operator_actions.advance_phase, phase=phase))


def _moved(pipeline_id: str, move: Callable[..., None]) -> Envelope[PipelineAnswer]:
    with unit_of_work() as session:
        move(session, pipeline_id=pipeline_id, now=utcnow())
        detail = pipeline_status.pipeline(session, workspace(), pipeline_id=pipeline_id)
    return Envelope(
        message=f"pipeline {pipeline_id} is {detail.status}", data=PipelineAnswer(pipeline=detail)
    )


def _answer(detail: PipelineDetail, what: str) -> Envelope[PipelineAnswer]:
    return Envelope(message=f"pipeline {detail.id} is {what}", data=PipelineAnswer(pipeline=detail))


def _has_repository(pipeline_id: str) -> bool:
    """Whether some pipeline's repository has that name, of whatever database."""
    return workspace().repository(pipeline_id).exists()


def _need_containers(definition: Definition) -> None:
    """Refuse, before anything is stored, agents in containers that this machine cannot make, or in none.

    A server elsewhere knows nothing of the engines of its nodes: there the launch finds out.
    """
    if settings().needs_containers and definition.processes:
        raise Unprocessable(
            "nothing is started here that has no container of its own (EGG_ISOLATION=docker), as"
            f" {named(definition.processes)} would be: say `isolation: docker` in the definition"
        )
    if definition.images:
        from egg_tasks import local_engine  # the engine's library takes long to import

        if local_engine.is_agents(settings().home):
            local_engine.refuse(definition.images, url=settings().docker_host)


def _valid(document: object) -> Definition:
    definition = validate(document)
    is_absolute = PurePosixPath(definition.repo).is_absolute()
    if not is_absolute and not REMOTE.match(definition.repo):
        sentence = "must be an absolute path or a git URL: the server does not know where you are"
        raise Faulty.of([Fault(("repo",), sentence)])
    if is_remote(definition.repo) and definition.base_commit is None:
        refuse_reckoned(definition.base)
    if masked(definition.repo) != definition.repo:
        sentence = "must not hold a name or password, which would be stored: leave it out; [fetch] in "
        raise Faulty.of(
            [Fault(("repo",), f"{sentence}settings.toml of the server's EGG_HOME says how to get in")]
        )
    return definition
