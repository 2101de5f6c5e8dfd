"""Text, names and lists as they may enter the system.

Text has one line (`Line`) or many (`Text`). What does not belong into it is refused at the door alone: rows
of an older release may hold it, and are read with `STORED`.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, Strict, ValidationInfo
from pydantic_core import PydanticCustomError

from models.foreign import JOINERS
from models.git_names import COMMIT, PIPELINE_ID, RESERVED, role_branch
from models.setting_names import PROVIDER, VARIABLE

ROLE = r"[a-z][a-z0-9_]{0,31}"
PHASE = r"[a-z][a-z0-9_-]{0,31}"

BREAKS = frozenset("\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029")
TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""What turns the direction in which a line is read."""

MAX_QUESTION = 2000
MAX_OPTION = 200
MAX_OPTIONS = 10

STORED: Mapping[str, bool] = {"is_stored": True}
"""The context in which what was taken once is read again, whatever has been refused since."""

ADDRESSES = frozenset({"all", "orchestrator", "human"})
OURS = frozenset({"egg", "system"})
"""Who speaks in nobody's name but the orchestrator's own."""


def refused(sentence: str) -> PydanticCustomError:
    """Build the error of a validator; the braces of *sentence* are kept as they are."""
    return PydanticCustomError("refused", "{sentence}", {"sentence": sentence})


def check_storable(text: str) -> str:
    """Return *text* if PostgreSQL can keep it: no NUL, and nothing UTF-8 cannot write."""
    if "\x00" in text:
        raise refused("must not hold the NUL character (U+0000)")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"U+{ord(text[error.start]):04X}"
        raise refused(f"must not hold half a surrogate pair ({half}): it is no Unicode text") from None
    return text


def check_line(text: str, info: ValidationInfo) -> str:
    """Return *text* if it is one line of characters that are seen and stay where they stand."""
    if (text.isascii() and text.isprintable()) or is_stored(info):
        return text
    for at, each in enumerate(text, start=1):
        if kind := _unfit(each):
            where = "at its end" if at == len(text) else f"as its character {at}"
            raise refused(f"must be one line of plain text, and holds {kind} (U+{ord(each):04X}) {where}")
    return text


def is_stored(info: ValidationInfo) -> bool:
    """Whether what is read was taken before."""
    return info.context is STORED


def check_said(text: str) -> str:
    """Return *text* if it says something."""
    if not text.strip():
        raise refused("must not be empty")
    return text


def _unfit(character: str) -> str | None:
    """What a character is that no line may hold; what joins letters, and emoji, belongs to them."""
    if character in BREAKS:
        return "a line break"
    if character in TURNS:
        return "a mark that turns its direction"
    category = unicodedata.category(character)
    if category == "Cc":
        return "a control character"
    return "a character that cannot be seen" if category == "Cf" and character not in JOINERS else None


def _check_no_option(text: str) -> str:
    if text.startswith("-"):
        raise refused("must not begin with `-`")
    return text


def pipeline_id_fault(name: str) -> str | None:
    """What keeps *name* from being a pipeline's id, and with it a directory and a part of branches' names."""
    if not re.fullmatch(PIPELINE_ID, name):
        return (
            "must be 1 to 64 of the letters A-Z a-z, 0-9, `.`, `_`, `-`, the first a letter or digit, "
            f"not {name[:80]!a}"
        )
    if ".." in name or name.endswith((".", ".lock")):
        return "must not hold `..` or end in `.` or `.lock`: git could not name a branch after it"
    return None


def _check_pipeline_id(name: str) -> str:
    if fault := pipeline_id_fault(name):
        raise refused(fault)
    return name


def _check_role(name: str, info: ValidationInfo) -> str:
    if not re.fullmatch(ROLE, name):
        raise refused(f"must be a lower-case letter, then up to 31 of a-z, 0-9 and `_`, not {name[:80]!a}")
    if name in ADDRESSES:
        raise refused(f"must not be `{name}`: messages to it go elsewhere")
    if name in OURS and not is_stored(info):
        raise refused(f"must not be `{name}`: its words would pass for the orchestrator's")
    if name in RESERVED:
        raise refused(f"must not be `{name}`: {role_branch('<pipeline>', name)} is the orchestrator's")
    return name


def _check_phase(name: str) -> str:
    if not re.fullmatch(PHASE, name):
        raise refused(f"must be a lower-case letter, then up to 31 of a-z, 0-9, `_`, `-`, not {name[:80]!a}")
    return name


def _check_commit(name: str) -> str:
    if not re.fullmatch(COMMIT, name):
        raise refused(f"must be a commit's full id, 40 or 64 of 0-9 and a-f, not {name[:80]!a}")
    return name


def _check_provider(name: str) -> str:
    if not re.fullmatch(PROVIDER, name):
        raise refused("must be the name of a provider of settings.toml: letters, digits, `-` and `_`")
    return name


def _check_variable(name: str) -> str:
    if not re.fullmatch(VARIABLE, name):
        raise refused(f"must be the name of an environment variable, not {name[:80]!a}")
    if name.startswith("EGG_"):
        raise refused("must not begin with `EGG_`: those variables are the orchestrator's")
    return name


def _check_distinct(options: tuple[str, ...]) -> tuple[str, ...]:
    known: set[str] = set()
    for option in options:
        if option.strip().lower() in known:
            raise refused(f"must not hold {option!a} twice: nobody could tell which is meant")
        known.add(option.strip().lower())
    return options


def _check_list(value: object) -> object:
    """Refuse the sets and mappings that would otherwise pass for a list."""
    if not isinstance(value, list | tuple):
        raise PydanticCustomError("list_type", "must be a list")
    return value


def _pattern(pattern: str) -> dict[str, object]:
    return {"pattern": f"^{pattern}$"}


Text = Annotated[str, Strict(), AfterValidator(check_storable)]
"""Any text PostgreSQL can keep, of many lines: whoever shows it fences, indents or flattens it."""
SaidText = Annotated[Text, AfterValidator(check_said), Field(json_schema_extra={"minLength": 1})]
"""Text that says something."""
Line = Annotated[Text, AfterValidator(check_line)]
"""Text on one line."""
SaidLine = Annotated[Line, AfterValidator(check_said), Field(json_schema_extra={"minLength": 1})]
"""A line that says something."""
OperandText = Annotated[SaidLine, AfterValidator(_check_no_option)]
"""A line that is safe as an operand on a command line."""

PipelineId = Annotated[
    Text, AfterValidator(_check_pipeline_id), Field(json_schema_extra=_pattern(PIPELINE_ID))
]
RoleName = Annotated[Text, AfterValidator(_check_role), Field(json_schema_extra=_pattern(ROLE))]
PhaseName = Annotated[Text, AfterValidator(_check_phase), Field(json_schema_extra=_pattern(PHASE))]
CommitId = Annotated[Text, AfterValidator(_check_commit), Field(json_schema_extra=_pattern(f"({COMMIT})"))]
Variable = Annotated[Text, AfterValidator(_check_variable)]
ProviderName = Annotated[Text, AfterValidator(_check_provider), Field(json_schema_extra=_pattern(PROVIDER))]
Listed = BeforeValidator(_check_list)

Question = Annotated[SaidLine, Field(max_length=MAX_QUESTION)]
"""What a person is asked."""
Option = Annotated[SaidLine, Field(max_length=MAX_OPTION)]
"""One answer to choose."""
Options = Annotated[tuple[Option, ...], Field(max_length=MAX_OPTIONS), AfterValidator(_check_distinct)]
"""The answers to choose from."""
