"""The log of a pipeline's work: which role made which version, its commits, and what was objected to it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli import formatting, persons_git
from cli.pager import painted
from cli.pipeline_work import PipelineWork
from egg_tasks.client import Json
from models.foreign import Shown, flat, page

FIELDS = "%H%x00%P%x00%an%x00%cI%x00%s"
MOST = 2000
"""So many commits are shown."""


@dataclass(frozen=True)
class Commit:
    """One commit."""

    id: str
    parents: Sequence[str]
    author: str
    at: str
    subject: str


def document(place: Path, work: PipelineWork, phases: Sequence[Json]) -> Sequence[Json]:
    """The work's commits, the newest first; each merged version with its own and with its objections."""
    merged = {
        str(one["merge_commit"]): (phase, one) for phase, one in _versions(phases) if one["merge_commit"]
    }
    made = {str(one["commit"]): (phase, one) for phase, one in _versions(phases)}
    found = []
    for commit in _commits(place, "--first-parent", f"{work.start}..{work.commit}"):
        phase, version = merged.get(commit.id) or made.get(commit.id) or (None, None)
        below = _below(place, commit) if len(commit.parents) > 1 else []
        found.append(
            {
                "commit": commit.id,
                "subject": commit.subject,
                "author": commit.author,
                "committed_at": commit.at,
                "version": _version(phase, version) if phase and version else None,
                "objections": _objections(phase, version) if phase and version else [],
                "commits": [
                    {"commit": one.id, "subject": one.subject, "author": one.author, "committed_at": one.at}
                    for one in below
                ],
            }
        )
    return found


def lines(log: Sequence[Json], code: str) -> Iterator[Shown]:
    """The same for people; *code* colours what names a commit."""
    for each in log:
        version = each["version"]
        who = (
            f"{version['role']} v{version['number']} [{version['phase']}]"
            if version
            else flat(each["author"])
        )
        subject = "" if version and each["commits"] else f"  {flat(each['subject'])}"
        at = formatting.moment(each["committed_at"])
        yield _line(each["commit"], code, f"{who}  {at}{subject}")
        for one in each["commits"]:
            yield _line(one["commit"], "", f"{flat(one['subject'])}{_by(one, version)}", indent="  ")
        for one in each["objections"]:
            answer = f"; answer: {flat(one['answer'])}" if one["answer"] else ""
            said = f"  #{one['number']} {one['from_role']} objects ({one['status']}): {flat(one['reason'])}"
            yield page([said + answer])


def _line(commit: str, code: str, words: str, indent: str = "") -> Shown:
    return Shown(f"{indent}{painted(page([commit[:10]]), code)} {page([words])}")


def _by(commit: Json, version: Json | None) -> str:
    return "" if version and commit["author"] == version["role"] else f" ({flat(commit['author'])})"


def _below(place: Path, commit: Commit) -> Sequence[Commit]:
    """What came with a merge, other merges left out."""
    first, *others = commit.parents
    return _commits(place, "--no-merges", f"^{first}", *others)


def _commits(place: Path, *which: str) -> Sequence[Commit]:
    listed = persons_git.ask(
        place, "log", "-z", "--no-show-signature", f"--max-count={MOST}", f"--format={FIELDS}", *which, "--"
    )
    words = listed.split("\0") if listed else []
    rows = (words[at : at + 5] for at in range(0, len(words) - 4, 5))
    return [Commit(name, parents.split(), author, at, subject) for name, parents, author, at, subject in rows]


def _versions(phases: Sequence[Json]) -> Iterator[tuple[Json, Json]]:
    yield from ((phase, version) for phase in phases for version in phase["versions"])


def _version(phase: Json, version: Json) -> Mapping[str, object]:
    name = formatting.phase_name(phase["phase"], phase["iteration"])
    return {"role": version["role"], "number": version["number"], "phase": name}


def _objections(phase: Json, version: Json) -> Sequence[Json]:
    return [
        {key: one[key] for key in ("number", "from_role", "status", "reason", "answer")}
        for one in phase["objections"]
        if (one["about_role"], one["version"]) == (version["role"], version["number"])
    ]
