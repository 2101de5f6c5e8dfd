"""Versions, checks and objections of a phase run."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, literal, select, union_all
from sqlalchemy.orm import Session

from models.states import LIVE_OBJECTIONS, CheckStatus, MergeStatus, RebaseStatus
from models.tables import Check, Objection, PhaseRun, Rebase, Version, merge_to


def add_version(session: Session, *, version: Version) -> None:
    """Add a role's new version; those of it that wait to be merged are superseded."""
    older = select(Version).where(
        Version.phase_run_id == version.phase_run_id,
        Version.role == version.role,
        Version.merge_status == MergeStatus.PENDING,
    )
    for row in session.scalars(older):
        merge_to(row, MergeStatus.SUPERSEDED)
    session.add(version)
    session.flush()


def list_versions(session: Session, *, phase_run_id: UUID) -> Sequence[Version]:
    """The versions of a phase run by role and number, as they are now."""
    query = select(Version).where(Version.phase_run_id == phase_run_id)
    query = query.order_by(Version.role, Version.number)
    return session.scalars(query.execution_options(populate_existing=True)).all()


def find_version(session: Session, *, phase_run_id: UUID, role: str, number: int) -> Version | None:
    """One version, as it is now."""
    return session.get(Version, (phase_run_id, role, number), populate_existing=True)


def list_merged(session: Session, *, pipeline_id: str) -> Sequence[Version]:
    """The merged versions of a pipeline, in the order in which they were merged."""
    query = select(Version).join(PhaseRun, PhaseRun.id == Version.phase_run_id)
    query = query.where(PhaseRun.pipeline_id == pipeline_id, Version.merge_status == MergeStatus.MERGED)
    return session.scalars(query.order_by(Version.merged_at, Version.role, Version.number)).all()


def list_work_commits(session: Session, *, pipeline_id: str) -> Sequence[str]:
    """The commits the work branch of a pipeline has had, newest first, its base left out."""
    merged = (
        select(
            Version.merge_commit, Version.merged_at.label("at"), Version.role, Version.number.label("number")
        )
        .join(PhaseRun, PhaseRun.id == Version.phase_run_id)
        .where(PhaseRun.pipeline_id == pipeline_id, Version.merge_status == MergeStatus.MERGED)
    )
    rebased = select(Rebase.merge_commit, Rebase.ended_at, literal(""), Rebase.id).where(
        Rebase.pipeline_id == pipeline_id, Rebase.status == RebaseStatus.MERGED
    )
    both = union_all(merged, rebased).subquery()
    query = select(both.c.merge_commit).order_by(both.c.at.desc(), both.c.role, both.c.number.desc())
    return list(session.scalars(query))


def claim_unattended_merges(session: Session, *, now: datetime, limit: int) -> Sequence[Version]:
    """Lock merges that are under way and due to be sent again; skips locked ones."""
    query = select(Version).where(Version.merge_status == MergeStatus.MERGING, Version.send_after <= now)
    query = query.order_by(Version.send_after, Version.phase_run_id).limit(limit)
    return session.scalars(query.with_for_update(key_share=True, skip_locked=True)).all()


def find_check(session: Session, *, phase_run_id: UUID, commit: str) -> Check | None:
    """What the check said of a commit, if it was asked."""
    query = select(Check).where(Check.phase_run_id == phase_run_id, Check.commit == commit)
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def find_running_check(session: Session, *, phase_run_id: UUID) -> Check | None:
    """The phase run's check that is under way; there is at most one."""
    query = select(Check).where(Check.phase_run_id == phase_run_id, Check.status == CheckStatus.RUNNING)
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def list_checks(session: Session, *, phase_run_id: UUID) -> Sequence[Check]:
    """The checks of a phase run, oldest first."""
    query = select(Check).where(Check.phase_run_id == phase_run_id).order_by(Check.id)
    return session.scalars(query).all()


def list_objections(session: Session, *, phase_run_id: UUID) -> Sequence[Objection]:
    """The objections of a phase run by number, as they are now."""
    query = select(Objection).where(Objection.phase_run_id == phase_run_id).order_by(Objection.number)
    return session.scalars(query.execution_options(populate_existing=True)).all()


def find_live_objection(
    session: Session, *, phase_run_id: UUID, from_role: str, about_role: str
) -> Objection | None:
    """What one role holds against another; there is at most one at a time."""
    query = select(Objection).where(
        Objection.phase_run_id == phase_run_id,
        Objection.from_role == from_role,
        Objection.about_role == about_role,
        Objection.status.in_(LIVE_OBJECTIONS),
    )
    return session.scalars(query).one_or_none()


def next_objection_number(session: Session, *, phase_run_id: UUID) -> int:
    """The number of the next objection; the phase run is locked by the caller."""
    query = select(func.coalesce(func.max(Objection.number), 0)).where(Objection.phase_run_id == phase_run_id)
    return session.scalars(query).one() + 1
