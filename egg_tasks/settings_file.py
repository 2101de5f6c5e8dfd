"""`$EGG_HOME/settings.toml`: what a person says once about this machine; all of it is optional."""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import Unprocessable
from models.schemas.text import Text, Variable

NAME = "settings.toml"
MAX_BYTES = 64 * 1024
MAX_LINE = 8 * 1024
"""A dotted key takes its square in time to read."""


class AgentsTable(BaseModel):
    """`[agents]`: what agents and checks of this machine find."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str | None = None
    """Their PATH; else the PATH of the shell in which `egg up` was typed."""


class FetchTable(BaseModel):
    """`[fetch]`: how our own processes reach the repositories of pipelines."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    home: Text | None = None
    """The HOME in which git and ssh find .gitconfig, .netrc and helpers; else none, and no configuration."""
    credential_helper: Text | None = None
    """As git's `credential.helper`: who knows the names and passwords."""
    ssh_command: Text | None = None
    """As GIT_SSH_COMMAND; it cannot ask anybody."""
    proxy: Text | None = None
    """As git's `http.proxy`."""
    ca_file: Text | None = None
    """As git's `http.sslCAInfo`: the certificates a server is held against."""
    environment: dict[Variable, Text] = {}
    """Variables added to git's environment, such as SSH_AUTH_SOCK."""


class SettingsFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    agents: AgentsTable = AgentsTable()
    fetch: FetchTable = FetchTable()


def read(home: Path) -> SettingsFile:
    """Read the settings of the stack in *home*; without a file, all defaults.

    `Unprocessable`, naming file and place, for what is not TOML, an unknown key or a wrong kind of value.
    """
    path = home / NAME
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES or max(map(len, text.splitlines()), default=0) > MAX_LINE:
            raise Unprocessable(f"{path} has more than 64 KiB, or a line of more than 8: mend or remove it")
        found = tomllib.loads(text.decode())
    except FileNotFoundError:
        return SettingsFile()
    except (OSError, ValueError, RecursionError) as error:
        raise Unprocessable(f"{path} cannot be read ({error}): mend or remove it") from error
    try:
        return SettingsFile.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Unprocessable(f"{path}: {where}: {first['msg']}: mend or remove it") from error
