"""Every type of event: when it happens, and what its `data` holds. A type that is not here is a bug."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class EventType(StrEnum):
    """The word for a type of event, as programs read it."""

    PIPELINE_CREATED = "pipeline.created"
    PIPELINE_STARTED = "pipeline.started"
    PIPELINE_PAUSED = "pipeline.paused"
    PIPELINE_RESUMED = "pipeline.resumed"
    PIPELINE_EXTENDED = "pipeline.extended"
    PIPELINE_QUOTA = "pipeline.quota"
    PIPELINE_COMPLETED = "pipeline.completed"
    PIPELINE_FAILED = "pipeline.failed"
    PIPELINE_CANCELLED = "pipeline.cancelled"
    PHASE_STARTED = "phase.started"
    PHASE_COMPLETED = "phase.completed"
    PHASE_FAILED = "phase.failed"
    AGENT_QUEUED = "agent.queued"
    AGENT_STARTED = "agent.started"
    AGENT_PROGRESS = "agent.progress"
    AGENT_ERROR = "agent.error"
    AGENT_STOPPING = "agent.stopping"
    AGENT_COMPLETED = "agent.completed"
    AGENT_FAILED = "agent.failed"
    AGENT_TIMEOUT = "agent.timeout"
    AGENT_LOST = "agent.lost"
    AGENT_REMOVED = "agent.removed"
    AGENT_SALVAGED = "agent.salvaged"
    MESSAGE_SENT = "message.sent"
    READINESS_CHANGED = "readiness.changed"
    OBJECTION_OPENED = "objection.opened"
    OBJECTION_ANSWERED = "objection.answered"
    OBJECTION_WITHDRAWN = "objection.withdrawn"
    OBJECTION_OVERRULED = "objection.overruled"
    CONSENSUS_REACHED = "consensus.reached"
    CONVERGENCE_REQUESTED = "convergence.requested"
    DECISION_CREATED = "decision.created"
    DECISION_RESOLVED = "decision.resolved"
    DECISION_DEFAULTED = "decision.defaulted"
    BRANCH_MERGED = "branch.merged"
    BRANCH_CONFLICTED = "branch.conflicted"
    BRANCH_REBASE_REQUESTED = "branch.rebase_requested"
    BRANCH_REBASED = "branch.rebased"
    BRANCH_REBASE_FAILED = "branch.rebase_failed"
    BRANCH_HELD_UP = "branch.held_up"
    CHECK_ENDED = "check.ended"
    RESULT_REPORTED = "result.reported"
    RESULT_INVALID = "result.invalid"
    SHARE_USED_UP = "share.used_up"


@dataclass(frozen=True)
class EventKind:
    """One type of event, as the reference describes it."""

    when: str
    """When it happens, in a sentence."""
    data: Mapping[str, str] = field(default_factory=dict)
    """What its `data` may hold, key by key; nothing where it is empty."""


_UNHANDLED = {"unhandled": "what the phase ended without: for each role, the messages it never handled"}
_OBJECTION = {"objection": "its number in the phase run", "round": "how often it was raised; 1 is the first"}
_RESULT = {
    "result": "its number",
    "parse_status": "how it came to be known: submitted, parsed, invalid",
    "fields": "the result itself",
}
_FAILURE = {
    "role": "whose run; null for the phase's check",
    "run": "its id",
    "number": "which run of the role in its phase run",
    "failure": "its class",
    "exit_code": "of its program; null if that was killed, or never ran",
    "signal": "what killed it",
    "said": "the same in a sentence",
    "log_tail": "the last lines it wrote",
    "logs": "the command that shows all it wrote",
}

EVENTS: Mapping[EventType, EventKind] = {
    EventType.PIPELINE_CREATED: EventKind(
        "A definition is pinned as a new pipeline.",
        {"rerun_of": "the pipeline it repeats; absent where it repeats none"},
    ),
    EventType.PIPELINE_STARTED: EventKind("A pipeline starts with its first phase."),
    EventType.PIPELINE_PAUSED: EventKind("A person pauses it: nothing new starts, what runs goes on."),
    EventType.PIPELINE_RESUMED: EventKind("A person resumes it."),
    EventType.PIPELINE_EXTENDED: EventKind(
        "A person grants more iterations, or more time to the current phase.",
        {"iterations": "how many more", "minutes": "how many more"},
    ),
    EventType.PIPELINE_QUOTA: EventKind(
        "A person sets how much it may store of messages.", {"quota": "the new bound, in bytes"}
    ),
    EventType.PIPELINE_COMPLETED: EventKind(
        "Its last phase has ended well; the text says what did not converge."
    ),
    EventType.PIPELINE_FAILED: EventKind("It has ended badly; the text says why."),
    EventType.PIPELINE_CANCELLED: EventKind("It was cancelled, by a person or by an answer."),
    EventType.PHASE_STARTED: EventKind(
        "A phase run begins: a phase's first, its next iteration, or a restart."
    ),
    EventType.PHASE_COMPLETED: EventKind(
        "A phase run has ended by consensus, convergence, acceptance, or with its iterations used up.",
        _UNHANDLED,
    ),
    EventType.PHASE_FAILED: EventKind(
        "A phase run has failed, or its agents are stopped since two of them failed and a person is asked.",
        _UNHANDLED,
    ),
    EventType.AGENT_QUEUED: EventKind("A run of a role is due; the text says for which causes."),
    EventType.AGENT_STARTED: EventKind("A run's process is there."),
    EventType.AGENT_PROGRESS: EventKind("An agent says how far it is (`egg signal progress`)."),
    EventType.AGENT_ERROR: EventKind("An agent says what went wrong (`egg signal error`)."),
    EventType.AGENT_STOPPING: EventKind("A person stops a run, or it takes more of the disk than it may."),
    EventType.AGENT_COMPLETED: EventKind(
        "A run has ended by itself, or was cancelled; with data where it gave no verdict and owed one.",
        _FAILURE,
    ),
    EventType.AGENT_FAILED: EventKind("A run has failed; the text says how.", _FAILURE),
    EventType.AGENT_TIMEOUT: EventKind("A run was stopped since it had done nothing for too long.", _FAILURE),
    EventType.AGENT_LOST: EventKind(
        "A run's process, worker or machine is gone, or its end cannot be read.", _FAILURE
    ),
    EventType.AGENT_REMOVED: EventKind(
        "A person had what was kept of a run's clone removed (`egg gc --kept`)."
    ),
    EventType.AGENT_SALVAGED: EventKind(
        "A run left work that it had not published; the text says where it is kept."
    ),
    EventType.MESSAGE_SENT: EventKind(
        "A message is on the bus.",
        {
            "message_id": "its number in the pipeline",
            "from_role": "who sent it; `human` and `orchestrator` are no roles",
            "to_role": "whom it is for; `all` is everybody",
            "message_type": "its type",
            "subject": "its subject",
        },
    ),
    EventType.READINESS_CHANGED: EventKind(
        "A role gives a verdict.",
        {"state": "WORKING, READY, BLOCKED or OBJECTING", "version": "the role's newest version; 0 is none"},
    ),
    EventType.OBJECTION_OPENED: EventKind(
        "A role objects to another's version, or upholds what it said.", _OBJECTION
    ),
    EventType.OBJECTION_ANSWERED: EventKind("A new version, or words, answer an objection.", _OBJECTION),
    EventType.OBJECTION_WITHDRAWN: EventKind("Who objected is READY.", _OBJECTION),
    EventType.OBJECTION_OVERRULED: EventKind("A person accepts the work in spite of it."),
    EventType.CONSENSUS_REACHED: EventKind("A phase run closes well; the text says by what."),
    EventType.CONVERGENCE_REQUESTED: EventKind(
        "Agents are asked to come to an end: at the phase's soft deadline, or one that does nothing."
    ),
    EventType.DECISION_CREATED: EventKind(
        "A person is asked.",
        {"failures": "the failed runs it is about, each as `agent.failed` tells of it"},
    ),
    EventType.DECISION_RESOLVED: EventKind("A person has answered."),
    EventType.DECISION_DEFAULTED: EventKind("Nobody answered in time, and the default is taken."),
    EventType.BRANCH_MERGED: EventKind("A version is merged into the work branch."),
    EventType.BRANCH_CONFLICTED: EventKind(
        "A version, or the present base, does not go together with the work branch; the text has the paths."
    ),
    EventType.BRANCH_REBASE_REQUESTED: EventKind("A person wants the present base in the work branch."),
    EventType.BRANCH_REBASED: EventKind(
        "The present base is merged into the work branch, or was in it already."
    ),
    EventType.BRANCH_REBASE_FAILED: EventKind(
        "The present base could not be fetched or merged; work goes on without."
    ),
    EventType.BRANCH_HELD_UP: EventKind(
        "The work branch could not be moved to where it is to be, so often that it is left alone."
    ),
    EventType.CHECK_ENDED: EventKind(
        "The phase's check has ended: green, red, or not come to an end; only green has no data.", _FAILURE
    ),
    EventType.RESULT_REPORTED: EventKind("A role's result is taken.", _RESULT),
    EventType.RESULT_INVALID: EventKind("A result cannot be read; the text says why.", _RESULT),
    EventType.SHARE_USED_UP: EventKind(
        "A run, or a pipeline, has used up what it may store; the text says what."
    ),
}
"""By type, in the order of the reference."""
