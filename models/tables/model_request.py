"""What agents asked of models by the gateway, and keys that nobody is to ask with for a while."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base, State, one_of

UNENDED = text("ended_at IS NULL")


class UsageKnown(StrEnum):
    """How much is known of what a request has used."""

    WHOLE = "whole"
    """The provider said it."""
    PART = "part"
    """The answer was cut: what it had said by then, with the output it had sent."""
    NONE = "none"
    """Nothing: whatever it was, it is not nothing."""
    UNUSED = "unused"
    """No model answered, so that there is nothing to know."""


class HoldReason(StrEnum):
    """Why a key is not asked with."""

    AUTH = "auth"
    """It is refused (401)."""
    QUOTA = "quota"
    """It has none left for more than a minute (429)."""
    CAPACITY = "capacity"
    """It asks too fast, or the provider is overloaded (429, 529)."""


class ModelRequest(Base):
    """One request of an agent run to a provider; there from before it is sent.

    What ends it is written over it. A row without an end whose gateway is gone is ended by the next one of
    that machine; how much it used is not known, and never counted as nothing.
    """

    __tablename__ = "model_requests"
    __table_args__ = (
        one_of("usage", UsageKnown),
        Index("ix_model_requests_unended", "node", postgresql_where=UNENDED),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    agent_run_id: Mapped[UUID] = mapped_column(ForeignKey("agent_runs.id", ondelete="CASCADE"), index=True)
    node: Mapped[str]
    """The machine whose gateway passes it on."""
    provider: Mapped[str]
    model: Mapped[str | None]
    """As the provider called it in its answer."""
    http_status: Mapped[int | None]
    """The provider's; None as long as there is none."""
    usage: Mapped[UsageKnown] = mapped_column(State(UsageKnown), default=UsageKnown.NONE)
    input_tokens: Mapped[int | None]
    """What was read anew, and neither from nor into a cache."""
    cache_read_tokens: Mapped[int | None]
    cache_write_tokens: Mapped[int | None]
    output_tokens: Mapped[int | None]
    """All that was written, reasoning among it."""
    reasoning_tokens: Mapped[int | None]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    milliseconds: Mapped[int | None]
    """None where nobody saw its end."""
    money: Mapped[Decimal | None]
    price_version: Mapped[str | None]
    kind: Mapped[str | None]
    """What it was for."""


class CredentialHold(Base):
    """A provider's key that no agent's request goes out with until a moment; then one is let through.

    What that one is answered lifts the hold or lengthens it; if that is nothing, another is let through.
    """

    __tablename__ = "credential_holds"
    __table_args__ = (one_of("reason", HoldReason),)

    credential: Mapped[str] = mapped_column(primary_key=True)
    """The secret's name."""
    reason: Mapped[HoldReason] = mapped_column(State(HoldReason))
    http_status: Mapped[int]
    strikes: Mapped[int]
    """How often in a row the provider has said so."""
    since: Mapped[datetime]
    until: Mapped[datetime]
