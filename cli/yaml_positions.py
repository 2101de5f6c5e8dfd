"""Knows on which line of a definition file each of its parts stands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

from models.schemas.definition import Fault

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Positions:
    """Where the parts of a document stand in its file; *overridden* paths were given by `--set`."""

    name: str
    root: yaml.Node | None = None
    overridden: Sequence[Path] = ()

    def line(self, path: Path) -> int | None:
        """Return the line of what is at *path*, or of the closest thing around it; None in an empty file."""
        node, line = self.root, 1 if self.root is None else self.root.start_mark.line + 1
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            node, line = found
        return None if self.root is None else line

    def is_overridden(self, path: Path) -> bool:
        """Whether what is at *path* came from the command line instead of the file."""
        return any(path[: len(given)] == given for given in self.overridden)


def duplicate_keys(root: yaml.Node | None) -> Iterator[Fault]:
    """Find the keys that stand twice in one mapping; YAML would silently take the last one."""
    waiting: list[tuple[yaml.Node | None, Path]] = [(root, ())]
    known: set[int] = set()
    while waiting:
        node, path = waiting.pop()
        # An alias is the same node again: once is enough, and a node may even hold itself.
        if node is None or id(node) in known:
            continue
        known.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting.extend((child, (*path, position)) for position, child in enumerate(node.value))
        elif isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, child in node.value:
                at = (*path, str(key.value))
                if isinstance(key, yaml.ScalarNode) and key.value in keys:
                    yield Fault(at, f"the key `{key.value}` stands here twice")
                keys.add(str(key.value))
                waiting.append((child, at))


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, int] | None:
    """Find the child a step leads to and its line; of a key that stands twice, the last one."""
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        child = node.value[step]
        return child, child.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, child in reversed(node.value):
            if isinstance(key, yaml.ScalarNode) and key.value == str(step):
                return child, key.start_mark.line + 1
    return None
