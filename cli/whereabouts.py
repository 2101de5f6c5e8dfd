"""Where a definition's agents run and what they reach, in the words of `egg validate`."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models.schemas.definition import Definition
from models.schemas.isolation import Isolation
from models.schemas.network import Network
from models.schemas.run import Container

GIGABYTE = 1 << 30
SHARED = frozenset({"usr", "bin", "sbin"})
"""What images have as well, as a rule."""


@dataclass(frozen=True)
class Whereabouts:
    """Where one agent runs, or in one phase one of its roles."""

    who: str
    """The agent's name; of a role, its name and `in` its phase; of a check, that of its phase."""
    runs_as: str
    """`process` or `docker`."""
    image: str | None
    """What its container is made from; a process has none."""
    runs: str
    """Where, in words."""
    reaches: str
    """What it reaches, in words."""


def places(definition: Definition) -> Iterator[Whereabouts]:
    """Each agent, and behind them the roles that are elsewhere in some phase, and checks."""
    for name, agent in definition.agents.items():
        said = agent.isolation
        yield _place(name, said.over(definition.isolation) if said else definition.isolation)
    for position, phase in enumerate(definition.phases):
        for seat in phase.roles:
            if seat.isolation is not None:
                yield _place(f"{seat.role} in {phase.name}", definition.isolation_of(position, seat.role))
        if phase.check:
            yield _place(f"check of {phase.name}", definition.check_isolation(position), always="")


def _place(who: str, isolation: Isolation, *, always: str = "egg") -> Whereabouts:
    """In words; *always* is what it reaches whatever its network says."""
    container, network = isolation.container, isolation.network
    if container is None:
        runs = "process, as root" if os.geteuid() == 0 else "process, as you"
        reaches = f"{_allowed(network, always)}, if it keeps to it" if network else "all that you may"
        return Whereabouts(who, isolation.runs_as, None, runs, reaches)
    return Whereabouts(
        who, isolation.runs_as, container.image, _contained(container), _allowed(network, always)
    )


def _contained(container: Container) -> str:
    runtime = f", {container.runtime}" if container.runtime else ""
    memory = f"{container.memory / GIGABYTE:.3g}g"
    limits = f"{memory}, {container.cpus:g} cpus, {container.pids} pids{runtime}"
    return f"container {container.image} ({limits})"


def _allowed(network: Network | None, always: str) -> str:
    if network and network.mode == "open":
        return ", ".join(filter(None, (always, "EVERY host of the internet")))
    if network and network.mode == "observe":
        return ", ".join(filter(None, (always, "every host of the internet, noted")))
    named = ", ".join(filter(None, (always, *(network.allow if network else ()))))
    return named if named != always else f"{always} alone" if always else "nothing"


def warnings(definition: Definition) -> Iterator[str]:
    """What of it a person is told whenever it is run."""
    said: list[tuple[str, Isolation | None]] = [("isolation", definition.isolation)]
    said += [(f"agents.{name}.isolation", agent.isolation) for name, agent in definition.agents.items()]
    for position, phase in enumerate(definition.phases):
        said += [
            (f"phases[{position}].roles[{number}].isolation", seat.isolation)
            for number, seat in enumerate(phase.roles)
        ]
        if phase.check:
            said.append((f"phases[{position}].check.isolation", phase.check.isolation))
    for where, isolation in said:
        if isolation is not None and isolation.network and isolation.network.mode == "open":
            yield (
                f"{where}.network.mode: `open` lets it send what it reads to EVERY host of the internet: "
                "`observe`, look with `egg egress`, and allow what it needs"
            )
    yield from _outside(definition)


def _outside(definition: Definition) -> Iterator[str]:
    """What is on this machine, and will be looked for in an image; what leaves containers again."""
    for name, agent in definition.agents.items():
        container = (
            agent.isolation.over(definition.isolation) if agent.isolation else definition.isolation
        ).container
        program = Path(agent.command[0])
        if container and program.is_absolute() and program.exists() and program.parts[1] not in SHARED:
            yield (
                f"agents.{name}.command: {program} is looked for in the image {container.image}, not on this "
                "machine: commit it and say ./, or have it in the image"
            )
    for position, phase in enumerate(definition.phases):
        if phase.check is None or definition.check_isolation(position).container:
            continue
        if any(definition.isolation_of(position, seat.role).container for seat in phase.roles):
            yield (
                f"phases[{position}].check.isolation: as a process it runs what agents wrote in containers "
                "outside of them: leave it out"
            )
