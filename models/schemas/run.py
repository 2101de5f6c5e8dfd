"""What crosses between the orchestrator and a running agent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from models.states import Failure


def container_name(run_id: UUID) -> str:
    """The one name that a run's container can have: so there is one at most."""
    return f"egg-{run_id}"


class Wake(StrEnum):
    """How an agent learns that there is something new in its signal file."""

    USR1 = "USR1"
    """By SIGUSR1, which those of its processes get that have a handler for it."""
    NONE = "none"
    """Not at all: it looks when it likes, or hears of it at its next poll."""


@dataclass(frozen=True)
class Command:
    """How an agent's program is started, whoever runs it and wherever."""

    argv: tuple[str, ...]
    """The program and its arguments: never secrets, since everybody on the machine may read them."""
    stdin: str
    """What it reads on its standard input, to the end; its prompt file holds the same."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that the program itself needs; they win over its definition's."""


class Container(BaseModel):
    """What a container is made from, and what it may take of its machine."""

    model_config = ConfigDict(frozen=True)

    image: str = "egg-agent:latest"
    memory: int = 4 << 30
    """Bytes, swap and what is in its /tmp among them."""
    cpus: float = 2
    pids: int = 512
    """Processes and threads."""
    disk: int = 10 << 30
    """Bytes of its clone, its role's HOME and its output."""
    runtime: str | None = None
    """Another one than the engine's own: `runsc` is gVisor's."""


class Launch(BaseModel):
    """Everything a runner needs to start one agent run, once."""

    model_config = ConfigDict(frozen=True)

    run_id: UUID
    argv: tuple[str, ...] = Field(min_length=1)
    environment: dict[str, str]
    secrets: dict[str, str] = Field(default_factory=dict, repr=False)
    """Further variables, whose values are written nowhere and are hidden in the output."""
    directory: Path
    clone_of: UUID | None = None
    """The run whose clone or checkout that is, where it is another's, as a set-up's is."""
    home: Path | None = None
    """The role's own, kept for all its runs; without one the run has its own, which goes with it."""

    prompt: str = ""
    """What it finds in its prompt file, and on its standard input."""
    wake: Wake = Wake.NONE
    token: str | None = Field(default=None, repr=False)

    goes_out: bool = False
    """Whether a container without a token is led to the gateway, too: its proxy is told among the secrets."""

    container: Container | None = None
    """Where the agent runs, for a runner of containers."""
    labels: dict[str, str] = Field(default_factory=dict)
    """What a container is to say of its run, to whoever looks at the engine."""
    reads: tuple[Path, ...] = ()
    """Further files and directories of ours that a container has, at the same path, to read."""


class Exit(BaseModel):
    """How an agent run's process ended; with neither code, signal nor error it vanished without a trace."""

    model_config = ConfigDict(frozen=True)

    exit_code: int | None = Field(default=None, ge=0, le=255)
    signal: int | None = Field(default=None, gt=0, le=64)
    error: str | None = None
    """Why the program could not be started at all."""
    is_missing: bool = False
    """Whether there is no such program, or none that can be run, so that trying again is of no use."""
    is_unset: bool = False
    """Whether a variable that its definition takes from here is not there."""
    is_set_up: bool = False
    """Whether it was not started since its set-up has failed."""
    stopped: bool = False
    """Whether the system had asked it to stop before it ended."""
    is_out_of_memory: bool = False
    """Whether the kernel ended some of its processes for want of the memory that it may take."""
    is_swept: bool = True
    """Whether its supervisor saw the last of its processes go."""
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def vanished(self) -> bool:
        """Whether the process is gone and left no outcome: it, its supervisor or its machine was killed."""
        return self.exit_code is None and self.signal is None and self.error is None


@dataclass(frozen=True)
class Report:
    """What a backend makes of how its program ended and of what it has written."""

    failure: Failure | None
    """How it failed, as far as the program can tell; None if it ended well."""
    written: str
    """The end of what it wrote, as people read it; its result is looked for there."""
