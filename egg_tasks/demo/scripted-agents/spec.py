"""docs/spec.md: what the planner writes and the others work from."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SPEC = Path("docs/spec.md")
CODE = Path("shop/shipping.py")

CALL = """\
import sys
from shop.shipping import shipping_cost
print(*(shipping_cost(int(subtotal)) for subtotal in sys.argv[1:]))
"""


@dataclass(frozen=True)
class Rule:
    """What sending an order costs, and from which subtotal on it is free."""

    fee: int
    free_from: int

    @classmethod
    def read(cls, text: str) -> Rule:
        """Find the rule in a prompt or a spec."""
        fee = re.search(r"Sending an order costs (\d+)", text)
        free_from = re.search(r"Orders of (\d+) or more are sent free", text)
        if fee is None or free_from is None:
            raise SystemExit(
                "The text must say `Sending an order costs N` and `Orders of N or more are sent free`"
            )
        return cls(int(fee[1]), int(free_from[1]))


@dataclass(frozen=True)
class Example:
    """A subtotal, and what the spec says it costs to send."""

    subtotal: int
    cost: int
    why: str


def read_examples(text: str) -> list[Example]:
    """Read the rows of the spec's table of examples."""
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (.+) \|$", text, flags=re.MULTILINE)
    return [Example(int(subtotal), int(cost), why) for subtotal, cost, why in rows]


def call(subtotals: Iterable[int]) -> list[int] | None:
    """Call the function as it is in this clone; None when it cannot be called at all.

    In a process of its own, so that it is always the code on disk that answers.
    """
    arguments = [str(subtotal) for subtotal in subtotals]
    done = subprocess.run(
        [sys.executable, "-c", CALL, *arguments], text=True, capture_output=True, check=False
    )
    return [int(cost) for cost in done.stdout.split()] if done.returncode == 0 else None
