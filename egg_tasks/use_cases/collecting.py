"""Collecting what nobody needs any more on this machine's disk: listed first, and removed when told to.

What is in no branch is never among it, and no branch either.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks import removal, repository_places, run_places, space, worktrees
from egg_tasks.adapters import runners, workspace
from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import single_statements, unit_of_work
from egg_tasks.foreign_files import is_directory, is_there
from egg_tasks.run_places import CLONE, KEPT, ROLES, RUN_IDS, RUNS, SHIMS
from egg_tasks.services.agents import clones
from egg_tasks.services.bus import events
from egg_tasks.stack import postgres
from egg_tasks.use_cases import clearing
from egg_tasks.workspace.caches import CACHES
from egg_tasks.workspace.clearing import FOLDERS
from models.errors import Conflict, NotFound
from models.queries import agent_runs as run_rows
from models.queries import leftovers as rows
from models.schemas.disk import DiskRead, Item, KeptRead, RepositoryRead
from models.tables import AgentRun

FORGOTTEN_AFTER = timedelta(days=1)
"""So long nobody wrote in a directory that no row knows before it is taken for forgotten."""
UNUSED_AFTER = timedelta(days=14)
WORK = (CLONE, KEPT)
TIDYING = timedelta(seconds=20)


@dataclass(frozen=True)
class Goer:
    """Something that may go, and how."""

    item: Item
    go: Callable[[], object]


def look() -> DiskRead:
    """What takes the space, what may go, and what goes only by its name."""
    home = settings().home
    items = tuple(goer.item for goer in _goers(home))
    return DiskRead(
        home=str(home),
        space=space.measure(home),
        items=items,
        frees=sum(item.size for item in items),
        kept=(*_kept(home), *_kept_of_nobody(home)),
        repositories=tuple(_repositories(home)),
    )


def collect() -> tuple[Item, ...]:
    """Remove what may go; what that was. Safe twice: what is gone is not found again."""
    found = list(_goers(settings().home))
    for goer in found:
        goer.go()
    for each in runners():
        each.tidy()
    workspace().tidy(timeout=TIDYING)
    return tuple(goer.item for goer in found)


def remove_kept(run_id: UUID) -> None:
    """Remove what is kept of a run, since a person has named it. `Conflict` or `NotFound` if nothing is."""
    with single_statements() as session:
        known = rows.known_agent_runs(session, among=[run_id])
        run = run_rows.get_agent_run(session, run_id=run_id) if known else None
    if run is not None:
        clones.refuse_unkept(run)
        workspace().discard(run_id)
        workspace().drop_snapshot(run.pipeline_id, run_id=run_id)
        with unit_of_work() as session:
            clones.given_up(session, run_id=run_id, now=utcnow())
    else:
        if run_id not in {one.run for one in _kept_of_nobody(settings().home)}:
            raise NotFound(f"nothing is kept of an agent run {run_id}: what is, `egg gc` lists")
        workspace().forget(run_id)
        for each in runners():
            each.forget(run_id)
    workspace().tidy(timeout=TIDYING)


def remove_repository(name: str) -> None:
    """Remove a repository whose pipeline is gone, since a person has named it."""
    found = {one.name: one for one in _repositories(settings().home)}
    if name not in found:
        raise NotFound(f"there is no repository {name}: those there are, `egg gc` lists")
    if found[name].has_pipeline:
        raise Conflict(
            f"the repository {name} is that of a pipeline and goes with it: egg pipeline delete {name}"
        )
    workspace().discard_pipeline(name)
    workspace().tidy(timeout=TIDYING)


def _goers(home: Path) -> Iterator[Goer]:
    """All that may go."""
    with single_statements() as session:
        over = rows.list_uncleared_agent_runs(session)
        ended = rows.list_ended_pipelines(session, among=_names(home / ROLES))
        # An agent may have put a worktree into its HOME.
        keeping = {run.pipeline_id for run in rows.list_kept_agent_runs(session)}
    for run in over:
        given = run_places.given(home, run.id)
        why = f"{events.label(run)} of {run.pipeline_id} is over, and all in it is saved"
        if is_directory(given):
            yield _goer("clone", given, why, partial(clearing.clear_run, run.id))
    for name in (name for name in ended if name not in keeping):
        why = f"what agents of {name}, which is over, had as their HOME"
        yield _goer("home", home / ROLES / name, why, partial(_put_away, home / ROLES, name))
    if _is_database_of(home):
        yield from _forgotten(home)
    yield from _unused_caches(home)
    for folder in FOLDERS:
        if removal.is_going(home / folder):
            why = "removed, and still on the disk"
            yield _goer("removed", home / folder / removal.GOING, why, lambda: None)


def _goer(kind: str, path: Path, why: str, go: Callable[[], object]) -> Goer:
    return Goer(Item(kind=kind, path=str(path), size=removal.size(path), why=why), go)


def _forgotten(home: Path) -> Iterator[Goer]:
    """Directories of runs and homes that no row knows, where nobody has written for long and no work is."""
    with single_statements() as session:
        strange = _strange(session, _runs(home))
        homes = set(_names(home / ROLES))
        homeless = sorted(homes - rows.known_pipelines(session, among=homes))
    alive = _live()
    for run_id in strange:
        if run_id in alive or _has_work(run_places.given(home, run_id)):
            continue
        for folder in (RUNS, SHIMS):
            yield from _orphan(home / folder, str(run_id), "no agent run of this name is known")
    for name in homeless:
        yield from _orphan(home / ROLES, name, "no pipeline of this name is known")


def _unused_caches(home: Path) -> Iterator[Goer]:
    for name in _names(home / CACHES):
        with suppress(OSError):
            if time.time() - (home / CACHES / name).lstat().st_mtime > UNUSED_AFTER.total_seconds():
                why = f"what set-ups made, and none has begun from for {UNUSED_AFTER.days} days"
                yield _goer("cache", home / CACHES / name, why, partial(_put_away, home / CACHES, name))


def _strange(session: Session, runs: frozenset[UUID]) -> Sequence[UUID]:
    """Those that are no agent run, and no set-up of one."""
    known = rows.known_agent_runs(session, among=runs | {run_places.set_up_of(each) for each in runs})
    return sorted(each for each in runs if known.isdisjoint({each, run_places.set_up_of(each)}))


def _live() -> frozenset[UUID]:
    return frozenset(run_id for each in runners() for run_id in each.list_live())


def _orphan(folder: Path, name: str, why: str) -> Iterator[Goer]:
    with suppress(OSError):
        if time.time() - (folder / name).lstat().st_mtime > FORGOTTEN_AFTER.total_seconds():
            yield _goer("orphan", folder / name, why, partial(_put_away, folder, name))


def _put_away(folder: Path, name: str) -> None:
    with suppress(OSError):
        removal.put_away(folder, name)


def _kept(home: Path) -> Iterator[KeptRead]:
    with single_statements() as session:
        found = rows.list_kept_agent_runs(session)
    for run in found:
        yield _kept_read(home, run.id, run)


def _kept_of_nobody(home: Path) -> Iterator[KeptRead]:
    """Clones of runs that no row knows: whether they are saved nobody can say."""
    with single_statements() as session:
        strange = _strange(session, _runs(home))
    alive = _live() if strange else frozenset()
    for run_id in strange:
        if run_id not in alive and _has_work(run_places.given(home, run_id)):
            yield _kept_read(home, run_id, None)


def _has_work(given: Path) -> bool:
    """Whether a clone lies in a run's directory, or what else is a repository."""
    return any(is_there(given, name) for name in WORK) or bool(worktrees.beside_it(given / WORK[0]))


