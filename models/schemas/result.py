"""Typed results: what a role says it has done, as figures that may be compared."""

import json
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import islice
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from models.consensus.role_kinds import RoleKind
from models.consensus.snapshot import ResultView
from models.schemas import result_block, sentences
from models.schemas.fault import MAX_FAULTS, Fault, Faulty
from models.schemas.result_block import Fields
from models.schemas.storable import check_storable_json
from models.schemas.text import Line, SaidLine, SaidText, Text, refused

NOTHING = frozenset({"", "-", "none", "n/a", "na", "null", "nil", "no", "unknown", "[]", "{}"})
"""Words for no figure and for an empty list."""

_NUMBER = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*%?")
_SHARE = re.compile(r"(\d{1,9})\s*(?:/|of)\s*(\d{1,9})(?:\s+\w{1,32})?", re.IGNORECASE)
_COUNT = re.compile(r"(\d{1,9})(?:\.0{1,6})?(?:\s+\w{1,32})?")
_YES, _NO = frozenset({"true", "yes", "y"}), frozenset({"false", "no", "n"})


class Outcome(StrEnum):
    """How a role's work went, as it says."""

    SUCCESS = "success"
    PARTIAL = "partial"
    FAILED = "failed"


def _lowered(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _percent(value: object) -> object:
    """Read 72, 72.5, `72%` and 36/50."""
    wrong = refused("must be a percentage from 0 to 100, as 72, 72.5, `72%` or 36/50")
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in NOTHING:
            return None
        if (share := _SHARE.fullmatch(text)) and int(share[2]):
            value = round(100 * int(share[1]) / int(share[2]), 2)
        elif number := _NUMBER.fullmatch(text):
            value = float(number[1])
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:  # noqa: PLR2004
        raise wrong
    return float(value)


def _count(value: object) -> object:
    """Read 3, 3.0, `3 files`, and a list for as many as it holds."""
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in NOTHING:
            return None
        found = _COUNT.fullmatch(text)
        value = int(found[1]) if found else value
    if isinstance(value, list | tuple):
        return len(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9):
        return value
    raise refused("must be a whole number, 0 or more")


def _needed(value: object) -> object:
    count = _count(value)
    if count is None:
        raise refused("must be a whole number, 0 or more")
    return count


def _words(value: object) -> object:
    """Read a list, words parted by commas, and the words for nothing."""
    if value is None:
        return ()
    if isinstance(value, str):
        text = value.strip()
        parts = [] if text.lower() in NOTHING else text.strip("[]").split(",")
        value = [part.strip("`\"' ") for part in parts]
    if not isinstance(value, Sequence):
        raise PydanticCustomError("list_type", "must be a list")
    texts = (item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in value)
    return tuple(text for text in map(str.strip, texts) if text.lower() not in NOTHING)


def _passing(value: object) -> object:
    """Read a number, a share as 12/14, or whether they pass; kept as it is said."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _YES | _NO:
        return value.strip().lower() in _YES
    if isinstance(value, str) and _SHARE.fullmatch(value.strip()):
        return value.strip()
    return _percent(value) if isinstance(value, str) and "%" in value else _needed(value)


def _flag(value: object) -> object:
    if isinstance(value, str) and value.strip().lower() in _YES | _NO:
        return value.strip().lower() in _YES
    if isinstance(value, bool):
        return value
    raise refused("must be true or false")


def _label(value: object) -> object:
    """Read a version that was written as a number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


Percent = Annotated[float | None, BeforeValidator(_percent)]
Count = Annotated[int, BeforeValidator(_needed)]
Words = Annotated[tuple[Text, ...], BeforeValidator(_words)]
Label = Annotated[SaidLine, BeforeValidator(_label)]


class Figures(BaseModel):
    """What is compared with a phase's criteria, whoever reports it."""

    model_config = ConfigDict(frozen=True)

    test_pass_rate: Percent = None
    coverage: Percent = None
    critical_issues: Annotated[int | None, BeforeValidator(_count)] = None
    failed_tests: Words = ()
    issues: Words = ()
    blockers: Words = ()


class RoleResult(Figures):
    """What every role says; fields nobody knows are kept."""

    model_config = ConfigDict(extra="allow", frozen=True)

    phase: Line | None = None
    status: Annotated[Outcome, BeforeValidator(_lowered)]
    files_written: Annotated[tuple[Line, ...], BeforeValidator(_words)] = ()
    summary: SaidText


class RequirementsResult(RoleResult):
    """What a role for requirements says of them."""

    version: Label
    requirements_count: Count
    edge_cases_count: Count
    new_items: Words = ()


class PlanResult(RoleResult):
    """What a planner says of its plan."""

    plan_version: Label
    task_count: Count
    critical_path_length: Count


class CodeResult(RoleResult):
    """What a developer says of the code."""

    files_changed: Count
    tasks_completed: Count
    tests_passing: Annotated[bool | int | float | str | None, BeforeValidator(_passing)]
    debug_cycles: Count = 0


class ValidationResult(RoleResult):
    """What a validator says of the whole; a figure that cannot be had is null."""

    test_pass_rate: Percent
    coverage: Percent
    critical_issues: Count
    ready_for_production: Annotated[bool, BeforeValidator(_flag)]


SHAPES: Mapping[RoleKind, type[RoleResult]] = {
    RoleKind.REQUIREMENTS: RequirementsResult,
    RoleKind.PLANNER: PlanResult,
    RoleKind.DEVELOPER: CodeResult,
    RoleKind.VALIDATOR: ValidationResult,
}
"""What roles of a kind say beside what every role does, where a phase is judged by results."""


def shape_of(kind: RoleKind | None) -> type[RoleResult]:
    """The shape of a result, of a role of no kind too."""
    return RoleResult if kind is None else SHAPES.get(kind, RoleResult)


def validate(kind: RoleKind | None, fields: Mapping[str, object]) -> Fields:
    """A role's result in the shape of its kind, as JSON; `Faulty` names every field that is not."""
    try:
        check_storable_json(fields)
    except PydanticCustomError as error:
        raise Faulty.of([Fault((), str(error))]) from None
    try:
        found = shape_of(kind).model_validate(fields)
    except ValidationError as error:
        listed = sentences.telling(error.errors(include_url=False))
        raise Faulty.of(sentences.fault(each) for each in islice(listed, MAX_FAULTS)) from None
    return found.model_dump(mode="json", exclude_unset=True)


class ResultReading(BaseModel):
    """What was made of a block: its fields in the shape of the role's kind, or what is wrong with them."""

    model_config = ConfigDict(frozen=True)

    raw: str
    fields: dict[str, object] = {}
    faults: tuple[Fault, ...] = ()


def read_output(kind: RoleKind | None, output: str) -> ResultReading | None:
    """The result in the last block of an agent's output; None when it wrote none."""
    raw = result_block.last_block(output)
    return None if raw is None else read_block(kind, raw)


def read_block(kind: RoleKind | None, raw: str) -> ResultReading:
    """The result a block gives."""
    try:
        fields = validate(kind, result_block.fields_of(raw))
    except Faulty as error:
        return ResultReading(raw=raw, faults=error.faults)
    return ResultReading(raw=raw, fields=fields)


def view(role: str, fields: Mapping[str, object]) -> ResultView:
    """A stored result as decisions see it."""
    return ResultView(role=role, **dict(Figures.model_validate(fields)))


def field_names(kind: RoleKind | None) -> tuple[str, ...]:
    """The fields that a result has, those it must have first."""
    shape = shape_of(kind).model_fields
    return tuple(sorted(shape, key=lambda name: not shape[name].is_required()))
