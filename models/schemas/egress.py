"""What the API tells of the hosts that agents asked the gateway for."""

from datetime import datetime

from models.schemas.report import Read


class EgressRead(Read):
    """All wishes of a role for one host that came out alike."""

    role: str
    host: str
    """A name or an address; empty for all further ones of runs that asked for very many."""
    port: int
    passage: str
    """`allowed`; `observed`, which is let through although not on the list; or `refused`."""
    why: str
    """Why it was refused: `list`, or the address the host stands for; `setup` or `check` where one of those
    asked, whether it was refused or not."""
    number: int
    last_at: datetime
