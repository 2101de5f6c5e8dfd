"""Where the things of an agent run lie: as its agent finds them, and as we do."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Inside:
    """As the agent finds them. Its launch names no other paths of ours."""

    directory: Path
    """Where it works: the role's clone, or the checkout of a check."""
    prompt: Path
    signal: Path
    """What it is told while it runs."""
    tools: Path
    """The directory that holds `egg`, at the front of its PATH."""
    path: str | None = None
    """Its PATH behind that, where it is not the one of this machine; empty for that of its image."""
    api_url: str | None = None
    """The API's address, where it is not the one we have."""


@dataclass(frozen=True)
class Layout:
    """As we find them, on the machine that runs it; nothing of it need be there yet."""

    given: Path
    """What the agent may read and write."""
    own: Path
    """What is ours alone: nothing the agent is given leads there."""
    clone: Path
    """The role's clone; a check has none."""
    temporary: Path
    """What goes with the run: its TMPDIR, and its HOME where it has no role."""
    log: Path
    inside: Inside
