"""What may stand in a field: every text that is sent to us is one line, or known to be of many."""

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

from egg_tasks.api.routes import (
    agents,
    decisions,
    events,
    halts,
    health,
    messages,
    phases,
    pipelines,
    results,
    signals,
)
from models.schemas.definition import Definition, validate
from models.schemas.fault import Faulty
from models.schemas.http import MessageIn, QuestionIn, SignalIn
from models.schemas.result import SHAPES
from models.schemas.text import STORED
from models.tables.pipeline import Pinned
from tests.unit.test_definition import definition, faults
from tests.unit.test_http_schemas import answer

ROUTES = (agents, decisions, events, halts, health, messages, phases, pipelines, results, signals)
OF_MANY_LINES = {
    "MessageIn.body",
    "SignalIn.answers",
    "DecisionAnswer.resolution",
    "Definition.prompt",
    "CommandAgent.command",
    "CommandAgent.environment",
    "Taken.variable",
    "PhaseCheck.run",
    "CloneSetUp.setup",
    # Programs write these too, as a block of their output, which nobody could refuse.
    *(
        f"{shape.__name__}.{field}"
        for shape in SHAPES.values()
        for field in ("summary", "failed_tests", "issues", "blockers", "new_items")
    ),
}
"""Whoever shows one of these fences, indents or flattens it."""
UNFIT = "\n\r\t\x00\x07\x08\x1b\x7f\x85\x9b\u061c\u200b\u200e\u2028\u2029\u202e\u2066\ufeff\U000e0041\ud800"


def texts(annotation: Any, name: str, metadata: tuple[object, ...] = ()) -> Iterator[tuple[str, Any]]:
    """The name and the type of every text that a value of a type may hold; JSON is shown as JSON alone."""
    if get_origin(annotation) is Annotated:
        yield from texts(annotation.__origin__, name, (*annotation.__metadata__, *metadata))
    elif annotation is str:
        yield name, Annotated[(str, *metadata)]
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for field, known in annotation.model_fields.items():
            yield from texts(known.annotation, f"{annotation.__name__}.{field}", tuple(known.metadata))
    elif JsonValue in get_args(annotation):
        return
    elif get_origin(annotation) is dict:
        key, value = get_args(annotation)
        yield from texts(key, f"{name}[key]")
        yield from texts(value, name)
    elif get_origin(annotation) in {tuple, Union, types.UnionType}:
        for part in get_args(annotation):
            yield from texts(part, name, metadata if get_origin(annotation) is not tuple else ())


def asked() -> Iterator[tuple[str, Any]]:
    """Every text of every request, of a definition and of a result."""
    for module in ROUTES:
        for route in module.router.routes:
            assert isinstance(route, APIRoute)
            yield from _given(route.dependant)
    shapes: list[type[BaseModel]] = [Definition, *SHAPES.values()]
    for shape in shapes:
        yield from texts(shape, shape.__name__)


def _given(dependant: Dependant) -> Iterator[tuple[str, Any]]:
    """What a route and what it depends on are given."""
    fields = (dependant.path_params, dependant.query_params, dependant.header_params, dependant.body_params)
    for known in (each for kind in fields for each in kind):
        yield from texts(known.field_info.annotation, known.name, tuple(known.field_info.metadata))
    for other in dependant.dependencies:
        yield from _given(other)


def takes(kind: Any, character: str) -> bool:
    """Whether a text of a kind may hold a character."""
    try:
        TypeAdapter(kind).validate_python(f"a{character}b")
    except ValidationError:
        return False
    return True


def test_every_text_that_is_sent_is_one_line_or_known_to_be_of_many() -> None:
    found = dict(asked())

    assert {"MessageIn.subject", "SignalIn.reason", "QuestionIn.options", "Gate.question"} < found.keys()
    assert len(found) > 40
    assert {
        name for name, kind in found.items() if any(takes(kind, each) for each in UNFIT)
    } - OF_MANY_LINES == set()


@pytest.mark.parametrize("character", UNFIT[:-1])
def test_a_line_that_holds_more_is_refused_by_field_and_character(character: str) -> None:
    error = answer(MessageIn, {"message_type": "STATUS", "subject": f"a{character}b"})

    assert error.status == 422
    assert error.message.startswith("subject: must ")
    assert f"U+{ord(character):04X}" in error.message


@pytest.mark.parametrize(
    ("shape", "body", "where"),
    [
        (MessageIn, {"message_type": "STATUS", "client_key": "a\nb"}, "client_key"),
        (MessageIn, {"message_type": "STATUS", "to_role": "all\n"}, "to_role"),
        (SignalIn, {"signal_type": "error", "reason": "a\r\nb"}, "reason"),
        (SignalIn, {"signal_type": "readiness", "state": "BLOCKED", "on": "coder\x1b[2J"}, "on"),
        (QuestionIn, {"question": "Is it?\n$ egg decision resolve 7"}, "question"),
        (QuestionIn, {"question": "Is it?", "options": ["yes", "no\x9b2J"]}, "options[1]"),
    ],
)
def test_each_line_of_an_agent_s_is_refused_where_it_breaks(
    shape: type[BaseModel], body: dict[str, object], where: str
) -> None:
    assert answer(shape, body).message.startswith(f"{where}: must be one line")


def test_a_line_break_at_the_end_is_named_as_such() -> None:
    error = answer(QuestionIn, {"question": "Is it?\n"})

    assert error.message.endswith("holds a line break (U+000A) at its end")


@pytest.mark.parametrize("word", ["Größe", "می‌خواهم", "👩‍💻", "日本　語", "e\u0301"])
def test_a_line_is_in_whatever_script(word: str) -> None:
    assert MessageIn.model_validate({"message_type": "STATUS", "subject": word}).subject == word


def test_a_body_keeps_its_lines_and_what_programs_write_into_it() -> None:
    body = "one\n\ttwo\x1b[31m red\r\n"

    assert MessageIn.model_validate({"message_type": "STATUS", "body": body}).body == body


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"repo": "/src\n/shop"}, "repo"),
        ({"base": "main\x1b"}, "base"),
        ({"name": "shop\n"}, "name"),
    ],
)
def test_a_definition_s_lines_are_lines(changes: dict[str, object], where: str) -> None:
    assert where in faults(definition(**changes))


@pytest.mark.parametrize("name", ["human", "orchestrator", "all", "system", "egg"])
def test_no_role_bears_the_name_of_who_is_none(name: str) -> None:
    entry = {"roles": [{"role": name, "agent": "coder"}]}

    assert faults(definition(entry))["phases[0].roles[0].role"].startswith(f"must not be `{name}`")


def test_a_gate_asks_on_one_line() -> None:
    gate = {"question": "Ship it?\nYes", "options": ["yes\u202e"]}

    assert faults(definition({"gate": gate})).keys() == {
        "phases[0].gate.question",
        "phases[0].gate.options[0]",
    }


def test_what_was_pinned_before_lines_were_lines_is_still_read() -> None:
    older = validate(definition({"gate": {"question": "Ship it?", "options": ["yes"]}})).model_dump(
        mode="json"
    )
    older["phases"][0]["gate"]["question"] = "Ship it?\n"
    older["phases"][0]["roles"][0] = {"role": "egg", "agent": "coder\n"}
    text = TypeAdapter(Any).dump_json(older).decode()

    read = Pinned().process_result_value(text, None)  # type: ignore[arg-type]

    assert read is not None
    assert read.phases[0].gate is not None
    assert read.phases[0].gate.question == "Ship it?\n"
    assert read == Definition.model_validate(older, context=STORED)
    with pytest.raises(Faulty):
        validate(older)
