"""The pages people read: their blocks, and how each is tried.

A comment right before a block says what is special about it: `<!-- not run: why -->`, `<!-- as an agent -->`,
`<!-- in a clone -->` and `<!-- installed -->` (one way or the other), `<!-- when it can be -->` (a line that
is refused is typed again for a while, as it waits for what the line before it has begun).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHELL = frozenset({"sh", "bash", "console"})
LANGUAGES = SHELL | {"yaml", "toml", "json", "python", "text", ""}
NOT_RUN = "not run: "
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n+)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str
    mark: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_run(self) -> bool:
        """Whether it is typed by a test."""
        return self.language in SHELL and not self.mark.startswith(NOT_RUN)


def pages() -> list[Path]:
    """Every page for people who use egg or work on it; decisions are history."""
    found = [path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "decisions"]
    return sorted([*found, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "egg_tasks/demo/README.md"])


def blocks(path: Path) -> Iterator[Block]:
    """The blocks of a page, in order."""
    text = path.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("text"))
        name = str(path.relative_to(ROOT))
        yield Block(name, line, found["language"], found["text"], found["mark"] or "")
