"""Agent runs, their tokens, and the nodes they run on."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from models.schemas.run import container_name
from models.states import LIVE_RUNS, Failure, Readiness, RunStatus
from models.tables.base import Base, State, one_of, words

LIVE = text(f"status IN ({words(*LIVE_RUNS)})")
UNCLOSED = text("closed_at IS NULL")
FAILED = text("failure IS NOT NULL")
UNCLEARED = text("closed_at IS NOT NULL AND clone_kept_at IS NULL AND clone_removed_at IS NULL")


class AgentRun(Base):
    """One invocation of a role's agent, or of a phase's check, which has no role.

    A retry is a new row, so a run's id fences everything it does. *status* says how it fares;
    *closed_at* says that its process is gone and its work safe, which for a cancelled run is later.
    """

    __tablename__ = "agent_runs"
    __table_args__ = (
        one_of("status", RunStatus),
        one_of("verdict", Readiness),
        one_of("failure", Failure),
        one_of("stopped_for", Failure),
        one_of("reported_failure", Failure),
        CheckConstraint("(lease_owner IS NULL) = (lease_until IS NULL)", name="lease_whole"),
        CheckConstraint(
            f"closed_at IS NULL OR (status NOT IN ({words(*LIVE_RUNS)}) AND lease_owner IS NULL)",
            name="closed_is_over",
        ),
        Index(
            "uq_agent_runs_live_role",
            "phase_run_id",
            "role",
            unique=True,
            postgresql_where=LIVE,
            postgresql_nulls_not_distinct=True,
        ),
        Index(
            "uq_agent_runs_number",
            "phase_run_id",
            "role",
            "number",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index("ix_agent_runs_unclosed", "send_after", postgresql_where=UNCLOSED),
        Index("ix_agent_runs_failed", "ended_at", postgresql_where=FAILED),
        Index("ix_agent_runs_uncleared", "send_after", postgresql_where=UNCLEARED),
        Index("ix_agent_runs_pipeline_role", "pipeline_id", "role", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipelines.id"))
    phase_run_id: Mapped[UUID] = mapped_column(ForeignKey("phase_runs.id"))
    role: Mapped[str | None]
    number: Mapped[int]
    """Counts the role's runs, or the checks, of the phase run."""
    status: Mapped[RunStatus] = mapped_column(State(RunStatus), default=RunStatus.QUEUED)
    causes: Mapped[list[str]] = mapped_column(default=list)
    isolation: Mapped[str] = mapped_column(default="process", server_default=text("'process'"))
    """How it is isolated, and so who runs it, from its first moment on."""
    node: Mapped[str | None]
    """Where it was started; only that machine can watch it."""
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    send_after: Mapped[datetime]
    """When it is sent to a worker (again) if none attends it; once it is closed, if none clears it away."""
    sends: Mapped[int] = mapped_column(default=0)
    tries: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """How often in a row it was claimed and came no further; whoever dies in a try has counted it."""
    held_up: Mapped[str | None]
    """What it waits for that is nobody's fault, as its last try found it; None once it goes on."""
    verdict: Mapped[Readiness | None] = mapped_column(State(Readiness))
    owes_verdict: Mapped[bool] = mapped_column(default=False)
    stop_at: Mapped[datetime | None]
    """When its process is asked to end."""
    stopped_for: Mapped[Failure | None] = mapped_column(State(Failure))
    """What a run that is stopped for it has failed by; to be stopped is else a good end."""
    is_cut_short: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    """Whether it is stopped for no fault of its own: its phase's time is up, or a person has stopped all."""
    converge_at: Mapped[datetime | None]
    """When its agent is asked to write down what it has and give its verdict."""
    reported_failure: Mapped[Failure | None] = mapped_column(State(Failure))
    """What its agent says went wrong; it counts if the run ends badly."""
    retry_at: Mapped[datetime | None]
    """When a run that failed by it may be tried again, as its agent says."""
    failure: Mapped[Failure | None] = mapped_column(State(Failure))
    exit_code: Mapped[int | None]
    exit_signal: Mapped[int | None]
    error: Mapped[str] = mapped_column(default="")
    log_tail: Mapped[str] = mapped_column(default="", server_default=text("''"))
    """The last lines of its output, if it did not give what it owed: bounded, and masked."""
    start_commit: Mapped[str | None]
    """The head of its clone when it started."""
    refused_at: Mapped[datetime | None]
    """When its READY was last refused for what its clone had not committed, if none was taken since."""
    salvaged_commit: Mapped[str | None]
    set_aside: Mapped[str | None]
    """The branch that holds what a READY was refused for."""
    kept_paths: Mapped[list[str] | None]
    """What of its work could not be saved and stays in its clone; empty if all is saved, None if none is."""
    clone_kept_at: Mapped[datetime | None]
    """When its clone was put aside as `runs/<run>/kept`, since not all in it is saved."""
    clone_removed_at: Mapped[datetime | None]
    """When its clone was removed: all in it is saved, or a person had what was kept removed."""
    last_active_at: Mapped[datetime | None]
    progress: Mapped[str | None]
    """What its agent last said it does; `progressed_at` says when that was."""
    progress_percent: Mapped[int | None]
    progressed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]

    @property
    def container(self) -> str | None:
        """What its container is called; None for a process, and for a run that has none yet or no more."""
        has_one = self.isolation == "docker" and self.started_at is not None and self.closed_at is None
        return container_name(self.id) if has_one else None


class TokenKind(StrEnum):
    """Who was given a token, and so what it opens."""

    AGENT = "agent"
    """All that its run may do."""
    SETUP = "setup"
    """Hosts that the set-up of its run may reach, and nothing else; it goes when the agent starts."""
    CHECK = "check"
    """Hosts that a check may reach, and nothing else."""


class AgentToken(Base):
    """The hash of a token an agent run may speak with. Rows outlive their run: known but over is a 409."""

    __tablename__ = "agent_tokens"
    __table_args__ = (one_of("kind", TokenKind), Index("ix_agent_tokens_name", text("sha256(hash)")))

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    agent_run_id: Mapped[UUID] = mapped_column(ForeignKey("agent_runs.id"), index=True)
    kind: Mapped[TokenKind] = mapped_column(
        State(TokenKind), default=TokenKind.AGENT, server_default=text("'agent'")
    )


class Node(Base):
    """One machine with a worker that can host agents."""

    __tablename__ = "nodes"
    __table_args__ = (CheckConstraint("capacity > 0", name="capacity_positive"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    capacity: Mapped[int]
    heartbeat_at: Mapped[datetime]
