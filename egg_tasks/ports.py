"""What use cases ask of the outside world; adapters and their fakes pass the same tests."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol
from uuid import UUID

from egg_tasks.outbox import Parcel
from models.schemas.definition import Agent
from models.schemas.disk_use import DiskUse
from models.schemas.git import Branches, Clone, Conflicted, Merged, Saved, Strays, TakenHead
from models.schemas.layout import Layout
from models.schemas.run import Command, Exit, Launch, Report
from models.schemas.silence import Silence

KIN = "-"
"""In the key of a cache it ends what its kin have in common: of these only the newest is kept."""


class Sender(Protocol):
    """Where the outbox of a unit of work goes once that has committed."""

    def send(self, parcel: Parcel) -> None:
        """Send one parcel, which may have been sent before; raises whatever keeps it from being sent.

        Nobody is told of that but the log: whoever drives the rows finds what was not sent.
        """


class Runner(Protocol):
    """Where agents run. Every method may be repeated; a run starts at most once, whoever asks."""

    def layout(self, run_id: UUID, *, directory: Path | None = None) -> Layout:
        """Where everything of a run lies, as its agent sees it and as we do, started or not.

        *directory* is where it works, as we see it; the clone of its role if none is said.
        """

    def need(self) -> None:
        """Raise `EngineAway` while nothing can be started, since what it is started with does not answer."""

    def ensure(self, launch: Launch) -> None:
        """Start the run unless it was started before, in which case the launch is not looked at.

        Raises `Unavailable` when the machine cannot start anything now. A program that does not exist
        is no error here: it is the run's `Exit`.
        """

    def has_started(self, run_id: UUID) -> bool:
        """Whether the run has taken its once-only start mark."""

    def wait(self, run_id: UUID, *, timeout: timedelta) -> Exit | None:
        """Return how the run ended, or None if it still runs after *timeout*; returns as soon as it ends."""

    def stop(self, run_id: UUID) -> None:
        """Ask the run to end (SIGTERM to its whole group); its exit will say `stopped`."""

    def kill(self, run_id: UUID) -> None:
        """End the run at once (SIGKILL to its whole group and whatever it left behind)."""

    def attended(self, run_id: UUID) -> AbstractContextManager[None]:
        """Have `still` work for the run while the context lasts, in whatever process it is asked for."""

    def still(self, run_id: UUID) -> AbstractContextManager[None]:
        """Have a live run stand still while the context lasts, where it must not move while it is looked at.

        `Unavailable` when nobody can have it do so now, and by `stillness.need` once it may have moved. One
        that is over moves no more. Its end waits for the end of this.
        """

    def tell(self, run_id: UUID, text: str) -> None:
        """Leave *text* in the run's `EGG_SIGNAL_FILE`; whoever catches SIGUSR1 gets it, if it was asked for.

        Telling what was told last does nothing.
        """

    def disk_use(self, run_id: UUID) -> DiskUse | None:
        """What a run takes of the disk now, and where; None where nothing limits it. May take a minute."""

    def last_active_at(self, run_id: UUID) -> datetime | None:
        """When the run last wrote output, or None if it never did."""

    def read_log(self, run_id: UUID, *, offset: int, limit: int) -> bytes:
        """Up to *limit* bytes of the run's output from byte *offset*; empty at the end."""

    def forget(self, run_id: UUID) -> None:
        """Remove the log of a run that is over, and all else that is noted of it."""

    def tidy(self) -> None:
        """Remove what was made for runs and pipelines that are gone, and leads nowhere now."""

    def list_live(self) -> Collection[UUID]:
        """The runs on this machine whose supervisor lives."""

    def list_present(self) -> Collection[UUID]:
        """The runs on this machine of which something is there that is not a file in their directories."""

    def end_stranger(self, run_id: UUID) -> bool:
        """End what is there of a run that nobody attends, and remove it; whether it lived."""

    def list_silences(self, *, since: datetime) -> Collection[Sequence[Silence]]:
        """For each run on this machine whose supervisor has ticked after *since*: when it did not."""


