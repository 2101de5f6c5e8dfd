"""The walk proves a twin of what the services write: random moves go through both, and both are the same."""

import os
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from models.consensus.decide import decide
from models.consensus.step import Wait
from models.schemas.definition import validate
from models.states import PhaseStatus
from tests.integration.twin import Names, Real, differences, told, wordless
from tests.integration.world import World as Rows
from tests.integration.world import definition
from tests.unit.consensus_laws import MAX_VERDICTS, obey
from tests.unit.consensus_moves import CLEAN, DIRTY, moves
from tests.unit.consensus_world import Story, World, apply, beginning, view

WALKS = int(os.environ.get("EGG_TWIN_WALKS", "8"))
"""How many walks; each is of so many moves at most."""
STEPS = int(os.environ.get("EGG_TWIN_STEPS", "40"))
SHORTENING_SECONDS = 60
FIRST = int(os.environ.get("EGG_TWIN_SEED", "0"))

ROSTER = ("coder", "tester", "documenter")
MOVES = frozenset(
    {
        *("new", "blocked", "blocked on", "objecting", "working", "again", "sync", "message"),
        *("conflict", "red", "error", "asks", "unprepared", "order", CLEAN, DIRTY),
        *("crashes", "is lost", "cannot start", "is cut off", "is refused", "has no quota", "overflows"),
        "is stopped",
    }
)
FINAL = ("Abort phase", "Accept current state", "Cancel pipeline", "Retry phase")


def phase(random: random.Random) -> dict[str, object]:
    """A definition of one phase of any rules."""
    names = ROSTER[: random.randint(1, 3)]
    roles: list[dict[str, object]] = [
        {
            "role": name,
            "required": at == 0 or random.random() < 0.7,
            "needs": [
                {"role": other, "hard": random.random() < 0.5}
                for other in names[:at]
                if random.random() < 0.3
            ],
            "reviews": [other for other in names if other != name and random.random() < 0.5],
            "on_failure": random.choice(["ask", "ask", "retry", "continue", "abort"]),
        }
        for at, name in enumerate(names)
    ]
    more: dict[str, object] = {"mode": random.choice(["waves", "concurrent", "sequential"])}
    if random.random() < 0.5:
        more["check"] = {"run": "true"}
    document = definition(*roles, **more)
    far = 100_000
    document["config"] = {
        "max_rounds": random.randint(2, 6),
        "max_concurrent_agents": random.randint(1, 4),
        "consensus_timeout_minutes": far,
        "agent_idle_timeout_minutes": far,
    }
    return document


@dataclass
class Walk:
    """One walk through twin and services."""

    rows: Rows
    document: dict[str, object]
    names: list[str] = field(default_factory=list)
    """The moves that were made."""

    def __post_init__(self) -> None:
        rules = validate(self.document).phase_policy(0)
        self.story = Story(rules, MOVES, max_versions=4, max_grants=4, max_messages=2)
        self.twin = beginning(self.story)
        self.real = Real(self.rows, self.story)
        self.real.begin(self.document)
        self._settle()

    def possible(self) -> dict[str, World]:
        """The moves that there are, by name."""
        if self.twin.status is PhaseStatus.COMPLETE:
            return {}
        return dict(moves(self.story, self.twin, self.waits))

    def make(self, name: str, after: World) -> None:
        """Make one move in both, and compare what has come of it."""
        self.names.append(name)
        before, self.twin = self.twin, after
        self.real.move(name, before, after)
        self._settle()

    def _settle(self) -> None:
        waits = self._rest()
        if waits is None:
            assert self.rows.phase_runs()[0].ended_at is not None, "the twin has ended, the phase run not"
            return
        self.waits = waits
        self.real.start(self.twin)
        self._compare()

    def _rest(self) -> Wait | None:
        """Decide and apply until there is nothing to do but wait; None when the phase run is over."""
        for _ in range(MAX_VERDICTS):
            if self.twin.status is PhaseStatus.COMPLETE:
                return None
            step = decide(view(self.story, self.twin))
            obey(self.story, self.twin, step)
            if isinstance(step, Wait):
                return step
            self.twin = apply(self.story, self.twin, step)
        raise AssertionError("the twin does not come to rest")

    def _compare(self) -> None:
        snapshot, names = self.real.snapshot()
        twin, real = told(view(self.story, self.twin), Names()), told(snapshot, names)
        for seen, who in ((twin, view(self.story, self.twin)), (real, snapshot)):
            step = decide(wordless(who))
            assert isinstance(step, Wait), f"not at rest: {step}"
            # Deadlines are far away here, and are not in the twin.
            is_soon = step.until is not None and step.until < who.now + timedelta(days=1)
            why = step.why
            for commit, tip in (names.tips or {}).items():
                why = re.sub(rf"(?<= (on|of) ){re.escape(commit)}\b", tip, why)
            seen["waits"] = (why, step.on_person, is_soon)
        found = list(differences(twin, real))
        assert not found, "\n".join(found)


def made(
    rows: Rows, document: dict[str, object], choose: "Callable[[dict[str, World]], str | None]"
) -> tuple[list[str], str]:
    """Walk; the moves that were made, and what went wrong at the last of them."""
    walk: Walk | None = None
    try:
        walk = Walk(rows, document)
        while (name := choose(possible := walk.possible())) is not None:
            walk.make(name, possible[name])
    except Exception as error:  # noqa: BLE001 - whatever it is, the way to it is told
        return walk.names if walk else [], f"{type(error).__name__}: {error}"
    return walk.names, ""


def by_chance(chance: random.Random) -> "Callable[[dict[str, World]], str | None]":
    """Choose among what there is, what ends the phase last."""
    left = [STEPS]

    def choose(possible: dict[str, World]) -> str | None:
        left[0] -= 1
        patient = [name for name in possible if not name.endswith(FINAL)] or list(possible)
        return chance.choice(patient) if patient and left[0] >= 0 else None

    return choose


def again(names: Sequence[str]) -> "Callable[[dict[str, World]], str | None]":
    """Choose these in turn, as far as there are such moves."""
    rest = list(names)

    def choose(possible: dict[str, World]) -> str | None:
        while rest:
            if (name := rest.pop(0)) in possible:
                return name
        return None

    return choose


def shortest(rows: Rows, document: dict[str, object], names: list[str], wrong: str) -> tuple[list[str], str]:
    """Leave out every move without which something still goes wrong, as far as there is time for it."""
    at, until = len(names) - 1, time.monotonic() + SHORTENING_SECONDS
    while at >= 0 and time.monotonic() < until:
        shorter, still = made(rows, document, again(names[:at] + names[at + 1 :]))
        if still:
            names, wrong = shorter, still
        at = min(at, len(names)) - 1
    return names, wrong


@pytest.mark.parametrize("seed", range(FIRST, FIRST + WALKS))
def test_the_twin_of_the_walk_is_what_the_services_write(world: Rows, seed: int) -> None:
    chance = random.Random(seed)
    document = phase(chance)

    names, wrong = made(world, document, by_chance(chance))

    if wrong:
        names, wrong = shortest(world, document, names, wrong)
        pytest.fail(
            f"seed {seed}: {document['phases']}, {document['config']}\n  {names}\n{wrong}", pytrace=False
        )
