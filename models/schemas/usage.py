"""What requests to models have used: as the gateway counts it, and as the API tells it."""

from datetime import datetime
from typing import Literal

from models.schemas.report import Read

Knowledge = Literal["whole", "part", "none", "unused"]


class RequestEnd(Read):
    """How a request to a model ended; None for what is not known."""

    usage: Knowledge
    """`whole`: the provider said it. `part`: cut off. `none`: not known. `unused`: no model answered."""
    model: str | None = None
    http_status: int | None = None
    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    milliseconds: int


class UsageRead(Read):
    """What all requests of a role to one model have used; null where nothing is known."""

    role: str
    provider: str
    model: str
    """As the provider calls it; empty for requests that it did not answer so far."""
    requests: int
    under_way: int
    failed: int
    """How many were answered by an error."""
    part_known: int
    """Of how many only a part is known: they were cut off."""
    unknown: int
    """Of how many nothing is known; they are in no sum."""
    input_tokens: int | None
    """What was read anew, and neither from nor into the provider's cache."""
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    """All that was written, reasoning among it."""
    reasoning_tokens: int | None
    milliseconds: int
    """All of them together."""


class HoldRead(Read):
    """A provider's key with which no agent's request goes out for a while."""

    credential: str
    """The secret's name."""
    reason: Literal["auth", "quota", "capacity"]
    """`auth`: it is refused. `quota`: it has none left. `capacity`: it asks too fast, or all do."""
    http_status: int
    """What the provider said."""
    since: datetime
    until: datetime
    """When one request is let through, to see."""
