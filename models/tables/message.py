"""Messages of a pipeline's bus."""

import json
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.schemas.message import WAKING
from models.tables.base import Base, words

IS_WAKING = text(f"message_type IN ({words(*WAKING)})")
"""Written out, so that the planner knows it for the predicate of the partial indexes."""


class Message(Base):
    """A line on a pipeline's bus. Ids are 1, 2, 3… per pipeline, gapless and in commit order."""

    __tablename__ = "messages"
    __table_args__ = (
        CheckConstraint("id > 0", name="id_counted_from_one"),
        CheckConstraint("char_length(subject) <= 200", name="subject_short"),
        CheckConstraint("octet_length(body) <= 65536", name="body_within_64_kib"),
        Index("ix_messages_recipient", "pipeline_id", "to_role", "id"),
        Index("ix_messages_waking", "pipeline_id", "to_role", "id", postgresql_where=IS_WAKING),
        Index("ix_messages_waking_tip", "pipeline_id", "id", postgresql_where=IS_WAKING),
        Index(
            "uq_messages_client_key",
            "pipeline_id",
            "from_role",
            "client_key",
            unique=True,
            postgresql_where="client_key IS NOT NULL",
        ),
    )

    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipelines.id"), primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    phase_run_id: Mapped[UUID | None] = mapped_column(ForeignKey("phase_runs.id"))
    phase: Mapped[str]
    iteration: Mapped[int]
    from_role: Mapped[str]
    to_role: Mapped[str]
    message_type: Mapped[str]
    subject: Mapped[str] = mapped_column(default="")
    body: Mapped[str] = mapped_column(default="")
    metadata_: Mapped[dict[str, object]] = mapped_column("metadata", default=dict)
    in_reply_to: Mapped[int | None] = mapped_column(BigInteger)
    client_key: Mapped[str | None]
    created_at: Mapped[datetime]

    @property
    def size(self) -> int:
        """Bytes of what its sender wrote."""
        metadata = json.dumps(self.metadata_, ensure_ascii=False) if self.metadata_ else ""
        return sum(len(text.encode()) for text in (self.subject, self.body, metadata))
