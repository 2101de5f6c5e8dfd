"""What the example agents write and read: a file about the repository they work in."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

NOTES = Path("EGG-NOTES.md")
TITLE = "# What egg's example agents found here\n"
COUNT = re.compile(r"^Files: (\d+)$", re.MULTILINE)
SHOWN_KINDS = 10


def tracked() -> list[str]:
    """The files that git knows in this clone."""
    done = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True)
    return [name for name in done.stdout.decode(errors="replace").split("\0") if name]


def describe(task: str, files: list[str]) -> str:
    """What is written down: what was asked, how many files there are, and of which kinds."""
    kinds = Counter(kind(name) for name in files)
    listed = [f"- {count} of {each}" for each, count in sorted(kinds.items(), key=lambda k: (-k[1], k[0]))]
    asked = [f"> {line}".rstrip() for line in task.strip().splitlines()]
    return "\n".join([TITLE, *asked, "", f"Files: {len(files)}", "", *listed[:SHOWN_KINDS], ""])


def number(files: int) -> str:
    """So many files, in words."""
    return "1 file" if files == 1 else f"{files} files"


def kind(name: str) -> str:
    """What a file is by its name."""
    suffix = Path(name).suffix
    return f"`{suffix}`" if re.fullmatch(r"\.[A-Za-z0-9_+-]{1,12}", suffix) else "other"


def counted(text: str) -> int | None:
    """The number of files that notes speak of; None if these are not the notes."""
    found = COUNT.search(text)
    return int(found[1]) if found and text.startswith(TITLE) else None
