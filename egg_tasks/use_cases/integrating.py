"""Integrating: versions, and the present base of a repository, are merged into the work branch.

First the row says what is to be merged, then git merges while no transaction is open, then the row is
settled: it decides which merge counts, whoever else has made one.
"""

from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar

import structlog
from sqlalchemy.orm import Session

from egg_tasks.adapters import workspace
from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import single_statements, unit_of_work
from egg_tasks.outbox import VersionKey
from egg_tasks.services.engine import merges, rebases
from egg_tasks.services.engine.merges import MergeOrder
from egg_tasks.services.engine.rebases import RebaseOrder
from egg_tasks.use_cases import publishing
from egg_tasks.use_cases.alone import alone_at
from egg_tasks.use_cases.faults import is_nobodys, shortened
from models.errors import Rejected

log = structlog.get_logger()

Settle = Callable[[Session], None]


class Order(Protocol):
    """A merge to be made."""

    @property
    def pipeline_id(self) -> str:
        """Whose work branch it goes to."""
        ...


Ordered = TypeVar("Ordered", bound=Order)


def integrate(version: VersionKey) -> None:
    """Merge a version into the work branch. Safe twice, and at once."""

    def order(session: Session) -> MergeOrder | None:
        return merges.order(session, version=version)

    def make(made: MergeOrder) -> Settle:
        result = workspace().merge(
            made.pipeline_id, work=made.work_commit, version=made.commit, message=made.message
        )
        return lambda session: merges.settle(session, version=version, made=made, result=result, now=utcnow())

    def fail(session: Session, error: Exception) -> None:
        end = merges.refused if isinstance(error, Rejected) else merges.failed
        end(session, version=version, why=shortened(error), now=utcnow())

    _once(version, order=order, make=make, fail=fail)


def bring_base(number: int) -> None:
    """Fetch the present base that a rebase is about, and merge it. Safe twice, and at once."""

    def order(session: Session) -> RebaseOrder | None:
        return rebases.order(session, number=number)

    def make(made: RebaseOrder) -> Settle:
        name = made.pipeline_id
        commit = made.commit or workspace().fetch_base(name, source=made.source, base=made.base)
        result = workspace().merge(name, work=made.work_commit, version=commit, message=made.message(commit))
        return lambda session: rebases.settle(
            session, number=number, made=made, commit=commit, result=result, now=utcnow()
        )

    def fail(session: Session, error: Exception) -> None:
        is_final = isinstance(error, Rejected)
        rebases.failed(session, number=number, why=shortened(error), is_final=is_final, now=utcnow())

    _once(("rebase", number), order=order, make=make, fail=fail)


def _once(
    what: Hashable,
    *,
    order: Callable[[Session], Ordered | None],
    make: Callable[[Ordered], Settle],
    fail: Callable[[Session, Exception], None],
) -> None:
    """Make a merge that is ordered, settle it and publish; what fails is noted, unless nobody's fault."""
    with alone_at(what) as is_alone:
        if not is_alone:
            return
        with single_statements() as session:
            made = order(session)
        if made is None:
            return
        try:
            settle = make(made)
        except Exception as error:
            if is_nobodys(error, home=settings().home):
                raise
            log.exception("merge.failed", pipeline=made.pipeline_id, what=str(what))
            with unit_of_work() as session:
                fail(session, error)
            return
        with unit_of_work() as session:
            settle(session)
        publishing.publish(made.pipeline_id)
