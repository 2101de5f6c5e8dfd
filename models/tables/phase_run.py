"""Phase runs, the roles in them and what the roles have seen of each other."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.states import LIVE_PHASES, PhaseStatus, Readiness, StopReason
from models.tables.base import Base, State, one_of, words

LIVE = text(f"status IN ({words(*LIVE_PHASES)})")


class PhaseRun(Base):
    """One iteration of one phase: the epoch to which everything that happens in it belongs."""

    __tablename__ = "phase_runs"
    __table_args__ = (
        one_of("status", PhaseStatus),
        one_of("stop_reason", StopReason),
        UniqueConstraint("pipeline_id", "position", "iteration"),
        CheckConstraint("iterations_used > 0", name="iterations_counted_from_one"),
        Index("uq_phase_runs_live", "pipeline_id", unique=True, postgresql_where=LIVE),
        Index("ix_phase_runs_due", "next_evaluation_at", postgresql_where=LIVE),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipelines.id"))
    phase: Mapped[str]
    position: Mapped[int]
    iteration: Mapped[int] = mapped_column(default=1)
    status: Mapped[PhaseStatus] = mapped_column(State(PhaseStatus))
    stop_reason: Mapped[StopReason | None] = mapped_column(State(StopReason))
    why: Mapped[str] = mapped_column(default="")
    """What it waits for, as the last evaluation said; once it has ended, why it failed or what it lacked."""
    facts: Mapped[int] = mapped_column(BigInteger, default=0)
    """Counts what was written that may change the verdict."""
    evaluated_facts: Mapped[int] = mapped_column(BigInteger, default=0)
    evaluated_message: Mapped[int] = mapped_column(BigInteger, default=0)
    """The newest message there was when it was last evaluated."""
    next_evaluation_at: Mapped[datetime | None]
    iterations_used: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    """Iterations of its phase so far, itself included; a retry or a restart uses none up."""
    feedback: Mapped[dict[str, object]] = mapped_column(default=dict, server_default=text("'{}'"))
    """By role, the sentences the iteration before left it."""
    soft_deadline_at: Mapped[datetime | None]
    """When its agents are asked to converge; both deadlines move by the time its clock stands still."""
    converge_at: Mapped[datetime | None]
    """When they were asked."""
    hard_deadline_at: Mapped[datetime | None]
    """When its agents are stopped; known once they were asked to converge."""
    clock_stopped_at: Mapped[datetime | None]
    """Since when only a person is waited for, or it is paused."""
    started_at: Mapped[datetime]
    closing_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class Role(Base):
    """A role's readiness in one phase run, with its counters and its place on the bus."""

    __tablename__ = "roles"
    __table_args__ = (
        one_of("state", Readiness),
        CheckConstraint("version >= 0 AND runs >= 0 AND dispatched >= runs", name="counters_sane"),
        CheckConstraint("handled_message <= cursor", name="handled_was_delivered"),
        CheckConstraint("blocked_on IS NULL OR blocked_on <> role", name="blocked_on_another"),
    )

    phase_run_id: Mapped[UUID] = mapped_column(ForeignKey("phase_runs.id"), primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    state: Mapped[Readiness] = mapped_column(State(Readiness), default=Readiness.WORKING)
    reason: Mapped[str] = mapped_column(default="")
    blocked_on: Mapped[str | None]
    is_dropped: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(default=0)
    dispatched: Mapped[int] = mapped_column(default=0)
    runs: Mapped[int] = mapped_column(default=0)
    """Dispatches since a person last reset the counter."""
    extra_rounds: Mapped[int] = mapped_column(default=0)
    owed_by_decision: Mapped[int | None] = mapped_column(ForeignKey("decisions.id"))
    cursor: Mapped[int] = mapped_column(BigInteger, default=0)
    """The last message that was in a poll or prompt of the role."""
    handled_message: Mapped[int] = mapped_column(BigInteger, default=0)
    """The last message that was delivered to a run which ended well."""
    poll_key: Mapped[str | None]
    """The key of the last poll that read from the cursor."""
    poll_began: Mapped[int] = mapped_column(BigInteger, default=0)
    """Where that one began, and begins again."""
    updated_at: Mapped[datetime]


class Seen(Base):
    """The latest version of one role that another has had in its clone."""

    __tablename__ = "seen"
    __table_args__ = (CheckConstraint("at_verdict <= number", name="verdict_within_seen"),)

    phase_run_id: Mapped[UUID] = mapped_column(ForeignKey("phase_runs.id"), primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)
    other: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]
    at_verdict: Mapped[int] = mapped_column(default=0)
    """The same when the role last said READY, BLOCKED or OBJECTING."""
