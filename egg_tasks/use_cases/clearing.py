"""Clearing away what is over: clones whose work is safe, containers, pipelines that a person had deleted."""

import threading
from datetime import timedelta
from uuid import UUID

import structlog

from egg_tasks.adapters import runners, workspace
from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import single_statements, unit_of_work
from egg_tasks.ports import Runner
from egg_tasks.run_places import set_up_of
from egg_tasks.services.agents import clones
from egg_tasks.services.agents import deletions as going
from egg_tasks.use_cases.faults import is_nobodys, shortened
from models.errors import Conflict, EngineAway
from models.queries import agent_runs as rows
from models.queries import deletions, leftovers, pipelines, repairs

log = structlog.get_logger()

TIDYING = timedelta(seconds=60)
"""So long one task takes things off the disk; what is left is the next one's."""


def clear_run(run_id: UUID) -> None:
    """Remove the clone of a run that is over, or put it aside if it holds what is nowhere else.

    Safe twice: first it is done, then it is noted.
    """
    with single_statements() as session:
        run = rows.get_agent_run(session, run_id=run_id)
    if clones.is_cleared(run):
        return
    workspace().forget(set_up_of(run_id))
    if clones.is_to_be_kept(run) and workspace().keep(run_id):
        with unit_of_work() as session:
            clones.kept(session, run_id=run_id, now=utcnow())
        return
    workspace().discard(run_id)
    workspace().drop_snapshot(run.pipeline_id, run_id=run_id)
    with unit_of_work() as session:
        clones.removed(session, run_id=run_id, now=utcnow())


def delete_pipeline(pipeline_id: str) -> None:
    """Remove a pipeline that is to go; what keeps it from that is noted, and it is tried again."""
    try:
        _delete_pipeline(pipeline_id)
    except Exception as error:
        if is_nobodys(error, home=settings().home):
            raise
        log.exception("deletion.failed", pipeline=pipeline_id)
        with unit_of_work() as session:
            going.failed(session, pipeline_id=pipeline_id, why=shortened(error), now=utcnow())


def _delete_pipeline(pipeline_id: str) -> None:
    """Remove a pipeline that is to go: first its files, then its rows, after which its name is free.

    Safe twice: its row says that it is to go as long as anything of it is there.
    """
    with single_statements() as session:
        if not pipelines.is_deleted(session, pipeline_id=pipeline_id):
            return
        runs = [run.id for run in rows.list_agent_runs(session, pipeline_id=pipeline_id)]
    for run_id in (*runs, *map(set_up_of, runs)):
        workspace().forget(run_id)
        for each in runners():
            each.forget(run_id)
    with unit_of_work() as session:
        # From here on alone: who was held up meanwhile would take the repository of the next one of its name.
        if not pipelines.lock_deleted(session, pipeline_id=pipeline_id):
            return
        try:
            workspace().discard_pipeline(pipeline_id)
        except Conflict as error:
            log.info("deletion.waits", pipeline=pipeline_id, error=error.message)
            return
        deletions.delete_pipeline(session, pipeline_id=pipeline_id)
    log.info("pipeline.deleted", pipeline=pipeline_id, runs=len(runs))


def end_strangers() -> int:
    """End the containers of this installation whose run nobody attends, and say so; how many lived.

    Safe twice, and at any time: a container is made for a run that somebody attends. No row is changed.
    """
    lived = 0
    for each in runners():
        try:
            present = each.list_present()
            with single_statements() as session:
                among = {*present, *map(set_up_of, present)}
                attended = leftovers.unclosed_agent_runs(session, among=among)
            for run_id in present:
                if attended.isdisjoint({run_id, set_up_of(run_id)}):
                    lived += _end_stranger(each, run_id)
        except EngineAway as error:
            # Nothing is lost by waiting: what is there then is found then.
            log.info("strangers.not_looked_for", error=error.message)
    return lived


def _end_stranger(runner: Runner, run_id: UUID) -> bool:
    lived = runner.end_stranger(run_id)
    if lived:
        with unit_of_work() as session:
            repairs.add_repairs(session, kind="end_strangers", number=1)
        log.warning("stranger.ended", run=str(run_id), why="no row knows its run as one that lives")
    else:
        log.info("leftover.removed", run=str(run_id))
    return lived


class Tidier:
    """Takes off the disk what was removed, in one thread of a process at a time: many would be no quicker."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_wanted = threading.Event()

    def tidy(self) -> None:
        """Do so, or leave it to the thread that does."""
        self._is_wanted.set()
        while self._is_wanted.is_set() and self._lock.acquire(blocking=False):
            try:
                self._is_wanted.clear()
                for each in runners():
                    each.tidy()
                if not workspace().tidy(timeout=TIDYING):
                    log.warning("disk.untidy", home=str(settings().home))
            finally:
                self._lock.release()


TIDIER = Tidier()


def tidy() -> None:
    """Take off the disk what was removed; safe at any time."""
    TIDIER.tidy()
