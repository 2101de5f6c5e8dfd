"""The pages people read: their blocks, and how each is tried.

A comment right before a block says what is special about it: `<!-- not run: why -->`, `<!-- as an agent -->`,
`<!-- in a clone -->`, `<!-- uv -->` and `<!-- pipx -->` (one way or the other), `<!-- when it can be -->`
(what is refused is typed again for a while, as it waits for what was begun before it).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHELL = frozenset({"sh", "bash", "console"})
LANGUAGES = SHELL | {"yaml", "toml", "json", "python", "text", ""}
NOT_RUN = "not run: "
AS_AGENT = "as an agent"
WHEN_IT_CAN_BE = "when it can be"
TYPED_BY = {
    "README.md": "tests/install/test_pages.py",
    "docs/tutorial/first-pipeline.md": "tests/acceptance/test_tutorial.py",
    "docs/howto/talk-to-the-bus.md": "tests/integration/test_howto.py",
    "docs/howto/install.md": "tests/install/test_pages.py",
    "docs/howto/containers.md": "tests/acceptance/test_containers.py",
    "docs/howto/back-up.md": "tests/install/test_pages.py",
}
"""Pages with a test of their own; the others are typed by tests/acceptance/test_pages.py."""
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
        """Whether it is typed by a test; what begins with `#!` is a program, and not typed."""
        is_typed = self.language in SHELL and not self.text.startswith("#!")
        return is_typed and not self.mark.startswith(NOT_RUN)


def pages() -> list[Path]:
    """Every page for people who use egg or work on it; decisions are history."""
    found = [path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "decisions"]
    return sorted(
        [
            *found,
            ROOT / "README.md",
            ROOT / "CONTRIBUTING.md",
            ROOT / "SECURITY.md",
            ROOT / "egg_tasks/demo/README.md",
        ]
    )


def blocks(path: Path) -> Iterator[Block]:
    """The blocks of a page, in order."""
    text = path.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("text"))
        name = str(path.relative_to(ROOT))
        yield Block(name, line, found["language"], found["text"], found["mark"] or "")
