"""The definition file: one piece of work on one repository, who does it and by which rules."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Field, Strict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from models.consensus.policy import Mode, PhasePolicy
from models.schemas import sentences
from models.schemas.fault import MAX_FAULTS, Fault, Faulty, Path
from models.schemas.isolation import Isolated, Isolation
from models.schemas.network import Network
from models.schemas.roster import Convergence, Flag, Gate, Phase, PhaseCheck, RosterNeed, RosterRole
from models.schemas.roster_faults import roster_faults
from models.schemas.run import Wake
from models.schemas.set_up import Cache, CloneSetUp, include_faults
from models.schemas.shape import Shape
from models.schemas.text import (
    CommitId,
    Listed,
    OperandText,
    PipelineId,
    ProviderName,
    RoleName,
    SaidText,
    Text,
    Variable,
    refused,
)
from models.schemas.variables import Secret, SecretName, Taken, Value

__all__ = ["Agent", "Config", "Definition", "Fault", "Faulty", "Isolation", "json_schema", "validate"]


Count = Annotated[int, Strict(), Field(ge=1, le=1000)]
Minutes = Annotated[float, Strict(), Field(gt=0, le=100_000, allow_inf_nan=False)]
Seconds = Annotated[float, Strict(), Field(ge=0, le=86_400, allow_inf_nan=False)]


def _whole(value: object) -> object:
    """Refuse `true` and 1.0, which Python takes for 1."""
    if type(value) is not int:
        raise PydanticCustomError("int_type", "must be a whole number")
    return value


class Config(Shape):
    """The numbers a pipeline runs by."""

    concurrent_execution: Flag = False
    """Whether phases without a `mode` of their own run `concurrent`; otherwise they run in `waves`."""
    max_concurrent_agents: Count = 4
    """How many agents of this pipeline may run at a time."""
    message_poll_hint_seconds: Seconds = 30
    """How often an agent that stays may look for messages."""
    max_rounds: Count = 6
    """How often a role may be run in one phase before a person is asked."""
    max_iterations: Count = 5
    """How often a phase that has `convergence` is run until it converges; a restart uses none up."""
    objection_grace_seconds: Seconds = 20
    """How long other reviewers may still speak before an objection is handed over."""
    verdict_grace_seconds: Seconds = 30
    """How long an agent may go on after its verdict before it is stopped."""
    consensus_timeout_minutes: Minutes = 30
    """How long a phase may take before its agents are asked to converge."""
    finalize_minutes: Minutes = 3
    """How long they have from then, and again at most as long while versions and verdicts arrive."""
    agent_idle_timeout_minutes: Minutes = 60
    """How long an agent may do nothing before it is asked to converge, and then stopped."""


class AgentShape(Shape):
    """What is said of every agent, whatever its backend."""

    not_built: ClassVar[frozenset[str]] = frozenset({"model"})

    backend: str
    """How the program is started and understood."""
    isolation: Isolated | None = None
    """Where it runs, where that is otherwise than the definition says of all; `docker` is {kind: docker}."""
    wake: Wake = Wake.NONE
    """Whether it gets SIGUSR1 when its signal file says something new. Node programs open a debugger then."""
    environment: dict[Variable, Value] = Field(default_factory=dict)
    """Variables added to what every agent finds: text, {from: NAME} of the worker's, or {secret: NAME}."""
    secrets: Annotated[tuple[SecretName, ...], Field(max_length=100), Listed] = ()
    """Secrets it is given, as variables of their names: files of EGG_SECRETS_DIR where it is launched."""
    providers: Annotated[tuple[ProviderName, ...], Field(max_length=20), Listed] = ()
    """Whose models it may ask by the gateway, with keys it does not see: providers of settings.toml."""
    workspace: CloneSetUp | None = None
    """What makes its clones ready, in the place of the definition's own `workspace`."""

    @property
    def literals(self) -> Mapping[str, str]:
        """Those of its variables whose values the definition holds."""
        return {name: value for name, value in self.environment.items() if isinstance(value, str)}

    @property
    def taken(self) -> Mapping[str, str]:
        """The others, each with the name that it has where it is taken from."""
        return {name: value.variable for name, value in self.environment.items() if isinstance(value, Taken)}

    @property
    def secret(self) -> Mapping[str, str]:
        """Variables that are secrets of the machine, each with the secret's name."""
        named = {name: value.secret for name, value in self.environment.items() if isinstance(value, Secret)}
        return {name: name for name in self.secrets} | named

    @model_validator(mode="after")
    def check_secrets(self) -> Self:
        """Refuse a variable that is said twice, and a secret that would be shown wherever programs are."""
        if twice := [
            name for name in self.secrets if name in self.environment or self.secrets.count(name) > 1
        ]:
            raise refused(f"gives {twice[0]} twice: name it once, in `secrets` or in `environment`")
        if "PATH" in self.secret:
            raise refused("has a secret for its PATH, which is where programs are looked for, and no secret")
        return self


