"""Leftovers: what a run left that is in no version, where that is, and who is told of it."""

from collections.abc import Iterator

from sqlalchemy.orm import Session

from egg_tasks.run_places import KEPT
from egg_tasks.services.bus import events
from models.foreign import named
from models.queries import agent_runs
from models.schemas.brief import LeftBehind
from models.tables import AgentRun


def told(run: AgentRun) -> tuple[str, ...]:
    """What became of the unpublished work of a run that is over, for everybody."""
    return tuple(_told(run))


def of_pipeline(session: Session, *, pipeline_id: str) -> tuple[str, ...]:
    """The work of a pipeline's runs that is not on their roles' branches."""
    rows = agent_runs.list_runs_with_leftovers(session, pipeline_id=pipeline_id)
    return tuple(f"{events.label(run)}: {sentence}" for run in rows for sentence in _aside(run))


def left_behind(run: AgentRun) -> LeftBehind | None:
    """What the role's next run is told of this one's work; None if all of it is in its version."""
    if not (run.salvaged_commit or run.set_aside or run.kept_paths):
        return None
    return LeftBehind(
        run_id=str(run.id),
        number=run.number,
        commit=run.salvaged_commit or "",
        branch=run.set_aside or "",
        kept=named(run.kept_paths or ()),
        is_removed=run.clone_removed_at is not None,
    )


def _told(run: AgentRun) -> Iterator[str]:
    if run.salvaged_commit:
        yield f"it is kept at {run.salvaged_commit[:10]}"
    yield from _aside(run)


def _aside(run: AgentRun) -> Iterator[str]:
    if run.set_aside:
        yield f"what READY was refused for is set aside on {run.set_aside}"
    if run.kept_paths and run.clone_removed_at:
        yield f"not saved, and a person has removed it: {named(run.kept_paths)}"
    elif run.kept_paths:
        yield (
            f"not saved, kept in runs/{run.id}/{KEPT} of EGG_HOME until `egg gc --kept {run.id}`:"
            f" {named(run.kept_paths)}"
        )
