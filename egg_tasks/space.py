"""What takes the space of EGG_HOME, kind by kind."""

from collections.abc import Mapping
from pathlib import Path

from egg_tasks import removal
from egg_tasks.run_places import SHIMS

KEPT = "kept"
FOLDERS: Mapping[str, tuple[str, ...]] = {
    "database": ("postgres", "valkey"),
    "repositories": ("repos",),
    "clones": ("runs",),
    "kept": (),
    "homes": ("roles", "tmp"),
    "logs": (SHIMS, "logs"),
}


def measure(home: Path) -> Mapping[str, int]:
    """The bytes of disk that each kind takes; `other` is what is left."""
    found = {kind: sum(removal.size(home / name) for name in names) for kind, names in FOLDERS.items()}
    kept = sum(removal.size(path) for path in (home / "runs").glob(f"*/{KEPT}"))
    named = frozenset(name for names in FOLDERS.values() for name in names)
    found["clones"], found["kept"] = max(0, found["clones"] - kept), kept
    return found | {"other": removal.size(home, but=named)}


def megabytes(size: int) -> str:
    """A size in words: 0 MB, 3.4 MB, 120 MB."""
    number = size / 1_000_000
    return f"{number:.0f} MB" if number >= 10 or not size else f"{max(0.1, number):.1f} MB"  # noqa: PLR2004
