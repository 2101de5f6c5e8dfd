"""Every roster of up to three roles, and `make walk`: the exhaustive walk over all of them.

A roster is: who is required (at least one is), who reviews whom (anybody anybody), who needs whom (in no
circle; soft or hard), and the mode. Rosters that `decide` cannot tell apart are walked once: needs do not
count in a sequential phase, soft ones do not in a concurrent one, which with its hard needs is as one in
waves. Rosters of a phase that is not sequential are walked once if they differ in names only: which name
comes first there only says which of two merges or questions is first, and `--orders` walks each of them.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, permutations, product

from models.consensus.policy import Mode, NeedPolicy, PhasePolicy, RolePolicy
from tests.unit.consensus_world import Story
from tests.unit.test_consensus_walk import LOST, STORIES, Walk

NAMES = ("coder", "tester", "documenter")
Edges = frozenset[tuple[int, int]]


@dataclass(frozen=True)
class Roster:
    """Roles that are walked once; *stands_for* so many that are the same to `decide`."""

    required: tuple[bool, ...]
    reviews: Edges
    """Pairs of who reviews and who is reviewed."""
    needs: Edges
    """Pairs of who needs and who is needed."""
    mode: Mode
    stands_for: int = 1

    def __str__(self) -> str:
        roles = " ".join(
            name if is_required else f"({name})"
            for name, is_required in zip(NAMES, self.required, strict=False)
        )
        reviews = ", ".join(f"{NAMES[a]} reviews {NAMES[b]}" for a, b in sorted(self.reviews))
        needs = ", ".join(f"{NAMES[a]} needs {NAMES[b]}" for a, b in sorted(self.needs))
        return "; ".join(filter(None, (f"{roles} {self.mode}", reviews, needs)))

    @property
    def roles(self) -> tuple[RolePolicy, ...]:
        """The rules of its roles."""
        return tuple(
            RolePolicy(
                NAMES[at],
                required=is_required,
                needs=tuple(NeedPolicy(NAMES[b]) for a, b in sorted(self.needs) if a == at),
                reviews=tuple(NAMES[b] for a, b in sorted(self.reviews) if a == at),
            )
            for at, is_required in enumerate(self.required)
        )

    def rank(self) -> tuple[object, ...]:
        """What it is ordered by."""
        return self.required, sorted(self.reviews), sorted(self.needs)

    def renamed(self, order: tuple[int, ...]) -> "Roster":
        """The same roster with role *n* in the place of role *order[n]*."""
        required = tuple(self.required[order.index(at)] for at in range(len(order)))
        reviews, needs = (
            frozenset((order[a], order[b]) for a, b in edges) for edges in (self.reviews, self.needs)
        )
        return replace(self, required=required, reviews=reviews, needs=needs)


@dataclass(frozen=True)
class Bounds:
    """How far a walk goes, and what may happen in it."""

    moves: str
    max_rounds: int = 1
    max_versions: int = 1
    max_grants: int = 0

    def __str__(self) -> str:
        counts = f"{self.max_rounds} rounds, {self.max_versions} versions, {self.max_grants} grants"
        return f"{self.moves}; {counts}"


PLAN: tuple[tuple[int, Bounds], ...] = (
    (
        1,
        Bounds("new, blocked, working, again, message, ends dirty, crashes, is lost, lost wake-ups", 2, 2, 1),
    ),
    (1, Bounds("new, conflict, cannot start, crashes, unprepared, unsafe, lost wake-ups", 2, 2, 1)),
    (2, Bounds("new, sync, objecting, lost wake-ups", 2, 2)),
    (2, Bounds("new, sync, objecting, lost wake-ups", 2, 1, 1)),
    (2, Bounds("new, blocked, blocked on, message, lost wake-ups", 2, 2)),
    (2, Bounds("new, conflict, crashes, ends dirty, lost wake-ups", 2, 2)),
    (2, Bounds("new, is lost, cannot start, unprepared, unsafe, lost wake-ups", 2, 2)),
    (2, Bounds("new, working, again, lost wake-ups", 2, 2)),
    (3, Bounds("new, crashes, lost wake-ups")),
    (3, Bounds("new, sync, objecting")),
    (3, Bounds("new", 2)),
)
"""What `make walk` shows of rosters of so many roles."""


@dataclass(frozen=True)
class Walked:
    """What a walk has shown."""

    name: str
    states: int
    seconds: float
    broken: str = ""


def rosters(size: int, *, orders: bool = False) -> list[Roster]:
    """Every roster of so many roles, but for those that are the same to `decide`."""
    found: dict[Roster, int] = {}
    for roster in _in_order(size):
        is_ordered = orders or roster.mode is Mode.SEQUENTIAL
        names = [tuple(range(size))] if is_ordered else permutations(range(size))
        first = min((replace(roster.renamed(order), stands_for=0) for order in names), key=Roster.rank)
        found[first] = found.get(first, 0) + roster.stands_for
    return [replace(roster, stands_for=number) for roster, number in found.items()]


def definable(size: int) -> int:
    """How many rosters of so many roles a definition can have."""
    needs = sum(1 << len(edges) for edges in _acyclic(size))
    reviews = len(_subsets(size))
    return len(Mode) * ((1 << size) - 1) * reviews * needs


def story(roster: Roster, bounds: Bounds) -> Story:
    """The walk of a phase with this roster."""
    rules = PhasePolicy(
        "implement",
        roster.roles,
        mode=roster.mode,
        max_rounds=bounds.max_rounds,
        max_recoveries=0,
        max_startup_retries=0,
        max_loss_retries=1,
    )
    return Story(rules, frozenset(bounds.moves.split(", ")), bounds.max_versions, bounds.max_grants)


def walked(name: str, story: Story) -> Walked:
    """Walk one phase; the first broken law is told with the way to it."""
    started, walk, broken = time.process_time(), Walk(story), ""
    try:
        walk.run()
        if traps := walk.trapped():
            broken = f"nothing leads to the end: {traps[0]}"
        elif circles := walk.circles():
            broken = f"somebody may be woken without end: {circles[0]}"
    except AssertionError as error:
        broken = ": ".join([str(error), *getattr(error, "__notes__", [])])
    return Walked(name, len(walk.came_from), time.process_time() - started, broken)


def _in_order(size: int) -> Iterator[Roster]:
    """In every order of the roles; each stands for those that differ in needs that do not count."""
    acyclic = _acyclic(size)
    for required in product((True, False), repeat=size):
        for reviews in _subsets(size) if any(required) else ():
            shades = sum(1 << len(needs) for needs in acyclic)
            yield Roster(required, reviews, frozenset(), Mode.SEQUENTIAL, shades)
            for needs in acyclic:
                concurrent = sum(needs <= more for more in acyclic)
                yield Roster(required, reviews, needs, Mode.WAVES, (1 << len(needs)) + concurrent)


def _subsets(size: int) -> list[Edges]:
    pairs = list(permutations(range(size), 2))
    return [frozenset(chosen) for n in range(len(pairs) + 1) for chosen in combinations(pairs, n)]


@cache
def _acyclic(size: int) -> list[Edges]:
    orders = list(permutations(range(size)))
    return [
        edges
        for edges in _subsets(size)
        if any(all(order[a] > order[b] for a, b in edges) for order in orders)
    ]


def main() -> int:
    """Walk rosters in parallel; print what was shown, and fail at the first broken law with the way to it."""
    options = _options()
    part, of = options.share
    started = time.monotonic()
    with ProcessPoolExecutor(options.processes) as pool:
        for title, stories in _plan(options):
            chosen = stories[part - 1 :: of]
            found = []
            for one in pool.map(walked, *zip(*chosen, strict=True), chunksize=4) if chosen else ():
                found.append(one)
                if one.broken:
                    pool.shutdown(cancel_futures=True)
                    _say(f"BROKEN: {one.broken}\nin {title}: {one.name}")
                    return 1
            _say(f"{title}: {_summary(found)}")
    _say(f"no law is broken and no state is a dead end; {time.monotonic() - started:.0f} s")
    return 0


def _plan(options: argparse.Namespace) -> Iterator[tuple[str, list[tuple[str, Story]]]]:
    plan = PLAN
    if options.roles:
        bounds = Bounds(options.moves, options.rounds, options.versions, options.grants)
        plan = ((options.roles, bounds),)
    else:
        stories = [(name, replace(one, moves=one.moves | {LOST})) for name, one in STORIES.items()]
        yield f"stories; {LOST}", stories
    for size, bounds in plan:
        chosen = rosters(size, orders=options.orders)
        number = sum(roster.stands_for for roster in chosen)
        title = f"{size} roles, {number} rosters, {len(chosen)} unlike; {bounds}"
        yield title, [(str(roster), story(roster, bounds)) for roster in chosen]


def _summary(found: list[Walked]) -> str:
    states, seconds = sum(one.states for one in found), sum(one.seconds for one in found)
    longest = max(found, key=lambda one: one.seconds, default=Walked("none", 0, 0))
    return (
        f"{len(found)} walks, {states} states, {seconds:.0f} s of CPU; "
        f"longest {longest.seconds:.1f} s, {longest.states} states: {longest.name}"
    )


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is a program


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.unit.consensus_rosters", description=main.__doc__)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument(
        "--share", type=_share, default=(1, 1), metavar="K/N", help="of all the Kth, then every Nth"
    )
    parser.add_argument("--orders", action="store_true", help="rosters in another order are walked too")
    parser.add_argument(
        "--roles", type=int, choices=(1, 2, 3), help="walk these, with the bounds that follow"
    )
    parser.add_argument("--moves", default="new, crashes", help="what may happen, as the stories name it")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--versions", type=int, default=1)
    parser.add_argument("--grants", type=int, default=0)
    return parser.parse_args()


def _share(text: str) -> tuple[int, int]:
    """Read `K/N`."""
    part, of = map(int, text.split("/"))
    if not 1 <= part <= of:
        raise argparse.ArgumentTypeError(f"{text} is no share: K/N, K from 1 to N")
    return part, of


if __name__ == "__main__":
    sys.exit(main())
