"""Repositories of an agent outside its clone: worktrees it made, a clone it moved.

Nobody saves what is in them. They are looked for where something goes with the run or its pipeline. All names
are the agent's; nothing of theirs is opened but a pointer, as text, and what cannot be looked at counts.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from egg_tasks.foreign_files import LARGEST_REF, is_directory, is_there, read_plain
from egg_tasks.run_places import room
from models.foreign import one_line

MOST_ENTRIES = 20_000
"""So many are looked at beside a clone, where an agent has nothing to put."""
MOST_NAMED = 20
POINTERS = ".git/worktrees"


def unsaved(clone: Path) -> Sequence[str]:
    """What is said of each repository outside a role's clone, in words."""
    beside = [f"what is not committed in {_shown(name)}, beside its clone" for name in beside_it(clone)]
    elsewhere = [f"what is not committed in its worktree {_shown(name)}" for name in elsewhere_of(clone)]
    return [*beside, *elsewhere]


def beside_it(clone: Path) -> Sequence[str]:
    """The paths, from the clone's parent on, of what is a repository there, or cannot be looked into."""
    found = []
    for path in _repositories(clone):
        found.append(str(path.relative_to(clone.parent)))
        if len(found) == MOST_NAMED:
            break
    return sorted(found)


def elsewhere_of(clone: Path) -> Sequence[str]:
    """The worktrees of a clone that are not beside it, and yet in a place that goes: TMPDIR, HOME.

    One whose place cannot be told is named as git calls it.
    """
    home, given = Path(os.path.realpath(clone.parents[2])), Path(os.path.realpath(clone.parent))
    going = (home, Path(os.path.realpath(room(clone.parent))))
    found = []
    for name, place in _worktrees(clone):
        path = Path(os.path.realpath(place)) if place else None
        if path is None:
            found.append(name)
        elif any(path.is_relative_to(each) for each in going) and not path.is_relative_to(given):
            found.append(str(path))
    return sorted(found)[:MOST_NAMED]


def is_in(clone: Path, directory: Path) -> bool:
    """Whether a worktree of a clone is in a directory that is to go, or the clone itself may be."""
    if not is_directory(clone):
        return is_directory(directory)
    where = Path(os.path.realpath(directory))
    places = (place for _, place in _worktrees(clone))
    return any(place is None or Path(os.path.realpath(place)).is_relative_to(where) for place in places)


def _repositories(clone: Path) -> Iterator[Path]:
    """What holds a `.git` below the parent of a clone, the clone aside."""
    ours = {clone, clone.with_name(f"{clone.name}.partial")}
    waiting, left = [clone.parent] if is_directory(clone.parent) else [], MOST_ENTRIES
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(here) as entries:
                inner = [here / entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            yield here
            continue
        left -= len(inner)
        if left < 0:
            yield here
            return
        for path in inner:
            if path in ours:
                continue
            if is_there(path, ".git"):
                yield path
            else:
                waiting.append(path)


def _worktrees(clone: Path) -> Iterator[tuple[str, Path | None]]:
    """The worktrees of a clone by git's name for them, and where each is; None where that cannot be told."""
    try:
        with os.scandir(clone / POINTERS) as entries:
            names = sorted(entry.name for entry in entries)
    except FileNotFoundError:
        return
    except OSError:
        yield POINTERS, None
        return
    for name in names:
        said = read_plain(clone, f"{POINTERS}/{name}/gitdir", limit=LARGEST_REF)
        pointer = os.fsdecode(said or b"").strip()
        if not pointer or "\0" in pointer:
            yield name, None
            continue
        # Relative ones are so to where they stand.
        place = (clone / POINTERS / name / pointer).parent
        if _may_be(place):
            yield name, place


def _may_be(path: Path) -> bool:
    """Whether something is at a path, or is perhaps, as far as we may look."""
    with suppress(FileNotFoundError, NotADirectoryError):
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            raise
        except OSError:
            return True
        return True
    return False


def _shown(name: str) -> str:
    return one_line(os.fsencode(name).decode(errors="backslashreplace"))
