"""The kinds of message on a pipeline's bus, and a message as it is read."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, JsonValue


class MessageType(StrEnum):
    """What a message is; it decides who may send it and whether it wakes its reader."""

    PROGRESS = "PROGRESS"
    QUESTION = "QUESTION"
    RESPONSE = "RESPONSE"
    STATUS = "STATUS"
    HANDOFF = "HANDOFF"
    AGENT_FAILED = "AGENT_FAILED"
    CONVERGE = "CONVERGE"
    FINALIZE = "FINALIZE"
    DIRECTIVE = "DIRECTIVE"


FROM_AGENTS = frozenset(
    {
        MessageType.PROGRESS,
        MessageType.QUESTION,
        MessageType.RESPONSE,
        MessageType.STATUS,
        MessageType.HANDOFF,
    }
)
"""What an agent may send; all else comes from the system or a person."""
WAKING = frozenset({MessageType.QUESTION, MessageType.RESPONSE, MessageType.HANDOFF, MessageType.DIRECTIVE})
"""What makes a role due when it is addressed to that role alone."""

TO_ALL = "all"
TO_ORCHESTRATOR = "orchestrator"
TO_HUMAN = "human"


class MessageRead(BaseModel):
    """A line on a pipeline's bus; ids are 1, 2, 3… without gaps, in commit order."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: int
    pipeline_id: str
    phase: str
    iteration: int
    from_role: str
    to_role: str
    message_type: MessageType
    subject: str
    body: str
    metadata: dict[str, JsonValue]
    in_reply_to: int | None
    timestamp: datetime
