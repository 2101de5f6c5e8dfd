"""The shell that a command is typed in: who types, an agent or a person, and what its environment says.

The one module of the commands that reads the environment; what is a setting is looked up by `server`, which
asks settings.toml as well. Agents start commands thousands of times: nothing is imported for it.
"""

import os
from collections.abc import Mapping

SESSION_TOKEN = "EGG_SESSION_TOKEN"  # noqa: S105 - its name


def environ() -> Mapping[str, str]:
    """All that it says, as it is now."""
    return os.environ


def said(name: str) -> str:
    """What it says of one variable; empty for nothing."""
    return os.environ.get(name, "")


def is_agents() -> bool:
    """Whether an agent types here: egg starts each with a token."""
    return SESSION_TOKEN in os.environ


def clone() -> str:
    """The clone of the agent that types here; empty for none."""
    return said("EGG_REPO_PATH")