class CommandAgent(AgentShape):
    """An agent that is any program: its prompt is its standard input, and exit code 0 means all is well."""

    backend: Literal["command"]
    """How the program is started and understood; `command` runs any program."""
    command: Annotated[tuple[Text, ...], Field(min_length=1, max_length=256), Listed]
    """The program and its arguments; a relative path is looked for in the role's clone."""


Agent = Annotated[CommandAgent, Field(discriminator="backend")]
"""A program that can play a role: a shape for each backend."""
AGENTS: Mapping[str, type[AgentShape]] = {"command": CommandAgent}
"""The shapes of `Agent`, by backend."""
FIRST = "command"


class Definition(Shape):
    """What a pipeline is to do, pinned when it is created."""

    not_built: ClassVar[frozenset[str]] = frozenset({"preset", "sources", "budget"})

    version: Annotated[Literal[1], BeforeValidator(_whole)]
    """The version of this format."""
    name: PipelineId | None = None
    """The pipeline's id; one is made up when it is not given."""
    repo: OperandText
    """The repository: a path, relative to the file, or a git URL."""
    base: OperandText | None = None
    """What the work starts from, as `git rev-parse` reads it in the repository; its HEAD when not given."""
    base_commit: CommitId | None = None
    """The full id of the commit that `base` stands for; `egg run` and `egg pipeline create` find it."""
    prompt: SaidText
    """What is to be done, in words for the agents."""
    config: Config = Config()
    """The numbers the pipeline runs by."""
    isolation: Isolated = Isolation()
    """Where agents run that do not say so themselves; `docker` alone stands for {kind: docker}."""
    workspace: CloneSetUp | None = None
    """What makes clones ready before agents start in them, and checkouts before checks."""
    agents: dict[RoleName, Agent]
    """The programs that play the roles, by name."""
    phases: Annotated[tuple[Phase, ...], Field(min_length=1, max_length=1000), Listed]
    """The phases, in order."""

    def phase_policy(self, position: int) -> PhasePolicy:
        """Build the rules the decision function plays the phase at *position* by."""
        phase, config = self.phases[position], self.config
        return PhasePolicy(
            name=phase.name,
            roles=tuple(role.policy() for role in phase.roles),
            mode=phase.mode or (Mode.CONCURRENT if config.concurrent_execution else Mode.WAVES),
            check=phase.check.policy() if phase.check else None,
            gate=phase.gate.policy() if phase.gate else None,
            max_concurrent_agents=config.max_concurrent_agents,
            max_rounds=config.max_rounds,
            objection_grace=timedelta(seconds=config.objection_grace_seconds),
            verdict_grace=timedelta(seconds=config.verdict_grace_seconds),
            convergence=phase.convergence.policy() if phase.convergence else None,
            max_iterations=config.max_iterations,
            consensus_timeout=timedelta(minutes=config.consensus_timeout_minutes),
            finalize=timedelta(minutes=config.finalize_minutes),
            idle_timeout=timedelta(minutes=config.agent_idle_timeout_minutes),
        )

    def preparation(self, position: int, role: str | None) -> CloneSetUp | None:
        """What makes the clone of a role ready in the phase at *position*, or without a role a checkout."""
        own = self.agent(position, role).workspace if role else None
        return own or self.workspace

    def agent(self, position: int, role: str) -> Agent:
        """Return who plays *role* in the phase at *position*; an unknown role is a bug."""
        seat = self._seat(position, role)
        return self.agents[seat.agent or seat.role]

    def isolation_of(self, position: int, role: str) -> Isolation:
        """Return where the agent of *role* runs in the phase at *position*."""
        found = self.isolation
        for said in (self.agent(position, role).isolation, self._seat(position, role).isolation):
            found = said.over(found) if said else found
        return found

    @property
    def images(self) -> Mapping[str, Sequence[str]]:
        """What its containers are made from, each with who is in one: roles, and checks."""
        found: dict[str, dict[str, None]] = {}
        for who, isolation in self._places():
            if container := isolation.container:
                found.setdefault(container.image, {})[who] = None
        return {image: tuple(roles) for image, roles in found.items()}

    @property
    def processes(self) -> Sequence[str]:
        """Who has no container of its own: roles, and checks."""
        return tuple(dict.fromkeys(who for who, isolation in self._places() if not isolation.container))

    def _places(self) -> Iterator[tuple[str, Isolation]]:
        """Where each role, and each check, runs in each phase."""
        for position, phase in enumerate(self.phases):
            for seat in phase.roles:
                yield seat.role, self.isolation_of(position, seat.role)
            if phase.check:
                yield f"the check of {phase.name}", self.check_isolation(position)

    def check_isolation(self, position: int) -> Isolation:
        """Return where the check of the phase at *position* runs, which executes what the agents wrote.

        As the phase's first role in a container, but with no network that is not its own; a process where
        every role is one.
        """
        phase = self.phases[position]
        of_roles = (self.isolation_of(position, seat.role) for seat in phase.roles)
        first = next((found for found in of_roles if found.container is not None), Isolation())
        first = first.model_copy(update={"network": None})
        own = phase.check.isolation if phase.check else None
        return own.over(first) if own else first

    def _seat(self, position: int, role: str) -> RosterRole:
        return next(seat for seat in self.phases[position].roles if seat.role == role)


