"""Which release of egg this is."""

from functools import cache

PACKAGE = "egg-tasks"
EARLIER = "an earlier version"
"""What is said of one that does not tell."""


@cache
def ours() -> str:
    """The version of this installation."""
    # Commands that need no version are spared the 20 ms.
    from importlib import metadata

    return metadata.version(PACKAGE)


def named(version: str) -> str:
    """How people are told of a version; of an empty one nothing is known but that it did not tell."""
    return f"egg {version}" if version else EARLIER
