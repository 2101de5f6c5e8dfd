"""The base of a repository, as it is now, on its way into a pipeline's work branch."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.states import LIVE_REBASES, RebaseStatus
from models.tables.base import Base, State, one_of, words


class Rebase(Base):
    """A person's wish that the work branch takes in the present base, and what came of it.

    It is the pipeline's, not a phase run's: what one could not merge before it ended, the next one does.
    """

    __tablename__ = "rebases"
    __table_args__ = (
        one_of("status", RebaseStatus),
        CheckConstraint(
            "(status = 'merged') = (merge_commit IS NOT NULL) AND (status <> 'merged' OR commit IS NOT NULL)",
            name="merged_has_commits",
        ),
        Index("ix_rebases_pipeline", "pipeline_id", "id"),
        Index(
            "uq_rebases_live",
            "pipeline_id",
            unique=True,
            postgresql_where=text(f"status IN ({words(*LIVE_REBASES)})"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipelines.id", ondelete="CASCADE"))
    phase_run_id: Mapped[UUID | None] = mapped_column(ForeignKey("phase_runs.id", ondelete="CASCADE"))
    """The phase run it was merged in, whose roles are to see it; None where it brought nothing."""
    status: Mapped[RebaseStatus] = mapped_column(State(RebaseStatus), default=RebaseStatus.PENDING)
    commit: Mapped[str | None]
    """The base's commit; None until it was fetched, which whoever merges it does."""
    merge_commit: Mapped[str | None]
    conflict_paths: Mapped[list[str]] = mapped_column(default=list)
    why: Mapped[str] = mapped_column(default="")
    """Why it could not be fetched or merged."""
    tries: Mapped[int] = mapped_column(default=0)
    send_after: Mapped[datetime | None]
    """When one that is being merged is to be sent to a worker again."""
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