class FormatPart(NamedTuple):
    """Where a shape of the format stands; `*` is any position, or an agent's name."""

    path: Path
    shape: type[Shape]
    backend: str = ""
    """Whose agents it is the shape of, where that matters."""
    key: str = ""
    """Which key tells it from the other shapes that may stand there."""


PARTS: Sequence[FormatPart] = (
    FormatPart((), Definition),
    FormatPart(("config",), Config),
    FormatPart(("isolation",), Isolation),
    FormatPart(("isolation", "network"), Network),
    *(FormatPart(("agents", "*"), shape, backend) for backend, shape in AGENTS.items()),
    FormatPart(("agents", "*", "isolation"), Isolation),
    FormatPart(("agents", "*", "isolation", "network"), Network),
    FormatPart(("agents", "*", "environment", "*"), Taken, key="from"),
    FormatPart(("agents", "*", "environment", "*"), Secret, key="secret"),
    FormatPart(("workspace",), CloneSetUp),
    FormatPart(("workspace", "cache"), Cache),
    FormatPart(("agents", "*", "workspace"), CloneSetUp),
    FormatPart(("agents", "*", "workspace", "cache"), Cache),
    FormatPart(("phases", "*"), Phase),
    FormatPart(("phases", "*", "check"), PhaseCheck),
    FormatPart(("phases", "*", "check", "isolation"), Isolation),
    FormatPart(("phases", "*", "check", "isolation", "network"), Network),
    FormatPart(("phases", "*", "convergence"), Convergence),
    FormatPart(("phases", "*", "gate"), Gate),
    FormatPart(("phases", "*", "roles", "*"), RosterRole),
    FormatPart(("phases", "*", "roles", "*", "needs", "*"), RosterNeed),
    FormatPart(("phases", "*", "roles", "*", "isolation"), Isolation),
    FormatPart(("phases", "*", "roles", "*", "isolation", "network"), Network),
)
"""Every shape of the format."""

