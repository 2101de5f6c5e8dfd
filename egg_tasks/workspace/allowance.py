"""How much the snapshots of one run may bring into the pipeline's repository: nothing is removed there."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from egg_tasks import disk
from egg_tasks.workspace.git import Git
from egg_tasks.workspace.lfs import LEAST_FREE
from models.errors import NoRoom
from models.sizes import in_words

MOST_TOGETHER = 64 * 1024**2
"""Bytes of what is not committed that one snapshot holds, the smallest files first."""
MOST_OF_RUN = 1024**3
"""Bytes that all snapshots of one run may bring, with the commits they stand on."""


@dataclass(frozen=True)
class Allowance:
    """What a run's snapshots have brought, kept in the repository so that it outlives a restart."""

    place: Path

    @classmethod
    def of(cls, git: Git, run_id: UUID) -> "Allowance":
        """That of a run."""
        return cls(git.directory / "snapshots" / str(run_id))

    @property
    def left(self) -> int:
        """Bytes that may still come; below 1 when none may."""
        try:
            return MOST_OF_RUN - int(self.place.read_text())
        except FileNotFoundError:
            return MOST_OF_RUN

    def charge(self, size: int) -> None:
        """Note that so many bytes come."""
        if size > 0:
            self.place.parent.mkdir(exist_ok=True)
            draft = self.place.with_suffix(".new")
            draft.write_text(str(MOST_OF_RUN - self.left + size))
            draft.rename(self.place)

    def forget(self) -> None:
        """The run is over; nothing need have been noted."""
        self.place.unlink(missing_ok=True)


def need_room(place: Path) -> None:
    """Raise `NoRoom` where a snapshot would not leave free what everything else goes on with."""
    free = disk.free_bytes(place)
    if free < MOST_TOGETHER + LEAST_FREE:
        raise NoRoom(f"no room for a snapshot in {place}: {in_words(free)} free")
