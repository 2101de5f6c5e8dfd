"""Looks: what a role's clone holds, read by the server and never claimed."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from egg_tasks.ports import Workspace
from egg_tasks.services.engine.readiness_signals import CloneState, Seen
from models.consensus.snapshot import BASE
from models.errors import Conflict
from models.foreign import named
from models.queries import pipelines, rebases, versions
from models.schemas.git import Conflicted, TakenHead
from models.states import MergeStatus
from models.tables import AgentRun, Version

AT_ONCE = 20
"""So many work commits are asked after together."""


@dataclass(frozen=True)
class KnownRows:
    """The rows a look at a clone is held against."""

    pipeline_id: str
    own: str | None
    """The commit of the role's latest version in this phase run."""
    own_number: int
    is_conflicted: bool
    """Whether that version does not go together with the work branch."""
    start: str | None
    """The head the run's clone started with."""
    versions: tuple[Version, ...]
    bases: tuple[tuple[int, str], ...]
    """The rebases of this phase run by number, and the base's commit."""
    work_commits: tuple[str, ...]
    """What the work branch has been, newest first, its base last."""


def read(session: Session, *, run: AgentRun) -> KnownRows:
    """Read what a look at the clone of *run* needs."""
    pipeline = pipelines.get_pipeline(session, pipeline_id=run.pipeline_id)
    all_versions = versions.list_versions(session, phase_run_id=run.phase_run_id)
    own = [version for version in all_versions if version.role == run.role]
    base = (pipeline.base_commit,) if pipeline.base_commit else ()
    return KnownRows(
        pipeline_id=pipeline.id,
        own=own[-1].commit if own else None,
        own_number=own[-1].number if own else 0,
        is_conflicted=bool(own) and own[-1].merge_status is MergeStatus.CONFLICTED,
        start=run.start_commit,
        versions=tuple(version for version in all_versions if version.role != run.role),
        bases=tuple(
            (row.id, str(row.commit))
            for row in rebases.list_merged(session, pipeline_id=pipeline.id)
            if row.phase_run_id == run.phase_run_id
        ),
        work_commits=(*versions.list_work_commits(session, pipeline_id=pipeline.id), *base),
    )


def seen_in(workspace: Workspace, reading: KnownRows, *, commit: str) -> Seen:
    """By role, the latest of its versions that *commit* contains; by `BASE`, the latest rebase."""
    among = {version.commit for version in reading.versions} | {base for _, base in reading.bases}
    held = workspace.ancestors(reading.pipeline_id, commit=commit, among=among) if among else frozenset()
    bases = [number for number, base in reading.bases if base in held]
    return _latest(reading.versions, held) | ({BASE: max(bases)} if bases else {})


def look(workspace: Workspace, reading: KnownRows, *, taken: TakenHead) -> CloneState:
    """Hold a clone's head against the rows; `Conflict` while the role's own conflict is in it unmended."""
    if reading.is_conflicted:
        _refuse_unmended(workspace, reading, taken)
    return CloneState(
        commit=taken.commit,
        tree=taken.tree,
        is_new=_is_new(workspace, reading, taken),
        is_mended=reading.is_conflicted,
        own_number=reading.own_number,
        seen=seen_in(workspace, reading, commit=taken.commit),
    )


def is_ahead(workspace: Workspace, reading: KnownRows, *, commit: str) -> bool:
    """Whether a run leaves a head with changes of the role's own that are in no version of it.

    What an earlier run had committed when this one started is not this one's to speak for.
    """
    if commit in {reading.start, reading.own}:
        return False
    taken = TakenHead(commit=commit, tree=workspace.tree(reading.pipeline_id, commit=commit))
    if reading.own is not None:
        return _is_new(workspace, reading, taken)
    work = _contained_work(workspace, reading, commit)
    return work is None or workspace.tree(reading.pipeline_id, commit=work) != taken.tree


def _refuse_unmended(workspace: Workspace, reading: KnownRows, taken: TakenHead) -> None:
    """Refuse a head that does not go together with the work branch, like the role's latest version."""
    work = reading.work_commits[0]
    outcome = workspace.merged_tree(reading.pipeline_id, ours=work, theirs=taken.commit)
    if isinstance(outcome, Conflicted):
        paths = list(outcome.paths)
        raise Conflict(
            f"your version {reading.own_number} conflicts with the work branch, and so does this commit, in"
            f" {named(paths)}: run `egg sync`, mend those files, commit, then signal READY again",
            {"paths": paths, "version": reading.own_number, "work_commit": work},
        )


def _is_new(workspace: Workspace, reading: KnownRows, taken: TakenHead) -> bool:
    """Whether the head differs from what merging the last version and the contained work gives."""
    if reading.own is None:
        return True
    if reading.own == taken.commit:
        return False
    work = _contained_work(workspace, reading, taken.commit)
    if work is None:
        return workspace.tree(reading.pipeline_id, commit=reading.own) != taken.tree
    merged = workspace.merged_tree(reading.pipeline_id, ours=reading.own, theirs=work)
    return merged != taken.tree


def _contained_work(workspace: Workspace, reading: KnownRows, commit: str) -> str | None:
    """The newest work commit that *commit* contains: most often it is among the last few."""
    for at in range(0, len(reading.work_commits), AT_ONCE):
        asked = reading.work_commits[at : at + AT_ONCE]
        held = workspace.ancestors(reading.pipeline_id, commit=commit, among=asked)
        if held:
            return next(work for work in asked if work in held)
    return None


def _latest(rows: Sequence[Version], held: frozenset[str]) -> dict[str, int]:
    latest: dict[str, int] = {}
    for version in rows:
        if version.commit in held:
            latest[version.role] = max(version.number, latest.get(version.role, 0))
    return latest
