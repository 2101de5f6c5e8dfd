"""The gate of coverage: whether tests passed through as much of models and services as is asked for.

`python -m tests.coverage_gate FILE` reads what slipcover wrote of a run, as JSON (docs/decisions/0064).
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Part:
    """A part of the code, and how much of its lines and branches are to be passed through."""

    name: str
    percent: int
    within: tuple[str, ...]
    without: tuple[str, ...] = ()

    def holds(self, file: str) -> bool:
        """Whether a file, by its path from the root of the repository, is in this part."""
        return file.startswith(self.within) and not (self.without and file.startswith(self.without))


PARTS = (
    Part("models/consensus", 100, ("models/consensus/",)),
    Part("the rest of models, and services", 95, ("models/", "egg_tasks/services/"), ("models/consensus/",)),
)


def findings(measured: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Say of each part what was left out, and then how much was not; each with whether it is a fault."""
    for part in PARTS:
        files = {name: file for name, file in measured["files"].items() if part.holds(name)}
        passed = sum(_count(file, "covered") for file in files.values())
        whole = passed + sum(_count(file, "missing") for file in files.values())
        yield from ((f"{name}: {_left_out(file)}", False) for name, file in files.items() if _left_out(file))
        # Never rounded up: 99.999 % of all branches is not all of them.
        share = 10_000 * passed // whole / 100 if whole else 0
        yield (
            f"{part.name}: {share:g} % of lines and branches, where {part.percent} % are asked for",
            not whole or 100 * passed < part.percent * whole,
        )


def _count(file: Mapping[str, Any], kind: str) -> int:
    summary = file["summary"]
    return int(summary[f"{kind}_lines"]) + int(summary[f"{kind}_branches"])


def _left_out(file: Mapping[str, Any]) -> str:
    """The lines no test comes to, and the branches between those that some do."""
    lines = set(file["missing_lines"])
    branches = (pair for pair in file["missing_branches"] if not lines.intersection(pair))
    return ", ".join([*map(str, sorted(lines)), *(f"{start}->{end or 'exit'}" for start, end in branches)])


def main() -> None:
    """Print what was found; exit 1 when too little was passed through."""
    found = list(findings(json.loads(Path(sys.argv[1]).read_text())))
    sys.stdout.writelines(f"{line}\n" for line, _ in found)
    sys.exit(any(is_fault for _, is_fault in found))


if __name__ == "__main__":
    main()
