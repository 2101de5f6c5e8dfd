"""docs/decisions/README.md: the index of the decision records, from them and from what it says already."""

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from reference.markdown import table

FOLDER = Path(__file__).parents[1] / "docs" / "decisions"
INDEX = FOLDER / "README.md"
INTRODUCTION = """\
# Decisions

What was decided on the way, and why: a page each, with its context, its consequences and what was left. A
record is not rewritten when the world moves on. The next one says which it changes, and its status here says
by which it was changed (`accepted`, `changed by 0042`, `superseded by 0042`).

`make reference` adds the records that are not listed yet, as accepted on the day git first saw them (or
today); it keeps each status and date that stands here.

"""
ROW = re.compile(r"^\| \[(\d{4})\]\([^)]+\) \| .* \| ([^|]+) \| (\d{4}-\d\d-\d\d) \|$", re.MULTILINE)


def page() -> str:
    """The whole page."""
    said = INDEX.read_text(encoding="utf-8") if INDEX.exists() else ""
    kept = {number: (status, day) for number, status, day in ROW.findall(said)}
    rows = []
    for path in records():
        number = path.name[:4]
        status, day = kept.get(number) or ("accepted", _first_seen(path))
        rows.append((f"[{number}]({path.name})", title(path), status, day))
    return INTRODUCTION + table(("record", "decision", "status", "date"), rows)


def records() -> list[Path]:
    """The records, by number."""
    return sorted(FOLDER.glob("[0-9]*.md"))


def title(path: Path) -> str:
    """What a record decides: its heading, without the number."""
    return path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# 0123456789.:")


def _first_seen(path: Path) -> str:
    """The day on which git saw a file first, or today."""
    log = ["git", "log", "--diff-filter=A", "--format=%as", "--", path.name]
    done = subprocess.run(log, cwd=FOLDER, check=False, capture_output=True, text=True)
    return (done.stdout.split() or [str(datetime.now(UTC).date())])[-1]
