"""Says in plain words what pydantic found wrong."""

from collections.abc import Iterator, Mapping, Sequence, Sized

from pydantic_core import ErrorDetails

from models.schemas.fault import Fault, Path, meant

_SHOWN = 40
_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def telling(errors: Sequence[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Leave out the errors that only follow from others.

    A list is not too short because its entries are faulty, nor is what stands under a key that is no text.
    """
    bad = {e["loc"][:-1] for e in errors if e["loc"][-1:] == ("[key]",) and not isinstance(e["input"], str)}
    for error in errors:
        entries = error["input"]
        is_echo = error["type"] == "too_short" and isinstance(entries, Sized) and len(entries) > 0
        is_under = any(error["loc"][: len(loc)] == loc for loc in bad) and error["loc"][-1] != "[key]"
        if not is_echo and not is_under:
            yield error


def fault(error: ErrorDetails) -> Fault:
    """Turn one of pydantic's errors into a fault; a bad key is a fault of the mapping that holds it."""
    if error["type"] == "invalid_key" or error["loc"][-1:] == ("[key]",):
        return Fault(_without_key(error["loc"]), _key_sentence(error))
    return Fault(error["loc"], sentence(error))


def sentence(error: ErrorDetails) -> str:
    """Say what is wrong in one sentence that follows the name of the place."""
    kind, context = error["type"], error.get("ctx") or {}
    if kind == "missing":
        return f"`{error['loc'][-1]}` is missing"
    if kind == "extra_forbidden":
        return f"unknown key `{error['loc'][-1]}`"
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, not {_shown(error['input'])}{_hint(kind, error['input'])}"
    if kind in {"enum", "literal_error"}:
        return _choice(context, error["input"])
    if kind in {"too_short", "too_long"}:
        return _length(context, error["input"], edge="min" if kind == "too_short" else "max")
    return error["msg"].replace("Input should", "must", 1).replace("String should", "must", 1)


def unknown_key(key: str, known: Mapping[str, object]) -> str:
    """Say that nobody knows *key*, and which of *known* may have been meant."""
    return f"unknown key `{key}`{meant(key, known)}"


def _without_key(loc: Path) -> Path:
    return loc[:-2] if loc[-1:] == ("[key]",) else loc[:-1]


def _key_sentence(error: ErrorDetails) -> str:
    key = error["input"]
    if isinstance(key, str):
        return f"the name {key[:80]!a} {sentence(error)}"
    return f"a key must be text, not {_shown(key)}{_hint('string_type', key)}"


def _choice(context: Mapping[str, object], value: object) -> str:
    options = str(context["expected"]).replace("'", "`")
    plural = " one of" if " or " in options else ""
    known = [option.strip("` ") for option in options.replace(" or ", ",").split(",")]
    close = meant(value, known) if isinstance(value, str) else ""
    return f"must be{plural} {options}, not {_shown(value)}{close}"


def _length(context: Mapping[str, object], value: object, *, edge: str) -> str:
    count, bound = context[f"{edge}_length"], {"min": "at least", "max": "at most"}[edge]
    one, many = ("character", "characters") if isinstance(value, str) else ("entry", "entries")
    return f"must have {bound} {count} {one if count == 1 else many}, not {context['actual_length']}"


def _shown(value: object) -> str:
    """Show a value briefly, as its author wrote it: what is large is named by its kind."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.6g}" if isinstance(value, float) else _whole(value)
    if isinstance(value, str):
        return f"{value[:_SHOWN]!a}" + ("…" if len(value) > _SHOWN else "")
    return "a mapping" if isinstance(value, Mapping) else "a list" if isinstance(value, list) else "that"


def _whole(value: int) -> str:
    return str(value) if abs(value) < 10**18 else "so large a number"


def _hint(kind: str, value: object) -> str:
    """Name the way out of what YAML makes of unquoted words and numbers."""
    if kind != "string_type":
        return ""
    if isinstance(value, bool):
        return ": YAML reads yes, no, on and off as that; put the word in quotes"
    return ": put it in quotes" if isinstance(value, int | float) else ""
