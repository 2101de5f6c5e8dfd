"""The list as people read it: after the tests, with what became of each attempt, and as a page of the docs.

`python -m tests.hostile_container.table` writes the page anew.
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.hostile_container import inside
from tests.hostile_container.attempt import ATTEMPTS, HOLDS, MACHINES, SHARED, Attempt
from tests.hostile_container.walls import WALLS

assert inside.LISTED, "which brings all of the list"

PAGE = Path(__file__).parents[2] / "docs/explanation/hostile-agents.md"
PROPERTY = "hostile"
"""The property of a test's report that says what became of an attempt."""
NARROWEST = 120
IN_PROCESS = {
    HOLDS: "holds",
    SHARED: "does not: egg and agents are one user",
    MACHINES: "as the user may who runs egg",
}
HEAD = """\
# What a hostile agent tries

<!-- Written by `python -m tests.hostile_container.table`; a test compares. -->

An agent in a container (`isolation: docker`) is taken to be hostile. Each line here is a small program
that is run as an agent in a container of a real engine, twice in the same run of the tests: *behind the
walls*, where it must come to nothing, and in a *control*, which is the very same container but for the
one wall that the heading names, where it must succeed: so it is known to be a real attempt. `make
hostile-container` tries them all on this machine and prints both columns.

The last column says what becomes of it in `process` isolation, where an agent is
[a process of the user who runs egg](security-model.md#what-an-agent-can-do-as-a-process).

The list does not say that there are no other ways. Faults of the kernel and of the engine are theirs;
another kernel is put between by `runtime: runsc`.
"""


def page() -> str:
    """The page, whole."""
    return "\n".join([HEAD, *(line for name in WALLS for line in _section(name))])


def _section(name: str) -> Iterator[str]:
    wall = WALLS[name]
    mine = [one for one in ATTEMPTS.values() if one.wall == name]
    yield f"## {wall.says[0].upper()}{wall.says[1:]}"
    yield ""
    yield f"The control {wall.control}."
    yield ""
    yield "| attempt | in `process` isolation |"
    yield "|---|---|"
    yield from (f"| {one.title.replace('|', '/')} | {IN_PROCESS[one.process]} |" for one in mine)
    yield ""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what became of each attempt, wherever its test ran."""
    reports = [each for key in ("passed", "failed") for each in terminalreporter.getreports(key)]
    found = {
        value[0]: value[1:]
        for report in reports
        for key, value in getattr(report, "user_properties", ())
        if key == PROPERTY
    }
    if not found:
        return
    table = Table("attempt", "behind the walls", "without its own", "in process isolation", expand=True)
    for one in ATTEMPTS.values():
        if one.name in found:
            table.add_row(Text(one.title), *_cells(one, found[one.name]))
    width = max(NARROWEST, shutil.get_terminal_size().columns)
    terminalreporter.section("what became of each attempt of a hostile agent")
    console = Console(file=sys.stdout, width=width, force_terminal=terminalreporter.hasmarkup)
    console.print(table)
    through = [name for name, (behind, *_) in found.items() if not behind.startswith("refused")]
    terminalreporter.write_line(f"{len(found)} attempts, of which {len(through)} succeeded behind the walls")


def _cells(one: Attempt, said: list[str]) -> Iterator[Text]:
    behind, control, process = said
    yield Text(behind, style="" if behind.startswith("refused") else "bold red")
    yield Text(control, style="" if control.startswith("succeeded") else "bold red")
    is_good = process.startswith("refused") or one.process != HOLDS
    yield Text(process or "not tried", style="" if is_good else "bold red")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
