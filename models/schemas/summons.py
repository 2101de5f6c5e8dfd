"""What an agent that runs is asked to do by a moment, as its signal file tells it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from models.schemas.message import MessageType


class Why(StrEnum):
    """What a summons is about."""

    TIME = "time"
    """Its time is up."""
    PHASE = "phase"
    """Its phase takes too long."""
    IDLE = "idle"
    """It has not been active for long."""


@dataclass(frozen=True)
class Summons:
    """A call to give a verdict; the same as long as nothing new is asked."""

    kind: MessageType
    by: datetime
    why: Why
