"""Where an agent of the definition runs, and what it reaches from there."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator

from models.schemas.network import Network
from models.schemas.shape import Shape


class Isolation(Shape):
    """Where an agent runs."""

    not_built: ClassVar[frozenset[str]] = frozenset({"image", "memory", "cpus", "pids", "disk", "runtime"})

    kind: Literal["process"] = "process"
    """A process of the orchestrator's own user: for commands you trust."""
    network: Network | None = None
    """What it reaches by the gateway. A process can go past it, and without this is told of none."""

    def over(self, other: "Isolation") -> "Isolation":
        """This one where it says something, and *other* where it does not."""
        return other.model_copy(update={name: getattr(self, name) for name in self.model_fields_set})


def _whole(value: object) -> object:
    """The short form."""
    return {"kind": value} if isinstance(value, str) else value


Isolated = Annotated[Isolation, BeforeValidator(_whole, json_schema_input_type=str | Isolation)]
