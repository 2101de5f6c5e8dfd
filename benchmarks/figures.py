"""Figures with their yardsticks, as a table and as JSON, with the machine they were taken on."""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One measurement, beside what it is to be compared with in the same run."""

    group: str
    what: str
    value: float
    unit: str
    yardstick: str = ""
    measured_beside: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times the yardstick it is."""
        return self.value / self.measured_beside if self.measured_beside else None


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least *share* of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def machine() -> dict[str, object]:
    """What the figures were taken on."""
    processor = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "?"
    )
    memory = next(int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal"))
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "processor": processor,
        "processors": os.cpu_count(),
        "memory_gb": round(memory / 2**20, 1),
        "load_before": round(os.getloadavg()[0], 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "commit": commit.stdout.strip(),
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def as_table(figures: Sequence[Figure]) -> str:
    """The figures for people, a group under its heading."""
    lines, group = [], ""
    for figure in figures:
        if figure.group != group:
            group = figure.group
            lines += ["", group]
        line = f"  {figure.what:<46}{_number(figure.value):>10} {figure.unit:<8}"
        if figure.ratio is not None and figure.measured_beside is not None:
            line += f"{figure.ratio:7.2f} x {figure.yardstick} ({_number(figure.measured_beside)})"
        lines.append(line.rstrip())
    return "\n".join(lines)


def write_json(path: Path, described: dict[str, object], figures: Sequence[Figure]) -> None:
    """The same for programs."""
    rows = [{**asdict(figure), "ratio": figure.ratio} for figure in figures]
    path.write_text(json.dumps({"machine": described, "figures": rows}, indent=2) + "\n")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"  # noqa: PLR2004 - three digits say enough


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
