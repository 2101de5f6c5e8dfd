"""A pipeline in the middle of its second phase, as the API tells it."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel

from models.schemas.history import AgentRead, EventRead, PhaseRead
from models.schemas.report import DecisionRead, FailureRead, PipelineDetail, PipelineRead, StatusRead
from tests.unit.true_answers import whole


def at(minute: int, second: int) -> str:
    """A moment, as the API writes it."""
    return f"2026-11-21T07:{minute:02d}:{second:02d}.500000Z"


def run(number: int) -> str:
    """The id of an agent run."""
    return str(UUID(int=number << 96))


def told(kind: type[BaseModel], /, **said: object) -> dict[str, Any]:
    """What the API tells of a thing, with all that *said* leaves out; nothing that it could not tell."""
    answer = whole(kind, said)
    assert isinstance(answer, dict)
    return answer


def role(name: str, state: str, **more: object) -> dict[str, Any]:
    """A role of a phase run."""
    return {
        "role": name,
        "required": True,
        "state": state,
        "version": 1,
        "rounds": 2,
        "dropped": False,
        **more,
    }


PIPELINE = told(
    PipelineDetail,
    id="demo-1",
    status="running",
    repo="/src/shop",
    base="main",
    current_phase="implement",
    iteration=1,
    work_branch="egg/demo-1/work",
    work_commit="3f9a1c2e5b7d99",
    repository="/nonexistent/egg/repos/demo-1.git",
    created_at=at(30, 0),
    started_at=at(30, 1),
    ended_at=None,
    definition={"phases": [{"name": "plan"}, {"name": "implement"}, {"name": "pr"}]},
)
SUMMARY = told(PipelineRead, **{name: PIPELINE[name] for name in PipelineRead.model_fields})
"""The same in a list."""
STATES = {
    "coder": {"state": "READY", "reason": "six tests pass", "version": 1, "current": True},
    "tester": {"state": "OBJECTING", "reason": "5000 is not free", "version": 1, "current": False},
    "documenter": {"state": "WORKING", "reason": "", "version": 0, "current": False},
}
STATUS = told(
    StatusRead,
    id="demo-1",
    status="running",
    current_phase="implement",
    iteration=1,
    phase_status="running",
    why="documenter is BLOCKED on coder; tester objects to version 1 of coder",
    pending_decisions=[],
    messages_total=14,
    concurrent={
        "consensus": {"agents": STATES, "is_complete": False, "has_objections": True},
        "agents": [
            {"role": "coder", "status": "running", "run": run(1)},
            {"role": "tester", "status": "running", "run": run(2)},
        ],
    },
)
OBJECTION: dict[str, Any] = {
    "number": 1,
    "from_role": "tester",
    "about_role": "coder",
    "version": 1,
    "status": "answered",
    "round": 1,
    "reason": "5000 is\nnot free",
    "answer": "it is, by the spec",
}
PHASES = [
    told(PhaseRead, **phase)
    for phase in (
        {
            "id": run(101),
            "phase": "plan",
            "iteration": 1,
            "status": "complete",
            "stop_reason": "consensus",
            "why": "",
            "started_at": at(30, 1),
            "ended_at": at(30, 6),
            "roles": [role("planner", "READY")],
            "objections": [],
            "versions": [
                {
                    "role": "planner",
                    "number": 1,
                    "commit": "aaaa1111bbbb22",
                    "merge_commit": "cccc3333dddd",
                    "merge_status": "merged",
                }
            ],
            "checks": [],
        },
        {
            "id": run(102),
            "phase": "implement",
            "iteration": 1,
            "status": "running",
            "stop_reason": None,
            "why": "tester objects",
            "started_at": at(30, 6),
            "ended_at": None,
            "roles": [role("coder", "READY"), role("tester", "OBJECTING"), role("documenter", "WORKING")],
            "objections": [OBJECTION],
            "versions": [],
            "checks": [{"commit": "f" * 40, "status": "red"}],
        },
    )
]
DECISION = told(
    DecisionRead,
    id=7,
    pipeline_id="demo-1",
    phase="implement",
    kind="agent_failed",
    question="coder failed (exit 1). What now?",
    options=["Retry (respawn agent)", "Abort phase", "Continue without"],
    default="Abort phase",
    deadline=None,
    status="pending",
    resolution=None,
    roles=["coder"],
    created_at=at(30, 30),
)


def event(number: int, kind: str, text: str, **more: object) -> dict[str, Any]:
    """An event of the second phase."""
    place = {"phase": "implement", "iteration": 1, "role": None, "run": None, "data": {}}
    return told(
        EventRead, **{"id": number, "type": kind, "text": text, "timestamp": at(31, number), **place, **more}
    )


SENT = {
    "from_role": "coder",
    "to_role": "all",
    "message_type": "PROGRESS",
    "subject": "shipping \x1b[2Jworks",
}
EVENTS = [
    *(event(number, "agent.started", "on node one", role="coder") for number in range(1, 31)),
    *(event(number, "message.sent", "", role="coder", data=SENT) for number in range(31, 51)),
    event(51, "consensus.reached", "all agree"),
]
FAILURE = told(
    FailureRead,
    role="coder",
    run="1a2b3c4d-0000-4000-8000-000000000000",
    number=1,
    failure="process_failure",
    exit_code=1,
    signal=None,
    said="coder failed (run 1): exit code 1",
    log_tail=["Traceback (most recent call last):", "KeyError: 'api_key'"],
    logs="egg agent logs demo-1 1a2b3c4d",
)
AGENT = told(
    AgentRead,
    run="0b1c2d3e-0000-4000-8000-000000000000",
    phase="implement",
    iteration=1,
    role="coder",
    number=1,
    status="succeeded",
    causes=["first run"],
)