class ProgramOutput(Protocol):
    """What an agent run has written, which may be more than memory holds."""

    def end(self, most: int) -> bytes:
        """Its last *most* bytes, or all of it where that is less."""


class Backend(Protocol):
    """How one kind of agent program is started and understood; it starts nothing and keeps nothing."""

    def start(self, agent: Agent, *, prompt: str, layout: Layout) -> Command:
        """What to execute so that the agent does what *prompt* says; the same for the same, however often.

        Paths in it are the agent's own (`layout.inside`). Whether the program exists is not looked at: that
        is its run's `Exit`.
        """

    def understand(self, ended: Exit, output: ProgramOutput) -> Report:
        """What became of a run whose process is gone; never an error, whatever its program has written.

        Who did not end with exit code 0 has failed, whatever it says of itself. That a run was stopped or
        lost, or that its program did not start, is for others to say, who know it from its `Exit`.
        """


class Workspace(Protocol):
    """A pipeline's repository and the clones its agents work in. No code an agent wrote is ever run."""

    def repository(self, pipeline_id: str) -> Path:
        """Where the pipeline's bare repository is, made or not."""

    def prepare(self, pipeline_id: str, *, source: str, base: str | None, owner: str = "") -> str:
        """Make the pipeline's bare repository from *source* unless it is there; the commit *base* names.

        Without a base it is HEAD's. Also creates the work branch at that commit. Raises `Unprocessable`
        when source or base do not exist, `Unavailable` when the source cannot be reached now, `Conflict`
        while somebody makes it, and where it was made for another *owner*.
        """

    def put_strange_aside(self, pipeline_id: str, *, owner: str) -> str | None:
        """Rename a repository of the pipeline's name that was made for another; its new name.

        `Conflict` while somebody makes it.
        """

    def fetch_base(self, pipeline_id: str, *, source: str, base: str | None) -> str:
        """Fetch what *base* stands for in *source* now into the pipeline's repository; that commit.

        Moves no branch. Raises what `prepare` raises.
        """

    def clone_of(self, run_id: UUID) -> Path:
        """Where the clone of a role's run is, made or not."""

    def open_clone(self, pipeline_id: str, *, role: str, run_id: UUID, work_commit: str) -> Clone:
        """Make (or find) the run's clone on the role's branch, with *work_commit* merged in if that goes.

        A role that has no branch yet starts at *work_commit*.
        """

    def open_checkout(self, pipeline_id: str, *, run_id: UUID, commit: str) -> Path:
        """Make (or find) a fresh checkout of *commit*, for a check."""

    def make_ready(
        self,
        run_id: UUID,
        *,
        source: str,
        directory: Path,
        inside: Path,
        include: Sequence[str],
        begins_from: Sequence[str],
        paths: Sequence[str],
    ) -> None:
        """Copy into a clone or checkout what its set-up *run_id* begins from: once, by one at a time.

        *inside* is where the set-up finds it. Of *include* files that git ignores in the repository *source*,
        and *paths* as the first cache of *begins_from* that is there has them; what is in the clone already
        stays. `Unprocessable`, with the way out, for a file that is not there, or better stays where it is.
        """

    def cache_key(self, said: Sequence[str], pipeline_id: str, *, commit: str, files: Sequence[str]) -> str:
        """By what a cache is known: what is *said* of its set-up, and *files* as a commit has them."""

    def keep_cache(
        self, key: str, *, run_id: UUID, directory: Path, inside: Path, paths: Sequence[str]
    ) -> None:
        """Keep what the set-up *run_id* has made in a clone, whole or not at all, unless something is kept.

        Then its kin go. Once, by one at a time: when this has returned to anybody, nobody reads the clone
        any more.
        """

    def take(self, pipeline_id: str, *, run_id: UUID, clone: Path) -> TakenHead:
        """Fetch the clone's head into the pipeline's repository, kept at refs/egg/taken/<run>/<commit>.

        *Uncommitted* is what the agent's own git says. Raises `Leftovers` naming the paths when the clone
        holds uncommitted changes, and `Conflict` naming the branches when it holds commits of its own that
        are not in its head, or the paths of large files (LFS) whose content is nowhere.
        """

    def last_moved_at(self, clone: Path) -> datetime | None:
        """When the clone's head last moved, by a commit or otherwise; None if that cannot be seen."""

    def head(self, pipeline_id: str, *, clone: Path) -> str:
        """Fetch the clone's head commit into the pipeline's repository without keeping it; its id."""

    def ancestors(self, pipeline_id: str, *, commit: str, among: Iterable[str]) -> frozenset[str]:
        """Those of *among* that *commit* contains."""

    def tree(self, pipeline_id: str, *, commit: str) -> str:
        """The tree of a commit."""

    def trees(self, pipeline_id: str, *, commits: Iterable[str]) -> Mapping[str, str]:
        """The trees of commits, those that are not there left out."""

    def merged_tree(self, pipeline_id: str, *, ours: str, theirs: str) -> str | Conflicted:
        """The tree that merging two commits gives, or the paths on which they do not go together."""

    def merge(self, pipeline_id: str, *, work: str, version: str, message: str) -> Merged | Conflicted:
        """Build the merge of *version* into *work* without moving a branch; *work* itself if it has it."""

    def find_branch(self, pipeline_id: str, *, branch: str) -> str | None:
        """The commit a branch of the pipeline's repository is at, or None when there is no such branch."""

    def move_branch(self, pipeline_id: str, *, branch: str, commit: str, expected: str | None) -> bool:
        """Move a branch of the pipeline's repository if it is where it is *expected*; whether it did."""

    def salvage(
        self, pipeline_id: str, *, role: str, run_id: UUID, clone: Path, branch: str, is_refused: bool = False
    ) -> Saved | None:
        """Commit what the clone has not committed, and bring it to *branch*; what became of it.

        The commit's message is `WIP: auto-commit uncommitted work (<role>) [<pipeline>]`. It deletes and
        rewrites nothing that the agent has not touched; what cannot be saved as it should be is kept in
        the clone. *is_refused* says that READY was refused for what is not committed: that goes to a
        branch of its own. Repeating it makes no second commit and gives the same. Of a clone that is gone it
        is the last snapshot, if there is one; else None. An unreadable one is looked at on top of that.
        """

    def snapshot(self, pipeline_id: str, *, role: str, run_id: UUID, clone: Path, known: str) -> str | None:
        """Keep what a live clone holds, at refs/egg/snapshots/<run>, and touch nothing in it; a mark of that.

        Nothing is done where the clone still is as it was when this gave the mark *known*, nor where there is
        no clone. None: the run's snapshots have brought all they may, and none is taken any more. `salvage`
        falls back on the last. Raises what `take` raises, and `NoRoom`.
        """

    def drop_snapshot(self, pipeline_id: str, *, run_id: UUID) -> None:
        """Forget the snapshot of a run whose work is safe; it need not be there."""

    def save_strays(self, pipeline_id: str, *, run_id: UUID, clone: Path) -> Strays:
        """Bring commits that only other branches of the clone hold to branches of their own.

        Repeating it gives the same; a clone that is gone has none.
        """

    def keep(self, run_id: UUID) -> bool:
        """Put the clone of a run that is over aside as `runs/<run>/kept`; whether it has one, then or before.

        Repositories beside it stay where they are, and count as one.

        `Unavailable` when the disk refuses.
        """

    def discard(self, run_id: UUID) -> None:
        """Remove what the agent of a run that is over was given: its clone or checkout, all but its prompt.

        What was put aside as `kept` goes too: who asks for that knows. It is out of sight when this returns,
        and off the disk after `tidy`. `Unavailable` when the disk refuses.
        """

    def forget(self, run_id: UUID) -> None:
        """Remove all that the agent of a run that is over was given, in the same way."""

    def list_branches(self, pipeline_id: str, *, source: str) -> Branches:
        """The branches a pipeline made, and which of them the repository it came from holds as well."""

    def discard_pipeline(self, pipeline_id: str) -> None:
        """Remove a pipeline's repository and the homes of its roles, in the same way.

        `Conflict` while the repository is being made.
        """

    def tidy(self, *, timeout: timedelta) -> bool:
        """Take off the disk what was removed; whether nothing of it is left, after *timeout* at most."""
