"""JSON as a row of PostgreSQL can keep it."""

from collections.abc import Iterator, Mapping

from models.schemas.text import check_storable, refused

MAX_DEPTH = 32


def check_storable_json(value: object) -> object:
    """Refuse what PostgreSQL cannot keep as JSON: NUL, half surrogates, NaN, and depths no one reads."""
    for scalar in _scalars(value):
        if isinstance(scalar, str):
            check_storable(scalar)
        elif isinstance(scalar, float) and (scalar - scalar) != 0:
            raise refused("must not hold NaN or Infinity: they are no JSON")
        elif isinstance(scalar, int) and abs(scalar) >= 10**1000:
            raise refused("must not hold a number of more than 1000 digits")
    return value


def _scalars(value: object) -> Iterator[object]:
    """Walk the keys and leaves of JSON without recursion, refusing what is nested too deeply."""
    waiting = [(value, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise refused(f"must not be nested deeper than {MAX_DEPTH} levels")
        if isinstance(node, Mapping):
            yield from node
            waiting.extend((child, depth + 1) for child in node.values())
        elif isinstance(node, list | tuple):
            waiting.extend((child, depth + 1) for child in node)
        else:
            yield node
