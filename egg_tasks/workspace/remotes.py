"""A repository on another machine: what it says it has, and why it cannot be read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from egg_tasks.workspace.git import GitFailed
from egg_tasks.workspace.names import COMMIT
from egg_tasks.workspace.reach import Reach, ReachingGit
from models.errors import Rejected, Unavailable
from models.git_names import SHA256_DIGITS
from models.masking import masked
from models.schemas.fault import Fault, Faulty, meant
from models.schemas.source import is_fit, is_remote, refuse_reckoned, refused, split

LOOK_LIMIT = timedelta(seconds=120)
ABBREVIATED = re.compile(r"[0-9a-f]{7,64}")
NO_ACCESS = re.compile(
    r"denied|authentication|could not read (username|password)|terminal prompts disabled"
    r"|host key verification|no such identity|not found|\b40[1347]\b|invalid credentials",
    re.IGNORECASE,
)
FULL = re.compile(r"no space left|quota exceeded", re.IGNORECASE)
UNTRUSTED = re.compile(r"certificate", re.IGNORECASE)
REFUSED = re.compile(
    r"does not exist|not appear to be a git repo|not valid|transport .* not allowed|no path specified"
    r"|unsupported protocol|unable to find remote helper|is not a remote command|bad port",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Remote:
    """What a repository on another machine says of itself."""

    source: str
    refs: Mapping[str, str]
    """The commits and tags its names stand for; HEAD among them if it has a commit."""

    @property
    def object_format(self) -> str:
        """The hash its names are made with."""
        return "sha256" if any(len(name) == SHA256_DIGITS for name in self.refs.values()) else "sha1"

    def ref(self, base: str | None) -> str | None:
        """The full name of what *base* names; None for (the beginning of) a commit's id. `Faulty` else."""
        for name in (base or "HEAD", f"refs/heads/{base}", f"refs/tags/{base}", f"refs/{base}"):
            if name in self.refs and (name == "HEAD" or name.startswith("refs/")):
                return name
        if base is not None and ABBREVIATED.fullmatch(base):
            return None
        refuse_reckoned(base)
        raise Faulty.of([self._nothing(base)])

    def _nothing(self, base: str | None) -> Fault:
        names = [
            name.split("/", 2)[2] for name in self.refs if name.startswith(("refs/heads/", "refs/tags/"))
        ]
        if not names:
            return Fault(("repo",), f"{self.source} has no commit yet; push one")
        if base is None:
            sentence = f"{self.source} has no commit at its HEAD; name what to start from as `base`, such as"
            return Fault(("repo",), f"{sentence} {names[0]}")
        hint = meant(base, names) or meant(base.partition("/")[2], names)
        return Fault(("base",), f"no branch, tag or commit `{base}` in {self.source}{hint}")


def checked_url(source: str) -> str:
    """A URL as git may be given it, without its credential; `Unprocessable` for what would run a program."""
    plain = split(source)[0]
    if not (is_fit(plain) and is_remote(plain)):
        raise refused(plain)
    return plain


def look(source: str, reach: Reach, *, directory: Path) -> Remote:
    """Ask a repository for its names, in an empty *directory*. `Faulty` or `Unavailable` if it says none."""
    url, credential = checked_url(source), split(source)[1]
    git = ReachingGit(directory, reach=reach.with_credential(credential))
    try:
        listed = git.run("ls-remote", "--quiet", "--", url, timeout=LOOK_LIMIT).decode(
            "utf-8", "surrogateescape"
        )
    except GitFailed as error:
        raise unreadable(url, error) from error
    pairs = (line.partition("\t") for line in listed.splitlines())
    return Remote(url, {name: commit for commit, _, name in pairs if COMMIT.fullmatch(commit)})


def unreadable(url: str, error: GitFailed) -> Rejected | Unavailable:
    """Why git could not read a repository, and the way out; `Unavailable` if trying again may help."""
    said = masked(str(error))
    reason = next(
        (line for line in reversed(said.splitlines()) if line.startswith("fatal: ")), said.splitlines()[0]
    )
    reason = reason.removeprefix("fatal: ")
    if FULL.search(said):
        return full(reason)
    if NO_ACCESS.search(said):
        return Faulty.of([Fault(("repo",), f"{url} cannot be read ({_first(said)}): {way_in(url)}")])
    if UNTRUSTED.search(said):
        way = "name the certificates to trust as `http.sslCAInfo` of your git, or as `ca_file` in [fetch]"
        return Faulty.of([Fault(("repo",), f"{url} is not trusted ({reason}): {way} of settings.toml")])
    if REFUSED.search(said):
        return Faulty.of([Fault(("repo",), f"{url} cannot be read ({reason}): give one git can clone")])
    return Unavailable(f"{url} cannot be reached now: {reason}", {"at": "repo"})


def full(reason: str) -> Unavailable:
    """What is said when our own disk refuses a copy."""
    return Unavailable(
        f"the disk of EGG_HOME is full ({reason}): free some space, or set EGG_HOME to another disk"
    )


def way_in(url: str) -> str:
    """How egg is given a credential."""
    return (
        "if it is private, give egg the credential: `egg run` in a shell where `git clone "
        f"{url}` works, on the machine of the stack, or [fetch] in settings.toml of EGG_HOME "
        "(docs/howto/private-repositories.md)"
    )


def _first(said: str) -> str:
    """The line that says why: ssh says it before git does."""
    lines = [line for line in said.splitlines() if NO_ACCESS.search(line)]
    return lines[0].removeprefix("fatal: ").removeprefix("remote: ")
