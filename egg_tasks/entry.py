"""The command's way in: nothing of where it is typed gets before our own packages.

It imports `sys` alone. A project may have packages called `cli` and `models`, too, and PYTHONPATH=. set.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> int:
    """Run one command; the process's exit code."""
    sys.path[:] = without_strangers(sys.path, ours=__file__.rpartition("/")[0].rpartition("/")[0])
    # PYTHONPATH may have led to another copy of ours: what was imported so far may be its.
    for name in [name for name in sys.modules if name.partition(".")[0] in {"egg_tasks", "cli", "models"}]:
        del sys.modules[name]
    try:
        from cli.main import run

        return run()
    except KeyboardInterrupt:  # before or behind the command itself
        return 130


def without_strangers(path: "Sequence[str]", *, ours: str) -> list[str]:
    """Return *path* without the script's directory, the current one and the entries of PYTHONPATH.

    Python puts those before its own `pythonXY.zip`. What is the interpreter's own, or *ours*, stays, behind
    the rest: PYTHONPATH may name that as well, and then it stands there only.
    """
    own = next((at for at, entry in enumerate(path) if _is_archive(entry)), 0)
    prefixes = (sys.prefix, sys.base_prefix, sys.exec_prefix)
    roots = tuple(f"{prefix}/{lib}/python" for prefix in prefixes for lib in ("lib", sys.platlibdir))
    kept = [entry for entry in path[:own] if entry == ours or entry.startswith(roots)]
    return [*path[own:], *kept]


def _is_archive(entry: str) -> bool:
    """Whether this is where Python looks for its own library in one file, whether there is one or not."""
    name = entry.rpartition("/")[2]
    return name.startswith("python3") and name.endswith(".zip")
