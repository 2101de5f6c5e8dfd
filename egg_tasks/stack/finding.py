"""What `egg doctor` says of one thing of the stack or its settings."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: good (True), bad (False), or absent and not needed (None)."""

    name: str
    ok: bool | None
    text: str
    mend: str = ""
