"""Finds what is wrong between the parts of a definition: names nobody bears, cycles, empty seats.

It reads the raw document, so that these faults are told together with those of form; what has the
wrong form is passed over here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from models.schemas.fault import Fault, Path, meant
from models.schemas.isolation import OF_CONTAINERS
from models.schemas.roster import MAX_ROLES

MAX_CYCLES = 20


@dataclass(frozen=True)
class _Mention:
    """A place where a role names another."""

    role: str
    path: Path


@dataclass(frozen=True)
class _Seat:
    """A role of a phase, as far as its entry can be read."""

    role: str
    path: Path
    agent: _Mention
    required: bool
    needs: Sequence[_Mention]
    reviews: Sequence[_Mention]


def roster_faults(document: object) -> Iterator[Fault]:
    """Find the faults between the phases, roles and agents of a raw definition."""
    root = _mapping(document)
    agents = root.get("agents")
    yield from _walls_of_processes(root)
    phases = [_mapping(phase) for phase in _list(root.get("phases"))]
    names = (_Mention(str(p["name"]), ("phases", i, "name")) for i, p in enumerate(phases) if "name" in p)
    yield from _twice(names, "a phase is called `{}` already")
    for position, phase in enumerate(phases):
        entries = _list(phase.get("roles"))
        if 0 < len(entries) <= MAX_ROLES:
            path: Path = ("phases", position)
            seats = list(_seats(entries, (*path, "roles")))
            yield from _phase_faults(phase, seats, path)
            if isinstance(agents, Mapping):
                yield from _unplayed(seats, agents)


def _phase_faults(phase: Mapping[object, object], seats: Sequence[_Seat], path: Path) -> Iterator[Fault]:
    roster = dict.fromkeys(seat.role for seat in seats)
    names = (_Mention(seat.role, (*seat.path, "role")) for seat in seats)
    yield from _twice(names, "the role `{}` is in this phase already")
    for seat in seats:
        for verb, mentions in (("need", seat.needs), ("review", seat.reviews)):
            yield from _strangers(mentions, roster)
            yield from _twice(mentions, "`{}` is named twice")
            for mention in mentions:
                if mention.role == seat.role:
                    yield Fault(mention.path, f"`{seat.role}` cannot {verb} itself")
    owner = _mapping(phase.get("check")).get("owner")
    if isinstance(owner, str):
        yield from _strangers([_Mention(owner, (*path, "check", "owner"))], roster)
    if seats and not any(seat.required for seat in seats):
        yield Fault((*path, "roles"), "no role of this phase is required: nobody could end it")
    yield from islice(_cycles({seat.role: seat for seat in seats}), MAX_CYCLES)


def _seats(entries: Sequence[object], path: Path) -> Iterator[_Seat]:
    for position, entry in enumerate(map(_mapping, entries)):
        role, at = entry.get("role"), (*path, position)
        if isinstance(role, str):
            agent = entry.get("agent")
            yield _Seat(
                role=role,
                path=at,
                agent=_Mention(agent, (*at, "agent")) if isinstance(agent, str) else _Mention(role, at),
                required=entry.get("required", True) is not False,
                needs=list(_mentions(entry.get("needs"), (*at, "needs"))),
                reviews=list(_mentions(entry.get("reviews"), (*at, "reviews"))),
            )


def _mentions(value: object, path: Path) -> Iterator[_Mention]:
    for position, entry in enumerate(_list(value)[:MAX_ROLES]):
        role = entry if isinstance(entry, str) else _mapping(entry).get("role")
        if isinstance(role, str):
            yield _Mention(role, (*path, position))


def _twice(mentions: Iterable[_Mention], sentence: str) -> Iterator[Fault]:
    known: set[str] = set()
    for mention in mentions:
        if mention.role in known:
            yield Fault(mention.path, sentence.format(mention.role))
        known.add(mention.role)


def _strangers(mentions: Iterable[_Mention], roster: Iterable[str]) -> Iterator[Fault]:
    known = list(roster)
    for mention in mentions:
        if mention.role not in known:
            yield Fault(mention.path, f"no role `{mention.role}` in this phase{meant(mention.role, known)}")


def _unplayed(seats: Iterable[_Seat], agents: Mapping[object, object]) -> Iterator[Fault]:
    known = [name for name in agents if isinstance(name, str)]
    for seat in seats:
        agent = seat.agent.role
        if agent not in known:
            yield Fault(
                seat.agent.path,
                f"nobody plays `{seat.role}`: there is no agent `{agent}` in `agents`{meant(agent, known)}",
            )


def _walls_of_processes(root: Mapping[object, object]) -> Iterator[Fault]:
    """Find what is said of a container where there will be a process, which it would not hold."""
    of_all = root.get("isolation")
    yield from _without_container(_kind(of_all, "process"), of_all, ("isolation",))
    kinds = {}
    for name, agent in _mapping(root.get("agents")).items():
        said = _mapping(agent).get("isolation")
        kinds[name] = _kind(said, _kind(of_all, "process"))
        yield from _without_container(kinds[name], said, ("agents", str(name), "isolation"))
    for position, phase in enumerate(map(_mapping, _list(root.get("phases")))):
        of_roles = []
        for number, seat in enumerate(map(_mapping, _list(phase.get("roles"))[:MAX_ROLES])):
            player, said = seat.get("agent") or seat.get("role"), seat.get("isolation")
            if isinstance(player, str) and player in kinds:
                of_roles.append(_kind(said, kinds[player]))
                at = ("phases", position, "roles", number, "isolation")
                yield from _without_container(of_roles[-1], said, at)
        said = _mapping(phase.get("check")).get("isolation")
        is_process = all(kind == "process" for kind in of_roles)
        kind = _kind(said, "process" if is_process else "docker")
        yield from _without_container(kind, said, ("phases", position, "check", "isolation"))


def _kind(said: object, otherwise: object) -> object:
    """What an isolation as it is written makes of an agent that would else be *otherwise*."""
    kind = _mapping(said).get("kind") if isinstance(said, Mapping) else said
    return otherwise if kind is None else kind


def _without_container(kind: object, said: object, path: Path) -> Iterator[Fault]:
    walls = [name for name in OF_CONTAINERS if _mapping(said).get(name) is not None]
    if kind == "process":
        for name in walls:
            yield Fault((*path, name), f"`{name}` would hold no process: add `kind: docker`, or leave it out")


def _cycles(seats: Mapping[str, _Seat]) -> Iterator[Fault]:
    """Walk the needs once, depth first, and report each step that leads back onto the walk."""
    done: set[str] = set()

    def walk(trail: tuple[str, ...]) -> Iterator[Fault]:
        for need in seats[trail[-1]].needs:
            if need.role in trail[:-1]:
                circle = (*trail[trail.index(need.role) :], need.role)
                yield Fault(need.path, f"a cycle in `needs`: {' → '.join(circle)}")
            elif need.role in seats and need.role not in done and need.role != trail[-1]:
                yield from walk((*trail, need.role))
        done.add(trail[-1])

    for role in seats:
        if role not in done:
            yield from walk((role,))


def _mapping(value: object) -> Mapping[object, object]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()
