"""What makes a clone ready before its agent or check starts: a set-up command, files and a cache for it."""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import partial
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, Strict

from models.schemas.fault import Fault, Path
from models.schemas.network import Entry
from models.schemas.shape import Shape
from models.schemas.source import is_remote
from models.schemas.text import Line, Listed, Text, check_said, refused

MAX_PATHS = 100
MOST_SAID = 80
SHELL = ("sh", "-c")
WILD = re.compile(r"[*?\[]")
SECRET = re.compile(
    r"(?i)^\.env($|\.)|^\.(npmrc|netrc|pypirc|pgpass|git-credentials)$|^id_(rsa|dsa|ecdsa|ed25519)"
    r"|\.(pem|key|p12|pfx|jks|keystore|kdbx)$|secret|credential|passw|token|apikey|api_key"
)
"""How files are called that hold what is nobody else's business."""


def _check_path(text: str) -> str:
    path = PurePosixPath(text)
    if (
        path.is_absolute()
        or ".." in path.parts
        or text.startswith(("-", ":", "~"))
        or path == PurePosixPath()
    ):
        raise refused("must be a path within the repository, without `..`")
    if ".git" in path.parts:
        raise refused("must not lead into .git")
    return str(path)


def _check_plain(text: str) -> str:
    if WILD.search(text):
        raise refused("must be one path, without wildcards")
    return text


InsidePath = Annotated[Line, AfterValidator(_check_path), Field(max_length=1000)]
PlainPath = Annotated[InsidePath, AfterValidator(_check_plain)]


def _as_argv(value: object) -> object:
    if not isinstance(value, str):
        return value
    return (*SHELL, check_said(value))


Argv = Annotated[
    tuple[Text, ...],
    Field(min_length=1, max_length=256),
    BeforeValidator(_as_argv, json_schema_input_type=str | tuple[str, ...]),
]


class Cache(Shape):
    """What a set-up makes, and later ones begin from as long as the files it follows from are the same."""

    paths: Annotated[tuple[PlainPath, ...], Field(min_length=1, max_length=MAX_PATHS), Listed]
    """Directories and files that are kept once the set-up has succeeded, and copied into later clones."""
    key: Annotated[tuple[PlainPath, ...], Field(max_length=MAX_PATHS), Listed] = ()
    """Files of the repository, such as lock files: where one differs, a cache of its own is begun."""


class CloneSetUp(Shape):
    """What makes a clone ready before its agent starts, and a check's checkout before its command."""

    setup: Argv
    """The command, as a line for the shell or as program and arguments; it is run in each new clone."""
    timeout_minutes: Annotated[float, Strict(), Field(gt=0, le=1440, allow_inf_nan=False)] = 10
    """How long it may take before it is stopped, and has failed."""
    network: Annotated[tuple[Entry, ...], Field(max_length=500), Listed] = ()
    """What it reaches by the gateway, and its agent does not: entries as in `isolation.network.allow`."""
    include: Annotated[tuple[InsidePath, ...], Field(max_length=MAX_PATHS), Listed] = ()
    """Ignored files of your own repository that are copied into clones: paths, or `*` in them. What looks
    like a secret is copied only where it is named exactly."""
    cache: Cache | None = None
    """What later set-ups may begin from."""

    @property
    def said(self) -> str:
        """The command as a person would type it; of a long one its beginning."""
        whole = " ".join(self.setup[2:] if self.setup[:2] == SHELL else self.setup).strip()
        first = whole.partition("\n")[0][:MOST_SAID]
        return first if first == whole else f"{first.rstrip()} …"


def may_be_secret(path: str) -> bool:
    """Whether a file is called as those are that hold a secret."""
    return any(SECRET.search(part) for part in PurePosixPath(path).parts)


def is_wild(path: str) -> bool:
    """Whether a path stands for all that it fits."""
    return bool(WILD.search(path))


def include_faults(document: object) -> Iterator[Fault]:
    """Find what is to be copied from a repository that is on no disk of ours, or into what a cache keeps."""
    root = document if isinstance(document, Mapping) else {}
    repo, agents = root.get("repo"), root.get("agents")
    places: list[tuple[Path, object]] = [((), root)]
    if isinstance(agents, Mapping):
        places += [(("agents", str(name)), agent) for name, agent in agents.items()]
    for path, holder in places:
        found = holder.get("workspace") if isinstance(holder, Mapping) else None
        if not isinstance(found, Mapping) or not found.get("include"):
            continue
        if isinstance(repo, str) and is_remote(repo):
            sentence = "copies from a repository on this machine, and `repo` is a URL: leave it out"
            yield Fault((*path, "workspace", "include"), sentence)
        cache = found.get("cache")
        for kept in _paths(cache.get("paths") if isinstance(cache, Mapping) else None):
            for included in filter(partial(_overlap, kept), _paths(found["include"])):
                sentence = f"names {included}, and `cache` keeps {kept}: keep them apart"
                yield Fault((*path, "workspace", "include"), sentence)


def _paths(said: object) -> list[PurePosixPath]:
    """What a list of paths names, or a path alone; other values are found at fault elsewhere."""
    listed = said if isinstance(said, list | tuple) else [said]
    return [PurePosixPath(each) for each in listed if isinstance(each, str)]


def _overlap(kept: PurePosixPath, included: PurePosixPath) -> bool:
    """Whether one of them is, or lies in, the other; `*` fits what it may, and `**` says no place."""
    pairs = zip(kept.parts, included.parts, strict=False)
    return all(fnmatchcase(name, pattern) and "**" not in pattern for name, pattern in pairs)
