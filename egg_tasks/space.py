"""What takes the space of a home on the disk, kind by kind."""

from collections.abc import Mapping
from pathlib import Path

from egg_tasks import removal
from egg_tasks.repository_places import REPOSITORIES
from egg_tasks.run_places import KEPT, ROLES, RUNS, SHIMS

FOLDERS: Mapping[str, tuple[str, ...]] = {
    "database": ("postgres", "valkey"),
    "repositories": (REPOSITORIES,),
    "clones": (RUNS,),
    "kept": (),
    "caches": ("caches",),
    "homes": (ROLES, "tmp"),
    "logs": (SHIMS, "logs"),
}


def measure(home: Path) -> Mapping[str, int]:
    """The bytes of disk that each kind takes; `other` is what is left."""
    found = {kind: sum(removal.size(home / name) for name in names) for kind, names in FOLDERS.items()}
    kept = sum(removal.size(path) for path in (home / RUNS).glob(f"*/{KEPT}"))
    named = frozenset(name for names in FOLDERS.values() for name in names)
    found["clones"], found["kept"] = max(0, found["clones"] - kept), kept
    return found | {"other": removal.size(home, but=named)}
