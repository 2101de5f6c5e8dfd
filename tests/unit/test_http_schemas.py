"""Request bodies: what they take, and the error that answers what they do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from models.errors import Malformed, Rejected, TooLarge
from models.schemas.fault import Faulty
from models.schemas.http import DecisionAnswer, MessageIn, SignalIn, refusal
from models.schemas.message import FROM_AGENTS, WAKING, MessageType


def answer(shape: type[BaseModel], body: object) -> Rejected:
    with pytest.raises(ValidationError) as caught:
        shape.model_validate(body)
    return refusal([_at("body", error) for error in caught.value.errors()])


def _at(place: str, error: ErrorDetails) -> ErrorDetails:
    return {**error, "loc": (place, *error["loc"])}


def test_a_message_goes_to_all_unless_it_says_to_whom() -> None:
    assert MessageIn.model_validate({"message_type": "STATUS"}).to_role == "all"


def test_a_directive_wakes_and_comes_from_no_agent() -> None:
    assert MessageType.DIRECTIVE in WAKING - FROM_AGENTS


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ({"body": "a\x00b"}, "body"),
        ({"subject": "\ud800"}, "subject"),
        ({"subject": "x" * 201}, "subject"),
        ({"client_key": "x" * 201}, "client_key"),
        ({"client_key": ""}, "client_key"),
        ({"in_reply_to": 0}, "in_reply_to"),
        ({"in_reply_to": 2**63}, "in_reply_to"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"a": ["\x00"]}}, "metadata"),
        ({"metadata": {"a\x00": 1}}, "metadata"),
        ({"metadata": {"a": float("nan")}}, "metadata"),
        ({"message_type": "DONE"}, "message_type"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_message_that_cannot_be_kept_is_refused(keys: dict[str, object], where: str) -> None:
    error = answer(MessageIn, {"message_type": "STATUS", **keys})

    assert isinstance(error, Faulty)
    assert [fault.path for fault in error.faults] == [(where,)]


@pytest.mark.parametrize("keys", [{"body": "é" * 32769}, {"metadata": {"a": "x" * 16384}}])
def test_a_message_over_its_size_is_too_large(keys: dict[str, object]) -> None:
    assert isinstance(answer(MessageIn, {"message_type": "STATUS", **keys}), TooLarge)


def test_a_message_of_just_its_size_is_taken() -> None:
    body = {"message_type": "STATUS", "body": "é" * 32768, "metadata": {"a": "x" * 16375}}

    assert MessageIn.model_validate(body).body == body["body"]


def test_metadata_nested_without_end_is_refused() -> None:
    metadata: dict[str, object] = {}
    metadata["a"] = metadata

    assert "nested" in answer(MessageIn, {"message_type": "STATUS", "metadata": metadata}).message


def test_a_signal_reads_the_answers_by_objection() -> None:
    body = {"signal_type": "readiness", "state": "READY", "answers": {"3": "It is meant so."}}

    assert SignalIn.model_validate(body).answers == {3: "It is meant so."}


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"signal_type": "complete"}, "signals `readiness` with state READY"),
        ({}, "needs `state`"),
        ({"signal_type": "heartbeat", "state": "READY"}, "`state` goes with signal_type `readiness` only"),
        ({"state": "READY", "on": "coder"}, "`on` goes with state BLOCKED only"),
        ({"state": "READY", "about": "coder"}, "`about` goes with state OBJECTING only"),
        ({"state": "BLOCKED", "answers": {"1": "x"}}, "`answers` goes with state READY only"),
        (
            {"state": "READY", "answers": {"0": "x"}},
            "answers: the name '0' must be greater than or equal to 1",
        ),
        ({"state": "READY", "answers": {"1": " "}}, "must not be empty"),
        ({"state": "OBJECTING", "reason": "wrong"}, "OBJECTING needs `about`"),
        ({"state": "OBJECTING", "about": "coder", "reason": " "}, "OBJECTING needs `about`"),
        ({"state": "READY", "kind": "quota"}, "`kind` goes with signal_type `error` only"),
        (
            {"signal_type": "error", "retry_at": "2026-11-21T12:00:00Z"},
            "`retry_at` goes with `kind` only",
        ),
        ({"signal_type": "error", "kind": "quota", "retry_at": "2026-11-21T12:00:00"}, "retry_at: "),
        ({"signal_type": "error", "kind": "quota", "retry_at": "soon"}, "retry_at: "),
        ({"signal_type": "error", "kind": "lost"}, "must be one of `quota`, `auth`, `network` or"),
        ({"state": "DONE"}, "must be one of `WORKING`, `READY`, `BLOCKED` or `OBJECTING`, not 'DONE'"),
    ],
)
def test_a_signal_that_makes_no_sense_is_refused_with_the_way_out(
    keys: dict[str, object], sentence: str
) -> None:
    assert sentence in answer(SignalIn, {"signal_type": "readiness", **keys}).message


def test_an_empty_answer_to_a_question_is_refused() -> None:
    assert "must not be empty" in answer(DecisionAnswer, {"resolution": " "}).message


@pytest.mark.parametrize(
    "error",
    [
        {"type": "int_parsing", "loc": ("path", "did"), "msg": "", "input": "x"},
        {"type": "json_invalid", "loc": ("body", 3), "msg": "JSON decode error", "input": {}},
    ],
)
def test_a_bad_id_and_a_body_that_is_no_json_are_malformed(error: ErrorDetails) -> None:
    assert isinstance(refusal([error]), Malformed)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=())), inner),
)
FIELDS = st.sampled_from([*MessageIn.model_fields, *SignalIn.model_fields, "resolution"])


@given(st.sampled_from([MessageIn, SignalIn, DecisionAnswer]), JSON | st.dictionaries(FIELDS, JSON))
def test_junk_is_answered_with_a_refusal_that_can_be_sent(shape: type[BaseModel], junk: object) -> None:
    try:
        shape.model_validate(junk)
    except ValidationError as error:
        answered = refusal([_at("body", each) for each in error.errors()])
        f"{answered} {answered.details}".encode()
