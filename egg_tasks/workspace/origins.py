"""Where the submodules of a repository come from, as git itself finds it out."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from egg_tasks.workspace.git import GitFailed
from egg_tasks.workspace.links import Submodule
from egg_tasks.workspace.sources import Source
from models.schemas.source import is_fit, is_path, is_remote, local_path


@dataclass(frozen=True)
class Origin:
    """Where a repository comes from: what relative URLs start from, and its directories on this disk."""

    urls: tuple[str, ...] = field(repr=False)
    """They may hold passwords."""
    directories: tuple[Path, ...] = ()
    """Git directories, below which the submodules that were checked out are kept."""
    work_tree: Path | None = None
    is_here: bool = False
    """Whether it lies on this disk, so that it may name other places on it."""

    @classmethod
    def here(cls, source: Source) -> "Origin":
        """The origin of a person's repository on this disk."""
        found = source.git.lines(
            "rev-parse", "--absolute-git-dir", "--path-format=absolute", "--git-common-dir"
        )
        directories = tuple(dict.fromkeys(map(Path, found)))
        return cls((*_default_remote(source), str(source.path)), directories, source.path, is_here=True)

    def of_submodule(self, module: Submodule) -> "Origin":
        """The origin of a submodule: its URLs, the best first, and where it was checked out."""
        is_relative = module.url.startswith(("./", "../"))
        found = [relative(url, module.url) for url in self.urls] if is_relative else [module.url]
        urls = tuple(dict.fromkeys(url for url in found if self._may_name(url)))
        # What comes from a stranger is the stranger's, wherever it is linked to from.
        is_here = self.is_here and not any(map(is_remote, urls))
        if ".." in module.name.split("/") or module.name.startswith("/"):
            return Origin(urls, is_here=is_here)
        kept = [directory / "modules" / module.name for directory in self.directories]
        inner = self.work_tree / module.path if self.work_tree else None
        if inner and (inner / ".git").is_dir():
            kept.append(inner / ".git")
        directories = tuple(directory for directory in kept if (directory / "objects").is_dir())
        return Origin(urls, directories, inner, is_here=is_here)

    def _may_name(self, url: str) -> bool:
        """Whether it may be fetched from there: a stranger's repository names no place on this disk."""
        return is_fit(url) and (is_remote(url) or (self.is_here and local_path(url).startswith("/")))


def relative(base: str, url: str) -> str:
    """A URL that starts with `./` or `../`, taken from another, as git does it."""
    base = base.rstrip("/")
    while url.startswith(("./", "../")):
        if url.startswith("../"):
            cut = max(base.rfind("/"), base.rfind(":"))
            if cut < 0:
                break
            base, url = base[:cut] + (":" if base[cut] == ":" else ""), url[3:]
        else:
            url = url[2:]
    return f"{base}{url}" if base.endswith(":") else f"{base}/{url}"


def _default_remote(source: Source) -> Iterator[str]:
    """The URL of the remote that the branch which is checked out follows, else of `origin`."""
    try:
        known, branch = source.git.answers("symbolic-ref", "--quiet", "--short", "HEAD")
    except GitFailed:
        known, branch = False, b""
    followed = (
        _configured(source, f"branch.{branch.decode(errors='replace').strip()}.remote") if known else ""
    )
    for name in (followed, "origin"):
        url = _configured(source, f"remote.{name}.url") if name not in {"", "."} else ""
        if url:
            yield str((source.path / url).resolve()) if is_path(url) else url
            return


def _configured(source: Source, key: str) -> str:
    try:
        known, value = source.git.answers("config", "--get", key)
    except GitFailed:
        return ""
    return value.decode("utf-8", "surrogateescape").strip() if known else ""
