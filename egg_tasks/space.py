"""What takes the space of a home on the disk, kind by kind."""

from collections.abc import Mapping
from pathlib import Path

from egg_tasks import removal
from egg_tasks.run_places import KEPT, ROLES, RUNS, SHIMS

FOLDERS: Mapping[str, tuple[str, ...]] = {
    "database": ("postgres", "valkey"),
    "repositories": ("repos",),
    "clones": (RUNS,),
    "kept": (),
    "homes": (ROLES, "tmp"),
    "logs": (SHIMS, "logs"),
}

MEGABYTE, FEW = 1_000_000, 10
"""Up to so many megabytes a tenth is said."""


def measure(home: Path) -> Mapping[str, int]:
    """The bytes of disk that each kind takes; `other` is what is left."""
    found = {kind: sum(removal.size(home / name) for name in names) for kind, names in FOLDERS.items()}
    kept = sum(removal.size(path) for path in (home / RUNS).glob(f"*/{KEPT}"))
    named = frozenset(name for names in FOLDERS.values() for name in names)
    found["clones"], found["kept"] = max(0, found["clones"] - kept), kept
    return found | {"other": removal.size(home, but=named)}


def in_words(size: int) -> str:
    """A size as people say it: 0 kB, 16 kB, 3.4 MB, 120 MB."""
    if size < MEGABYTE // 10:
        return f"{-(-size // 1000)} kB"
    number = size / MEGABYTE
    return f"{number:.1f} MB" if number < FEW else f"{number:.0f} MB"