def _kept_read(home: Path, run_id: UUID, run: AgentRun | None) -> KeptRead:
    given = run_places.given(home, run_id)
    path = next((given / name for name in reversed(WORK) if is_there(given, name)), given)
    return KeptRead(
        run=run_id,
        pipeline=run.pipeline_id if run else None,
        label=events.label(run) if run else "an agent run that is not known",
        path=str(path),
        size=removal.size(path),
        holds=tuple(run.kept_paths or ()) if run else ("all of it",),
    )


def _repositories(home: Path) -> Iterator[RepositoryRead]:
    found = {repository_places.name_of(path): path for path in repository_places.list_repositories(home)}
    with single_statements() as session:
        known = rows.known_pipelines(session, among=found)
    for name, path in found.items():
        yield RepositoryRead(name=name, path=str(path), size=removal.size(path), has_pipeline=name in known)


def _runs(home: Path) -> frozenset[UUID]:
    found = set()
    for folder in (RUNS, SHIMS):
        for path in (home / folder).glob(RUN_IDS):
            with suppress(ValueError):
                found.add(UUID(path.name))
    return frozenset(found)


def _names(folder: Path) -> Iterable[str]:
    """The directories of a folder that are somebody's, in order."""
    try:
        return sorted(path.name for path in folder.iterdir() if is_directory(path) and path.name[0] != ".")
    except OSError:
        return []


def _is_database_of(home: Path) -> bool:
    """Whether the database is the one in this home: another one need not know what lies here."""
    return postgres.is_of(home, settings().database_url)
