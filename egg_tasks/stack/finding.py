"""What the doctor says of one thing."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: good (True), bad (False), or absent and not needed (None)."""

    name: str
    ok: bool | None
    text: str
    mend: str = ""
