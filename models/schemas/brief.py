"""What an agent run should know now, as facts: its prompt is made of them, and `egg context` shows them."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from models.consensus.policy import Criteria
from models.consensus.role_kinds import RoleKind
from models.consensus.step import Cause
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


class LeftOut(BaseModel):
    """How much of a part of a brief there was no room for."""

    model_config = ConfigDict(frozen=True)

    number: int
    is_least: bool = False
    """Whether there are more than were counted."""
    first: int = 0
    last: int = 0
    """Of messages: the first and the last of their ids."""
    after: int = 0
    """The id of the last message that there was room for."""


class LeftBehind(BaseModel):
    """What became of the unpublished work of a role's run that ended as it should not."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    number: int
    commit: str = ""
    """What it was saved as, if it was."""
    branch: str = ""
    """Where what READY was refused for is."""
    kept: str = ""
    """The paths of what could not be saved."""
    is_removed: bool = False
    """Whether a person has removed that."""


class Cycle(BaseModel):
    """Where a phase is that is repeated until it converges."""

    model_config = ConfigDict(frozen=True)

    kind: RoleKind | None
    """That of the role whose run it is."""
    iteration: int
    most: int
    """Iterations that count: the how-manieth this one is, and of how many at most."""
    is_to_work_first: bool
    """Whether the whole is to work end to end before every criterion is held to."""
    criteria: Criteria
    """What the phase's results must reach."""
    result_fields: tuple[str, ...]
    """What the role is to report with `egg result submit`."""


class BriefShape(BaseModel):
    """What a run should know, as far as it is said alike to programs and in prompts."""

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
    objections: tuple[ObjectionText, ...]
    """Those about this role that are handed over to this run, and its own live ones."""
    directives: tuple[DirectiveText, ...] = ()
    """Everything a person has answered so far, in whatever phase."""
    messages: tuple[MessageRead, ...]
    conflicts: tuple[str, ...]
    check_log: str | None
    last_end: EndText | None = None
    """How the role's last run ended, if it failed."""
    feedback: tuple[str, ...] = ()
    """What the iteration before left this role to do."""
    started_at: datetime | None
    soft_deadline_at: datetime | None
    """When the phase is asked to converge."""
    converge_at: datetime | None
    """When it was asked; None while it was not."""
    hard_deadline_at: datetime | None
    """When its agents are stopped; known once it was asked."""


class Brief(BriefShape):
    """Everything a run should know when it starts; `egg_tasks/prompts/` has the words for it."""

    causes: tuple[Cause, ...]
    left_behind: LeftBehind | None = None
    """What became of the work of the role's last run, where that is in no version."""
    lacking: tuple[str, ...] = ()
    """Submodules that its clone does not have the files of."""
    left_out: Mapping[str, LeftOut] = {}
    """By the part of the prompt, what it had no room for."""
    cycle: Cycle | None = None
    """Where the phase is, if it is repeated until it converges."""


class Context(BriefShape):
    """Everything a run should know now, as `egg context` shows it."""

    causes: tuple[CauseText, ...]
    notes: tuple[str, ...]
    left_out: Mapping[str, str] = {}
    """By field, a sentence on what it had no room for, and how to get at it."""
    focus: str | None = None
    """What to look at in this iteration, where the phase is repeated until it converges."""
    criteria: str | None = None
    """What the phase's results must reach, where it is."""
    result_fields: tuple[str, ...] = ()
    """What the role is to report with `egg result submit`, where it is."""
