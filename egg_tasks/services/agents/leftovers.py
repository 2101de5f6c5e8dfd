"""Leftovers: what a run left that is in no version, where that is, and who is told of it."""

from collections.abc import Iterator

from sqlalchemy.orm import Session

from egg_tasks.run_places import KEPT
from egg_tasks.services.bus import events
from models.foreign import named
from models.queries import agent_runs
from models.tables import AgentRun


def told(run: AgentRun) -> tuple[str, ...]:
    """What became of the unpublished work of a run that is over, for everybody."""
    return tuple(_told(run))


def of_pipeline(session: Session, *, pipeline_id: str) -> tuple[str, ...]:
    """The work of a pipeline's runs that is not on their roles' branches."""
    rows = agent_runs.list_runs_with_leftovers(session, pipeline_id=pipeline_id)
    return tuple(f"{events.label(run)}: {sentence}" for run in rows for sentence in _aside(run))


def notes(run: AgentRun) -> Iterator[str]:
    """What the role's next run is told of this one's work."""
    who = f"your run {run.number}"
    if run.salvaged_commit:
        yield f"{who} ended with unpublished work; it is on your branch at {run.salvaged_commit[:10]}"
    if run.set_aside:
        yield (
            f"{who} ended with changes it had not committed and READY was refused for; they are not on your"
            f" branch but on `origin/{run.set_aside}`: take what belongs to your work"
            f" (`git checkout origin/{run.set_aside} -- PATH`)"
        )
    if run.kept_paths:
        where = "a person has removed it" if run.clone_removed_at else f"it is in ../../{run.id}/{KEPT}"
        yield f"{who} left work that could not be saved: {named(run.kept_paths)}; {where}"


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
