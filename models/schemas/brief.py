"""What an agent run should know now: its prompt is made of it, and `egg context` shows it."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from models.schemas.message import MessageRead


class RosterEntry(BaseModel):
    """A role of the phase, as the others see it."""

    model_config = ConfigDict(frozen=True)

    role: str
    required: bool
    state: str
    version: int
    needs: tuple[str, ...]
    reviews: tuple[str, ...]


class CauseText(BaseModel):
    """Why the run was started."""

    model_config = ConfigDict(frozen=True)

    kind: str
    text: str


class ObjectionText(BaseModel):
    """An objection as a program and a model read it."""

    model_config = ConfigDict(frozen=True)

    number: int
    from_role: str
    about_role: str
    version: int
    status: str
    round: int
    reason: str
    answer: str


class DirectiveText(BaseModel):
    """What a person answered in this pipeline, under the number of the decision."""

    model_config = ConfigDict(frozen=True)

    number: int
    question: str
    answer: str


class EndText(BaseModel):
    """How a run of the role before this one failed."""

    model_config = ConfigDict(frozen=True)

    text: str
    log_tail: tuple[str, ...]
    """The last lines it wrote."""


class Brief(BaseModel):
    """Everything a run should know when it starts."""

    model_config = ConfigDict(frozen=True)

    pipeline_id: str
    phase: str
    iteration: int
    role: str
    run_id: str
    round: int
    """How often the role has been run in this phase run, this time included."""
    branch: str
    work_branch: str
    task: str
    roster: tuple[RosterEntry, ...]
    causes: tuple[CauseText, ...]
    objections: tuple[ObjectionText, ...]
    """Those about this role that are handed over to this run, and its own live ones."""
    directives: tuple[DirectiveText, ...] = ()
    """Everything a person has answered so far, in whatever phase."""
    messages: tuple[MessageRead, ...]
    conflicts: tuple[str, ...]
    check_log: str | None
    notes: tuple[str, ...]
    last_end: EndText | None = None
    """How the role's last run ended, if it failed."""
    left_out: Mapping[str, str] = {}
    """By field, a sentence on what it had no room for, and how to get at it."""
    feedback: tuple[str, ...] = ()
    """What the iteration before left this role to do."""
    focus: str | None = None
    """What to look at in this iteration, where the phase is repeated until it converges."""
    criteria: str | None = None
    """What the phase's results must reach, where it is."""
    result_fields: tuple[str, ...] = ()
    """What the role is to report with `egg result submit`, where it is."""
    started_at: datetime | None
    soft_deadline_at: datetime | None
    """When the phase is asked to converge."""
    converge_at: datetime | None
    """When it was asked; None while it was not."""
    hard_deadline_at: datetime | None
    """When its agents are stopped; known once it was asked."""
