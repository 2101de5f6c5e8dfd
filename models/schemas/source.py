"""What a definition's `repo` may be: a path or a git URL; the password in a URL is never kept or shown."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from models.errors import Unprocessable
from models.masking import masked
from models.schemas.fault import Fault, Faulty

REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[^/:]+:(?!:)")
"""How a git URL begins: with a scheme, or as ssh writes it."""
FILE = "file://"
RECKONED = re.compile(r"[~^:\s]|@\{|\.\.|^@$")
"""What no name of a branch or tag can hold."""


@dataclass(frozen=True)
class Credential:
    """The name and the password a URL held, and for which server."""

    server: str
    username: str = field(repr=False)
    password: str | None = field(repr=False)


def is_remote(repo: str) -> bool:
    """Whether *repo* is a URL rather than a path; `file://` is a path in other words."""
    return bool(REMOTE.match(repo)) and not repo.startswith(FILE)


def is_path(repo: str) -> bool:
    """Whether *repo* is a plain path, in no other words."""
    return not is_remote(repo) and not repo.startswith(FILE)


def is_fit(repo: str) -> bool:
    """Whether git takes a path or URL for what it is, and for no option and no program to run (`ext::`)."""
    return not (repo.startswith("-") or "::" in repo.split("/", 1)[0] or "\0" in repo)


def refused(repo: str) -> Unprocessable:
    """What is said of a repository that git is not given."""
    return Unprocessable(f"The repository {repo!r} is refused: give a path or an https, ssh or git URL")


def local_path(repo: str) -> str:
    """The path that *repo*, which is no URL of another machine, names."""
    return unquote(urlsplit(repo).path) if repo.startswith(FILE) else repo


def split(repo: str) -> tuple[str, Credential | None]:
    """A URL without its credential, and the credential, if it holds one."""
    plain = masked(repo)
    if plain == repo or "@" not in (parts := urlsplit(repo)).netloc:
        return plain, None
    userinfo, _, host = parts.netloc.rpartition("@")
    name, colon, password = userinfo.partition(":")
    return plain, Credential(f"{parts.scheme}://{host}", unquote(name), unquote(password) if colon else None)


def refuse_reckoned(base: str | None) -> None:
    """Raise `Faulty` for a base such as HEAD~1, which no repository on another machine can be asked for."""
    if base is not None and RECKONED.search(base):
        sentence = (
            f"`{base}` can be reckoned in a clone alone, and `repo` is a URL: give a branch, a tag or a "
            "commit's full id; or name your clone as `repo`"
        )
        raise Faulty.of([Fault(("base",), sentence)])
