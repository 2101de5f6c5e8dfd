"""Reads YAML text that a stranger may have written: plain values only, in bounded time and memory."""

from dataclasses import dataclass

import yaml

MAX_BYTES = 1024 * 1024
MAX_NODES = 20_000
"""Values and keys of a file, each counted as often as aliases and merged keys (`<<`) repeat it."""
MAX_DEPTH = 100
MAX_NUMBER = 100
"""Characters of a number; what is longer takes its square in time to read, and is none."""

_TAG = "tag:yaml.org,2002:"
_TIMESTAMP = f"{_TAG}timestamp"
_NUMBERS = frozenset({f"{_TAG}int", f"{_TAG}float"})
_PLAIN = _NUMBERS | {f"{_TAG}{name}" for name in ("str", "bool", "null", "seq", "map", "merge")}


@dataclass(frozen=True)
class _Extent:
    """What a node is with all it holds and repeats."""

    values: int
    characters: int
    depth: int


class Loader(yaml.SafeLoader):
    """Reads plain values only: a date is text here, and a malformed value an error with its line.

    Whatever would take long or grow without bound is refused before it is made: aliases are counted as
    what they stand for, so that ten lines do not become a billion values.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.yaml_implicit_resolvers = {
            first: [rule for rule in rules if rule[0] != _TIMESTAMP]
            for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }
        self._depth = 0
        self._composed = 0
        self._extents: dict[int, _Extent] = {}
        """Of each node that is whole, by its identity."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Read one node and all below it."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        is_alias = self.check_event(yaml.AliasEvent)
        self._composed += 1
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _refused("is nested too deeply", mark)
        if self._composed > MAX_NODES:
            raise _refused(f"holds more than {MAX_NODES} values", mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if is_alias and id(node) not in self._extents:
            raise _refused("this alias stands within what it names", mark)
        if node is not None and not is_alias:
            self._measure(node)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        """Make the value of a node."""
        try:
            return super().construct_object(node, deep=deep)
        # PyYAML lets these out for values like `!!int abc`.
        except (ValueError, LookupError, AttributeError) as error:
            problem = f"this is no {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error

    def _measure(self, node: yaml.Node) -> None:
        if node.tag not in _PLAIN:
            name = node.tag.replace(_TAG, "!!")[:80]
            raise _refused(f"only plain values are read here, no {name!a}", node.start_mark)
        if node.tag in _NUMBERS and len(node.value) > MAX_NUMBER:
            raise _refused(f"a number has at most {MAX_NUMBER} characters", node.start_mark)
        below = [self._extents[id(child)] for child in _children(node)]
        extent = _Extent(
            values=1 + sum(each.values for each in below),
            characters=sum(each.characters for each in below) + (0 if below else len(node.value)),
            depth=1 + max((each.depth for each in below), default=0),
        )
        if extent.values > MAX_NODES:
            raise _refused(
                f"holds more than {MAX_NODES} values, with what its aliases repeat", node.start_mark
            )
        if extent.characters > MAX_BYTES:
            raise _refused("holds more than 1 MiB, with what its aliases repeat", node.start_mark)
        if extent.depth > MAX_DEPTH:
            raise _refused("is nested too deeply", node.start_mark)
        self._extents[id(node)] = extent


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _refused(problem: str, mark: yaml.Mark) -> yaml.composer.ComposerError:
    return yaml.composer.ComposerError(None, None, problem, mark)
