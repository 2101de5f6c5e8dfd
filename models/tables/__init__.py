"""One module per aggregate."""

from models.tables.agent_run import AgentRun, AgentToken, Node, TokenKind
from models.tables.base import Base, move_to
from models.tables.clock import Clock
from models.tables.decision import Decision
from models.tables.egress import Egress
from models.tables.event import Event
from models.tables.halt import Halt
from models.tables.message import Message
from models.tables.model_request import CredentialHold, ModelRequest
from models.tables.phase_run import PhaseRun, Role, Seen
from models.tables.pipeline import MessageStream, Pipeline
from models.tables.rebase import Rebase
from models.tables.repair import Repair
from models.tables.result import Result
from models.tables.share import RunShare
from models.tables.version import Check, Objection, Version, merge_to

__all__ = [
    "AgentRun",
    "AgentToken",
    "Base",
    "Check",
    "Clock",
    "CredentialHold",
    "Decision",
    "Egress",
    "Event",
    "Halt",
    "Message",
    "MessageStream",
    "ModelRequest",
    "Node",
    "Objection",
    "PhaseRun",
    "Pipeline",
    "Rebase",
    "Repair",
    "Result",
    "Role",
    "RunShare",
    "Seen",
    "TokenKind",
    "Version",
    "merge_to",
    "move_to",
]
