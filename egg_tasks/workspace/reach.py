"""By what means git reaches the repositories of other machines: a person's own, or those settings name."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from egg_tasks.settings_file import SettingsFile
from egg_tasks.settings_table import BY_KEY
from egg_tasks.workspace.git import SETTINGS, Git, search_path
from models.schemas.source import Credential

NOT_OF_A_PERSON = re.compile(
    r"GIT_(DIR|WORK_TREE|INDEX_FILE|COMMON_DIR|NAMESPACE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|PREFIX"
    r"|SHALLOW_FILE|GRAFT_FILE|REPLACE_REF_BASE|QUARANTINE_PATH|CONFIG|DEFAULT_HASH|LITERAL_PATHSPECS"
    r"|TRACE.*|CURL_VERBOSE)"
)
"""Variables that speak of one repository, or print what git sends."""
# The password stays in the environment, which no other account can read, as it could a command line.
ANSWER = 'printf "username=%s\\npassword=%s\\n" "$EGG_FETCH_USER" "$EGG_FETCH_PASSWORD"'
HELPER = f'!f() {{ test "$1" = get && {ANSWER}; }}; f'


@dataclass(frozen=True)
class Reach:
    """The variables and settings that git is given to reach a remote repository."""

    variables: Mapping[str, str] = field(repr=False)
    settings: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    is_attended: bool = False
    """Whether a person sits at the terminal, whom git and ssh may ask."""

    def with_credential(self, credential: Credential | None) -> "Reach":
        """The same with what a URL said of its user: for that server alone, and never stored."""
        if credential is None:
            return self
        scope = f"credential.{credential.server}"
        if credential.password is None:
            return replace(self, settings=(*self.settings, (f"{scope}.username", credential.username)))
        said = {"EGG_FETCH_USER": credential.username, "EGG_FETCH_PASSWORD": credential.password}
        helper = ((f"{scope}.helper", ""), (f"{scope}.helper", HELPER))
        return replace(self, variables={**self.variables, **said}, settings=(*self.settings, *helper))


def of_person(environ: Mapping[str, str], *, is_attended: bool) -> Reach:
    """What a person's own git uses: their HOME, helpers, keys, proxies; what speaks of one repository not."""
    variables = {name: value for name, value in environ.items() if not NOT_OF_A_PERSON.fullmatch(name)}
    if not is_attended:
        variables["GIT_TERMINAL_PROMPT"] = "0"
    if allowed := variables.get("GIT_ALLOW_PROTOCOL"):
        # It outranks every setting.
        variables["GIT_ALLOW_PROTOCOL"] = ":".join(set(allowed.split(":")) - {"ext", "fd"})
    return Reach(variables, is_attended=is_attended)


def of_this_person(*, is_attended: bool) -> Reach:
    """What the git of the person uses who started this process."""
    return of_person(os.environ, is_attended=is_attended)


def of_settings(said: SettingsFile) -> Reach:
    """What `[fetch]` of settings.toml names, and nothing else."""
    variables = {"PATH": search_path(), "HOME": "/nonexistent"}
    if (home := said.get("fetch.home")) is not None:
        variables["HOME"] = os.path.expanduser(home)  # noqa: PTH111 - text, as git gets it
    else:
        variables |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_ATTR_NOSYSTEM": "1"}
    variables["GIT_SSH_COMMAND"] = said.get("fetch.ssh_command") or BY_KEY["fetch.ssh_command"].default
    settings = (
        ("credential.helper", said.get("fetch.credential_helper")),
        ("http.proxy", said.get("fetch.proxy")),
        ("http.sslCAInfo", said.get("fetch.ca_file")),
    )
    return Reach(
        {**variables, **said.environment, "GIT_TERMINAL_PROMPT": "0"},
        tuple((key, value) for key, value in settings if value is not None),
    )


@dataclass(frozen=True)
class ReachingGit(Git):
    """Git over a repository of ours, with the means to reach another machine; hooks stay off."""

    reach: Reach = field(kw_only=True)

    @property
    def is_attended(self) -> bool:
        """Whether git may ask the person at the terminal."""
        return self.reach.is_attended

    def _environment(self) -> Iterator[tuple[str, str]]:
        yield from self.reach.variables.items()
        yield "LC_ALL", "C.UTF-8"
        yield "GIT_DIR", str(self.directory)
        settings = (*SETTINGS, *self.reach.settings)
        yield "GIT_CONFIG_PARAMETERS", parameters(self.reach.variables, settings)


def parameters(environ: Mapping[str, str], settings: Iterable[tuple[str, str]]) -> str:
    """The settings as those of `git -c`: they outrank all others, what *environ* gives in any way, too."""
    ours = (f"{_quoted(key)}={_quoted(value)}" for key, value in settings)
    return " ".join([*filter(None, [environ.get("GIT_CONFIG_PARAMETERS")]), *ours])


def _quoted(text: str) -> str:
    """Write a word as git reads it in GIT_CONFIG_PARAMETERS."""
    return "'" + text.replace("'", "'\\''").replace("!", "'\\!'") + "'"
