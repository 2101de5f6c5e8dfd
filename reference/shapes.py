"""Shapes of JSON as the reference shows them: a row for each key."""

from collections.abc import Iterator, Mapping

from reference.markdown import Schema, bounds, code, kind, plain


def rows(schema: Schema, *, names: Mapping[str, str] | None = None) -> list[tuple[str, str, str]]:
    """Key, what it may be, and what it is, of each key of an object."""
    described = names if names is not None else words(schema.get("$defs", {}))
    return [
        (code(name), kind(field, names=described), _text(field))
        for name, field in schema["properties"].items()
    ]


def words(definitions: Mapping[str, Schema], *, place: str = "") -> dict[str, str]:
    """How shapes are named in a cell: the words of an enumeration, or a link to the shape on this page."""
    return {
        name: " or ".join(code(str(word)) for word in each["enum"])
        if "enum" in each
        else f"[{name}]({place}#{name.lower()})"
        for name, each in definitions.items()
        if "enum" in each or "properties" in each
    }


def used(schema: object) -> Iterator[str]:
    """The names of the shapes that a schema refers to, however deep in it."""
    if isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference.rpartition("/")[2]
        for each in schema.values():
            yield from used(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from used(each)


def _text(field: Schema) -> str:
    said, bound = plain(field.get("description")), bounds(field)
    return " ".join(part for part in (said, f"({bound})" if bound else "") if part)
