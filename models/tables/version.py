"""Versions on their way into the work branch, checks of its tip, and objections to versions."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.states import CheckStatus, MergeStatus, ObjectionStatus
from models.tables.base import Base, State, one_of, step


class Version(Base):
    """The commit at which a role said READY, and what merging it came to."""

    __tablename__ = "versions"
    __table_args__ = (
        ForeignKeyConstraint(["phase_run_id", "role"], ["roles.phase_run_id", "roles.role"]),
        one_of("merge_status", MergeStatus),
        CheckConstraint("number > 0", name="counted_from_one"),
        CheckConstraint("(merge_status = 'merged') = (merge_commit IS NOT NULL)", name="merged_has_commit"),
        Index(
            "uq_versions_merging",
            "phase_run_id",
            unique=True,
            postgresql_where=text("merge_status = 'merging'"),
        ),
    )

    phase_run_id: Mapped[UUID] = mapped_column(primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    commit: Mapped[str]
    tree: Mapped[str]
    agent_run_id: Mapped[UUID] = mapped_column(ForeignKey("agent_runs.id"))
    merge_status: Mapped[MergeStatus] = mapped_column(State(MergeStatus), default=MergeStatus.PENDING)
    merge_commit: Mapped[str | None]
    conflict_paths: Mapped[list[str]] = mapped_column(default=list)
    send_after: Mapped[datetime | None]
    """When a merge that is under way is to be sent to a worker again."""
    tries: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """How often its merge could not be made for a reason of its own."""
    created_at: Mapped[datetime]
    merged_at: Mapped[datetime | None]


class Check(Base):
    """What the phase's check said of one commit of the work branch."""

    __tablename__ = "checks"
    __table_args__ = (
        one_of("status", CheckStatus),
        UniqueConstraint("phase_run_id", "commit"),
        Index("uq_checks_running", "phase_run_id", unique=True, postgresql_where=text("status = 'running'")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    phase_run_id: Mapped[UUID] = mapped_column(ForeignKey("phase_runs.id"))
    commit: Mapped[str]
    status: Mapped[CheckStatus] = mapped_column(State(CheckStatus), default=CheckStatus.RUNNING)
    attempts: Mapped[int] = mapped_column(default=1)
    errors: Mapped[int] = mapped_column(default=0)
    agent_run_id: Mapped[UUID | None] = mapped_column(ForeignKey("agent_runs.id"))
    log: Mapped[str] = mapped_column(default="")
    """The end of its output."""
    ended_at: Mapped[datetime | None]


class Objection(Base):
    """What is wrong with a version of one role, says another."""

    __tablename__ = "objections"
    __table_args__ = (
        one_of("status", ObjectionStatus),
        CheckConstraint("from_role <> about_role", name="about_another"),
        Index(
            "uq_objections_live",
            "phase_run_id",
            "from_role",
            "about_role",
            unique=True,
            postgresql_where=text("status IN ('answered', 'open')"),
        ),
    )

    phase_run_id: Mapped[UUID] = mapped_column(ForeignKey("phase_runs.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    from_role: Mapped[str]
    about_role: Mapped[str]
    version: Mapped[int]
    reason: Mapped[str]
    status: Mapped[ObjectionStatus] = mapped_column(State(ObjectionStatus), default=ObjectionStatus.OPEN)
    round: Mapped[int] = mapped_column(default=1)
    answer: Mapped[str] = mapped_column(default="")
    is_answered_in_words: Mapped[bool] = mapped_column(default=False)
    """Whether its last answer changed nothing."""
    delivered_to: Mapped[UUID | None] = mapped_column(ForeignKey("agent_runs.id"))
    """The run of the role it is about that was told of it as it now stands."""
    upheld_over_words: Mapped[int] = mapped_column(default=0)
    opened_at: Mapped[datetime]
    """When it was opened or last upheld."""


def merge_to(version: Version, status: MergeStatus) -> None:
    """Change what became of a version along the allowed paths, as `move_to` does with a status."""
    version.merge_status = step(version.merge_status, status)