_UNBUILT_VALUES = {
    ("backend",): ("claude", "codex", "command"),
}


def validate(document: object) -> Definition:
    """Check a definition as it was read from YAML or JSON; `Faulty` carries every fault, never just one.

    Past `MAX_FAULTS` it stops looking: nobody mends more at a time.
    """
    faults: list[Fault] = []
    try:
        definition = Definition.model_validate(document)
    except ValidationError as error:
        listed = sentences.telling([*_errors(error)])
        faults = [_fault(each) for each in islice(listed, MAX_FAULTS)]
    faults.extend(islice(roster_faults(document), MAX_FAULTS))
    faults.extend(include_faults(document))
    if faults:
        raise Faulty.of(faults[:MAX_FAULTS])
    return definition


def json_schema() -> dict[str, object]:
    """Return the JSON Schema of the definition file, for editors and readers."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Definition.model_json_schema(mode="validation"),
    }


def _errors(error: ValidationError) -> Iterator[ErrorDetails]:
    """Pydantic's errors. An agent of no backend that is built is told what one of the first would be told."""
    for each in error.errors(include_url=False):
        if each["type"] not in {"union_tag_invalid", "union_tag_not_found"}:
            yield each
            continue
        try:
            AGENTS[FIRST].model_validate(each["input"])
        except ValidationError as inner:
            for found in inner.errors(include_url=False):
                is_choice = found["loc"] == ("backend",) and found["type"] == "literal_error"
                context = {"expected": " or ".join(map(repr, AGENTS))} if is_choice else found.get("ctx", {})
                yield {**found, "loc": (*each["loc"], FIRST, *found["loc"]), "ctx": context}


def _fault(error: ErrorDetails) -> Fault:
    """Turn one of pydantic's errors into a fault, knowing what this version has not built yet."""
    backend, loc = _untagged(error["loc"])
    if error["type"] == "extra_forbidden":
        path = tuple("*" if _is_any(loc, index) else step for index, step in enumerate(loc[:-1]))
        return Fault(loc, _unknown(str(loc[-1]), _shape(path, backend)))
    *unbuilt, built = next((said for end, said in _UNBUILT_VALUES.items() if loc[-len(end) :] == end), ("",))
    if error["type"] == "literal_error" and error["input"] in unbuilt:
        return Fault(loc, f"`{error['input']}` is not built yet; use `{built}`")
    return sentences.fault({**error, "loc": loc})


def _untagged(loc: Path) -> tuple[str, Path]:
    """The backend that pydantic names within the path to an agent's keys, and the path as people write it."""
    if loc[:1] == ("agents",) and loc[2:3] and loc[2] in AGENTS:
        return str(loc[2]), (*loc[:2], *loc[3:])
    return "", loc


def _shape(path: Path, backend: str) -> type[Shape]:
    return next(part.shape for part in PARTS if part.path == path and part.backend in {"", backend})


def _is_any(loc: Path, index: int) -> bool:
    """Whether the step at *index* is a position or an agent's name rather than a key of the format."""
    return isinstance(loc[index], int) or (index == 1 and loc[0] == "agents")


def _unknown(key: str, shape: type[Shape]) -> str:
    if key in shape.not_built:
        return f"`{key}` is not built yet; remove it"
    return sentences.unknown_key(key, shape.model_fields)
