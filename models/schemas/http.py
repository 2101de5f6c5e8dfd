"""What may be sent to the API, and what is answered to what may not."""

import json
from collections.abc import Sequence
from enum import StrEnum
from itertools import islice
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    Strict,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from models.errors import Malformed, Rejected, TooLarge
from models.schemas import sentences
from models.schemas.fault import Fault, Faulty
from models.schemas.message import TO_ALL, MessageType
from models.schemas.storable import check_storable_json
from models.schemas.text import (
    CommitId,
    Line,
    Option,
    Options,
    PipelineId,
    Question,
    SaidLine,
    SaidText,
    Text,
    check_line,
    check_said,
    refused,
)
from models.shares import LEAST_QUOTA, MOST_QUOTA
from models.states import Readiness

MAX_SUBJECT = 200
MAX_BODY = 64 * 1024
MAX_METADATA = 16 * 1024
MAX_ANSWERS = 1000
MAX_WHY = 1000
MAX_FILE = 4096
MAX_OVERRIDES = 1000
MAX_NAMED = 50
"""So many faults of a request are named: each costs time, and who sends nonsense may send much of it."""


def _too_large(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("too_large", "{sentence}", {"sentence": sentence})


def _check_body(text: str) -> str:
    if (size := len(text.encode())) > MAX_BODY:
        raise _too_large(f"must be at most 64 KiB of UTF-8, not {size} bytes")
    return text


def _check_metadata(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if (size := len(json.dumps(value, ensure_ascii=False).encode())) > MAX_METADATA:
        raise _too_large(f"must be at most 16 KiB of JSON, not {size} bytes")
    return value


Body = Annotated[Text, AfterValidator(_check_body)]
SaidBody = Annotated[Body, AfterValidator(check_said)]
Reason = Annotated[Body, AfterValidator(check_line)]
Name = Annotated[SaidLine, Field(max_length=MAX_SUBJECT)]
Metadata = Annotated[
    dict[str, JsonValue], BeforeValidator(check_storable_json), AfterValidator(_check_metadata)
]
MessageId = Annotated[int, Strict(), Field(ge=1, le=2**63 - 1)]
ObjectionNumber = Annotated[int, Field(ge=1, le=2**31 - 1)]

Answers = Annotated[dict[ObjectionNumber, SaidBody], Field(max_length=MAX_ANSWERS)]


def _check_result(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if (size := len(json.dumps(value, ensure_ascii=False).encode())) > MAX_BODY:
        raise _too_large(f"must be at most 64 KiB of JSON, not {size} bytes")
    return value


ResultFields = Annotated[
    dict[str, JsonValue], BeforeValidator(check_storable_json), AfterValidator(_check_result)
]


class RequestBody(BaseModel):
    """A request's body: a key nobody knows is refused, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class MessageIn(RequestBody):
    """A message to send. Who sends it is known from the credential; `from_role` may only agree."""

    message_type: MessageType
    to_role: Name = TO_ALL
    subject: Annotated[Line, Field(max_length=MAX_SUBJECT)] = ""
    body: Body = ""
    metadata: Metadata = {}
    in_reply_to: MessageId | None = None
    client_key: Name | None = None
    from_role: Name | None = None


class SignalType(StrEnum):
    """What an agent says of itself; there is no `complete`, a role says READY."""

    READINESS = "readiness"
    PROGRESS = "progress"
    HEARTBEAT = "heartbeat"
    ERROR = "error"


def _check_signal(value: object) -> object:
    if value == "complete":
        raise refused(
            "`complete` means nothing here: a role that is done signals `readiness` with state READY"
        )
    return value


class ErrorKind(StrEnum):
    """What an agent may say that went wrong; each has its own treatment if the run then ends badly."""

    QUOTA = "quota"
    AUTH = "auth"
    NETWORK = "network"
    CONTEXT_OVERFLOW = "context_overflow"


class SignalIn(RequestBody):
    """A signal of an agent. `role` and `pipeline_id` may only agree with its credential."""

    signal_type: Annotated[SignalType, BeforeValidator(_check_signal)]
    state: Readiness | None = None
    reason: Reason | None = None
    on: Name | None = None
    about: Name | None = None
    answers: Answers = {}
    kind: ErrorKind | None = None
    retry_at: AwareDatetime | None = None
    percent: Annotated[int, Strict(), Field(ge=0, le=100)] | None = None
    role: Name | None = None
    pipeline_id: Name | None = None

    @model_validator(mode="after")
    def check_together(self) -> Self:
        """Refuse fields that mean nothing with the state, and a state without what it needs."""
        if self.signal_type is SignalType.READINESS and self.state is None:
            raise refused("a `readiness` signal needs `state`: WORKING, READY, BLOCKED or OBJECTING")
        if self.signal_type is not SignalType.READINESS and self.state is not None:
            raise refused("`state` goes with signal_type `readiness` only")
        if self.kind is not None and self.signal_type is not SignalType.ERROR:
            raise refused("`kind` goes with signal_type `error` only")
        if self.retry_at is not None and self.kind is None:
            raise refused("`retry_at` goes with `kind` only: it says when that may be tried again")
        if self.percent is not None and self.signal_type is not SignalType.PROGRESS:
            raise refused("`percent` goes with signal_type `progress` only")
        owners = ("on", Readiness.BLOCKED), ("about", Readiness.OBJECTING), ("answers", Readiness.READY)
        for name, state in owners:
            if getattr(self, name) and self.state is not state:
                raise refused(f"`{name}` goes with state {state} only")
        if self.state is Readiness.OBJECTING and not (self.about and (self.reason or "").strip()):
            raise refused("OBJECTING needs `about` (whose work) and `reason` (what is wrong with it)")
        return self


class SubmissionIn(RequestBody):
    """What may stand beside a definition that is submitted: where it comes from."""

    rerun_of: PipelineId | None = None
    """The pipeline it repeats."""
    file: Annotated[SaidLine, Field(max_length=MAX_FILE)] | None = None
    """The file it was read from, where it was."""
    overrides: Annotated[tuple[SaidText, ...], Field(max_length=MAX_OVERRIDES)] = ()
    """What was set over the file: K=V, V being YAML."""
    numbered: Annotated[bool, Strict()] = False
    """Whether a name that is taken gets a number: shop-2."""
    client_key: Name | None = None
    """The same one again is the same pipeline."""

    @classmethod
    def beside(cls, document: object) -> tuple[Self, object]:
        """Take what stands beside a definition apart from it; `Faulty` as for any body."""
        if not isinstance(document, dict):
            return cls(), document
        own = {name: value for name, value in document.items() if name in cls.model_fields}
        rest = {name: value for name, value in document.items() if name not in cls.model_fields}
        try:
            return cls.model_validate(own), rest
        except ValidationError as error:
            listed = sentences.telling(error.errors(include_url=False))
            raise Faulty.of(sentences.fault(each) for each in islice(listed, MAX_NAMED)) from error


class RebaseIn(RequestBody):
    """A wish that a work branch takes in the present base."""

    commit: CommitId | None = None
    """What the base stands for, where the pipeline's repository holds that already."""


class ExtensionIn(RequestBody):
    """More for a pipeline: iterations of a phase that does not converge, minutes before its deadlines."""

    iterations: Annotated[int, Strict(), Field(ge=1, le=1000)] | None = None
    minutes: Annotated[float, Strict(), Field(gt=0, le=100_000, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def check_any(self) -> Self:
        """Refuse an extension by nothing."""
        if self.iterations is None and self.minutes is None:
            raise refused("extend by `iterations`, `minutes` or both")
        return self


class QuotaIn(RequestBody):
    """How many bytes of messages a pipeline may store."""

    messages: Annotated[int, Strict(), Field(ge=LEAST_QUOTA, le=MOST_QUOTA)]


class DecisionAnswer(RequestBody):
    """A person's answer: one of the options, or free text where that is allowed."""

    resolution: SaidBody


class QuestionIn(RequestBody):
    """A question to a person; its answer comes to the role that asks, or to all, as a DIRECTIVE."""

    question: Question
    options: Options = ()
    default: Option | None = None
    free: bool = False
    """Whether it may be answered in other words than the options; without options it always may."""
    after_minutes: Annotated[float, Field(gt=0, le=525_600, allow_inf_nan=False)] | None = None
    client_key: Name | None = None

    @model_validator(mode="after")
    def check_default(self) -> Self:
        """Refuse a default that is no option, and a deadline without a default."""
        if self.default is not None and self.default not in self.options:
            raise refused("`default` must be one of the options, in the same words")
        if self.after_minutes is not None and not self.options:
            raise refused("`after_minutes` needs a default, and a question without options has none")
        return self


class HaltIn(RequestBody):
    """An order that nothing starts; with *running* the agents that live are stopped, too."""

    why: Annotated[Line, Field(max_length=MAX_WHY)] = ""
    running: Annotated[bool, Strict()] = False


def refusal(errors: Sequence[ErrorDetails]) -> Rejected:
    """Turn what pydantic found in a request into the error it is answered with.

    A path or query that is no such value is 400, as is a body that is no JSON; too much is 413, the
    rest 422, with the first `MAX_NAMED` faults. The first step of a path (`body`, `query`, `path`) is
    left out.
    """
    faults = [sentences.fault(each) for each in islice(sentences.telling(errors), MAX_NAMED)]
    spoken = Faulty.of(
        (Fault(fault.path[1:], fault.message) for fault in faults), unnamed=max(0, len(errors) - MAX_NAMED)
    )
    if any(error["type"] == "json_invalid" for error in errors):
        return Malformed("the body is not JSON")
    if any(error["loc"][:1] != ("body",) for error in errors):
        return Malformed(spoken.message, spoken.details)
    if any(error["type"] == "too_large" for error in errors):
        return TooLarge(spoken.message, spoken.details)
    return spoken
