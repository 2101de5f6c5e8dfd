"""Where an agent of the definition runs, and what it may take of its machine there."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Strict

from models.schemas.network import Network
from models.schemas.run import Container
from models.schemas.shape import Shape
from models.schemas.text import Line, OperandText, refused

SIZE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)([kmgt])b?", re.IGNORECASE)
UNITS = {"k": 10, "m": 20, "g": 30, "t": 40}
LEAST_SIZE = 32 << 20


def bytes_of(text: str) -> int:
    """The bytes that a size stands for which was taken."""
    found = SIZE.fullmatch(text)
    assert found is not None, "it was looked at when it was taken"  # noqa: S101
    return int(float(found[1]) * (1 << UNITS[found[2].lower()]))


def _check_size(text: str) -> str:
    if not SIZE.fullmatch(text):
        raise refused("must be a number with k, m, g or t behind it, as in 512m or 4g")
    if bytes_of(text) < LEAST_SIZE:
        raise refused("must be 32m or more")
    return text


Size = Annotated[Line, AfterValidator(_check_size)]
Cores = Annotated[float, Strict(), Field(ge=0.1, le=1024, allow_inf_nan=False)]
Processes = Annotated[int, Strict(), Field(ge=8, le=1_000_000)]


Kind = Literal["process", "docker"]
OF_CONTAINERS = ("image", "memory", "cpus", "pids", "disk", "runtime")
"""What only a container has: said of a process it would hold nobody back."""


class Isolation(Shape):
    """Where an agent runs: the definition says it of all, an agent of itself, a phase's role of that phase.

    What one of them does not say, the one before it does.
    """

    kind: Kind | None = None
    """`process` (unless said): of egg's own user, for commands you trust. `docker`: its own container."""
    image: OperandText | None = None
    """What its container is made from: it needs sh, git and a python3 of 3.11 or newer (egg-agent:latest)."""
    memory: Size | None = None
    """How much memory it may take, what is in its /tmp among it (4g)."""
    cpus: Cores | None = None
    """How many processors it may take (2)."""
    pids: Processes | None = None
    """How many processes and threads it may have (512)."""
    disk: Size | None = None
    """How much its clone, its role's HOME and its output may take together (10g)."""
    runtime: OperandText | None = None
    """Another runtime than the engine's own, such as `runsc`."""
    network: Network | None = None
    """What it reaches by the gateway, beside the API (nothing). A process can go past it."""

    @property
    def runs_as(self) -> Kind:
        """What it is in the end."""
        return self.kind or "process"

    @property
    def container(self) -> Container | None:
        """What its container is made from; None for a process."""
        if self.runs_as == "process":
            return None
        asked = {"memory": self.memory, "disk": self.disk}
        sizes = {name: bytes_of(size) for name, size in asked.items() if size is not None}
        said = {
            name: value
            for name in ("image", "cpus", "pids", "runtime")
            if (value := getattr(self, name)) is not None
        }
        return Container(**said, **sizes)

    def over(self, other: "Isolation") -> "Isolation":
        """This one where it says something, and *other* where it does not: a stored one says all, as null."""
        said = {name: value for name, value in self if value is not None}
        is_other = self.kind is not None and self.kind != other.runs_as
        # The size of a container is not that of a process.
        return (Isolation(network=other.network) if is_other else other).model_copy(update=said)


def _whole(value: object) -> object:
    """The short form."""
    return {"kind": value} if isinstance(value, str) else value


Isolated = Annotated[Isolation, BeforeValidator(_whole, json_schema_input_type=str | Isolation)]
