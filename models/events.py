"""Every type of event: when it happens, and what its `data` holds. A type that is not here is a bug."""

from collections.abc import Mapping
from dataclasses import dataclass, field


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

EVENTS: Mapping[str, EventKind] = {
    "pipeline.created": EventKind(
        "A definition is pinned as a new pipeline.",
        {"rerun_of": "the pipeline it repeats; absent where it repeats none"},
    ),
    "pipeline.started": EventKind("A pipeline starts with its first phase."),
    "pipeline.paused": EventKind("A person pauses it: nothing new starts, what runs goes on."),
    "pipeline.resumed": EventKind("A person resumes it."),
    "pipeline.extended": EventKind(
        "A person grants more iterations, or more time to the current phase.",
        {"iterations": "how many more", "minutes": "how many more"},
    ),
    "pipeline.quota": EventKind(
        "A person sets how much it may store of messages.", {"quota": "the new bound, in bytes"}
    ),
    "pipeline.completed": EventKind("Its last phase has ended well; the text says what did not converge."),
    "pipeline.failed": EventKind("It has ended badly; the text says why."),
    "pipeline.cancelled": EventKind("It was cancelled, by a person or by an answer."),
    "phase.started": EventKind("A phase run begins: a phase's first, its next iteration, or a restart."),
    "phase.completed": EventKind(
        "A phase run has ended by consensus, convergence, acceptance, or with its iterations used up.",
        _UNHANDLED,
    ),
    "phase.failed": EventKind(
        "A phase run has failed, or its agents are stopped since two of them failed and a person is asked.",
        _UNHANDLED,
    ),
    "agent.queued": EventKind("A run of a role is due; the text says for which causes."),
    "agent.started": EventKind("A run's process is there."),
    "agent.progress": EventKind("An agent says how far it is (`egg signal progress`)."),
    "agent.error": EventKind("An agent says what went wrong (`egg signal error`)."),
    "agent.stopping": EventKind("A person stops a run."),
    "agent.completed": EventKind(
        "A run has ended by itself, or was cancelled; with data where it gave no verdict and owed one.",
        _FAILURE,
    ),
    "agent.failed": EventKind("A run has failed; the text says how.", _FAILURE),
    "agent.timeout": EventKind("A run was stopped since it had done nothing for too long.", _FAILURE),
    "agent.lost": EventKind(
        "A run's process, worker or machine is gone, or its end cannot be read.", _FAILURE
    ),
    "agent.removed": EventKind("A person had what was kept of a run's clone removed (`egg gc --kept`)."),
    "agent.salvaged": EventKind("A run left work that it had not published; the text says where it is kept."),
    "message.sent": EventKind(
        "A message is on the bus.",
        {
            "message_id": "its number in the pipeline",
            "from_role": "who sent it; `human` and `orchestrator` are no roles",
            "to_role": "whom it is for; `all` is everybody",
            "message_type": "its type",
            "subject": "its subject",
        },
    ),
    "readiness.changed": EventKind(
        "A role gives a verdict.",
        {"state": "WORKING, READY, BLOCKED or OBJECTING", "version": "the role's newest version; 0 is none"},
    ),
    "objection.opened": EventKind(
        "A role objects to another's version, or upholds what it said.", _OBJECTION
    ),
    "objection.answered": EventKind("A new version, or words, answer an objection.", _OBJECTION),
    "objection.withdrawn": EventKind("Who objected is READY.", _OBJECTION),
    "objection.overruled": EventKind("A person accepts the work in spite of it."),
    "consensus.reached": EventKind("A phase run closes well; the text says by what."),
    "convergence.requested": EventKind(
        "Agents are asked to come to an end: at the phase's soft deadline, or one that does nothing."
    ),
    "decision.created": EventKind(
        "A person is asked.",
        {"failures": "the failed runs it is about, each as `agent.failed` tells of it"},
    ),
    "decision.resolved": EventKind("A person has answered."),
    "decision.defaulted": EventKind("Nobody answered in time, and the default is taken."),
    "branch.merged": EventKind("A version is merged into the work branch."),
    "branch.conflicted": EventKind(
        "A version, or the present base, does not go together with the work branch; the text has the paths."
    ),
    "branch.rebase_requested": EventKind("A person wants the present base in the work branch."),
    "branch.rebased": EventKind("The present base is merged into the work branch, or was in it already."),
    "branch.rebase_failed": EventKind(
        "The present base could not be fetched or merged; work goes on without."
    ),
    "check.ended": EventKind(
        "The phase's check has ended: green, red, or not come to an end; only green has no data.", _FAILURE
    ),
    "result.reported": EventKind("A role's result is taken.", _RESULT),
    "result.invalid": EventKind("A result cannot be read; the text says why.", _RESULT),
    "share.used_up": EventKind("A run, or a pipeline, has used up what it may store; the text says what."),
}
"""By type, in the order of the reference."""
