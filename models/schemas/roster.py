"""One phase of a definition: who works in it, who needs and reviews whom, and what must be green."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, Strict, ValidationInfo, model_validator

from models.consensus import role_kinds
from models.consensus.policy import (
    DEFAULT_CRITERIA,
    CheckPolicy,
    Criteria,
    GatePolicy,
    Mode,
    NeedPolicy,
    OnFailure,
    RolePolicy,
)
from models.consensus.role_kinds import RoleKind
from models.schemas.isolation import Isolated
from models.schemas.shape import Shape
from models.schemas.text import (
    Line,
    Listed,
    OperandText,
    Option,
    Options,
    PhaseName,
    Question,
    RoleName,
    SaidText,
    is_stored,
    refused,
)

MAX_ROLES = 256

Flag = Annotated[bool, Strict()]
Percent = Annotated[float, Strict(), Field(ge=0, le=100, allow_inf_nan=False)]
Tally = Annotated[int, Strict(), Field(ge=0, le=1_000_000)]


class RosterNeed(Shape):
    """A role that must be settled, and its work merged, before this one first runs."""

    role: Line
    """The role that is needed."""
    hard: Flag = False
    """Whether the need also holds in mode `concurrent`, which ignores all others."""


def _as_need(value: object) -> object:
    return {"role": value} if isinstance(value, str) else value


Needed = Annotated[RosterNeed, BeforeValidator(_as_need, json_schema_input_type=str | RosterNeed)]


def _usual_kind(value: object, info: ValidationInfo) -> object:
    """A kind that is not given follows from the role's name; it is pinned, so that it stays what it is."""
    name = info.data.get("role")
    if value is not None or name is None:
        return value
    return role_kinds.of_stored(name) if is_stored(info) else role_kinds.of(name)


class RosterRole(Shape):
    """A role of the phase. Required roles must agree before the phase ends; advisory ones may speak."""

    role: RoleName
    """The role's name, unique in its phase. Messages, branches and tokens carry it."""
    kind: Annotated[RoleKind | None, BeforeValidator(_usual_kind), Field(validate_default=True)] = None
    """What the role is for, which rules go by; when not given, what its name usually means, if anything."""
    agent: OperandText | None = None
    """Which of `agents` plays it; the one of the same name when not given."""
    needs: Annotated[tuple[Needed, ...], Field(max_length=MAX_ROLES), Listed] = ()
    """Roles of this phase that come first: a name, or {role: name, hard: true}."""
    reviews: Annotated[tuple[Line, ...], Field(max_length=MAX_ROLES), Listed] = ()
    """Roles of this phase whose every new version this one must have seen before its READY counts."""
    required: Flag = True
    """Whether the phase waits for this role's agreement."""
    on_failure: OnFailure | None = None
    """What follows when its agent fails; `ask` for a required role, `continue` for an advisory one."""
    isolation: Isolated | None = None
    """Where its agent runs in this phase, where that is otherwise than the agent says."""

    def policy(self) -> RolePolicy:
        """Build the rules the decision function knows this role by."""
        default = OnFailure.ASK if self.required else OnFailure.CONTINUE
        return RolePolicy(
            role=self.role,
            required=self.required,
            needs=tuple(NeedPolicy(need.role, need.hard) for need in self.needs),
            reviews=self.reviews,
            on_failure=self.on_failure or default,
            agent=self.agent or "",
            kind=self.kind,
        )


class PhaseCheck(Shape):
    """A command that must succeed on the merged commit before the phase may end."""

    run: SaidText
    """A shell command, run by the orchestrator in a fresh checkout, once per commit."""
    owner: Line | None = None
    """The role that mends a red check; when not given, the one whose work was merged last."""
    isolation: Isolated | None = None
    """Where it runs, where that is not as the phase's first role in a container, but without its network."""

    def policy(self) -> CheckPolicy:
        """Build the rule the decision function knows this check by."""
        return CheckPolicy(run=self.run, owner=self.owner)


class Convergence(Shape):
    """What a phase's results must reach; only the keys that are given are asked for, all if none is."""

    test_pass_rate: Percent | None = None
    """At least so many per cent of the tests pass (90)."""
    coverage: Percent | None = None
    """At least so many per cent of the code are covered (80)."""
    critical_issues: Tally | None = None
    """At most so many critical issues are left (0)."""
    open_issues: Tally | None = None
    """At most so many issues of any kind are left (3)."""

    def policy(self) -> Criteria:
        """Build the criteria the decision function knows."""
        given = {name: value for name, value in self if value is not None}
        return Criteria(**given) if given else DEFAULT_CRITERIA


class Gate(Shape):
    """A question to a person once the phase has agreed; the phase is left only if the answer lets it go."""

    question: Question
    """What the person is asked."""
    options: Annotated[Options, Field(min_length=1), Listed]
    """The answers to choose from: the first lets the phase go, every other one asks for changes."""
    default: Option | None = None
    """The answer taken when nobody gives one in time; the first option when not given."""
    after_minutes: Annotated[float, Strict(), Field(gt=0, le=525_600, allow_inf_nan=False)] | None = None
    """After how long the default is taken; fractions are good. Without it the gate waits for a person."""

    @model_validator(mode="after")
    def check_default(self) -> Self:
        """Refuse a default that is no option, and one that would begin the phase again for ever."""
        if self.default is not None and self.default not in self.options:
            raise refused(f"`default` must be one of the options: {', '.join(self.options)}")
        if self.after_minutes is not None and self.default not in {None, self.options[0]}:
            raise refused(
                "with `after_minutes` the default must be the first option: any other begins the phase"
                " again, for ever if nobody looks"
            )
        return self

    def policy(self) -> GatePolicy:
        """Build the rule the decision function knows this gate by."""
        after = None if self.after_minutes is None else timedelta(minutes=self.after_minutes)
        return GatePolicy(self.question, self.options, self.default or self.options[0], after)


class Phase(Shape):
    """A stretch in which a roster of roles works until it agrees."""

    name: PhaseName
    """The phase's name, unique in the definition."""
    mode: Mode | None = None
    """When roles first run: in roster order, when their needs are met, or all at once."""
    roles: Annotated[tuple[RosterRole, ...], Field(min_length=1, max_length=MAX_ROLES), Listed]
    """Who works in the phase; at least one role must be required."""
    check: PhaseCheck | None = None
    """What must be green on the merged work."""
    convergence: Convergence | None = None
    """What the roles' results must reach, else the phase is repeated; `{}` for the defaults."""
    gate: Gate | None = None
    """What a person is asked before the phase is left."""
