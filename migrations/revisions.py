"""Which revisions of the schema there are, read from their files: importing Alembic takes half a second."""

import re
from functools import cache
from pathlib import Path

VERSION_TABLE = "egg.alembic_version"
VERSIONS = Path(__file__).parent / "versions"
BEHIND = re.compile(r'^down_revision = "(\w+)"$', re.MULTILINE)


@cache
def known() -> frozenset[str]:
    """All revisions this program knows."""
    return frozenset(path.stem for path in VERSIONS.glob("2*.py"))


@cache
def head() -> str:
    """The newest of them: none is behind it."""
    texts = (path.read_text() for path in VERSIONS.glob("2*.py"))
    (newest,) = known() - {behind for text in texts for behind in BEHIND.findall(text)}
    return newest
