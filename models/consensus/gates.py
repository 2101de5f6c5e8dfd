"""The gate of a phase: a person's word before it is left. Its first option lets go; all else is changes."""

from models.consensus.convergence import leaves_phase
from models.consensus.snapshot import DecisionView, Snapshot
from models.consensus.step import Ask, DecisionKind, Restart, Wait
from models.consensus.treatments import MAX_GATE_RESTARTS

KEY = "gate"


def ask(snapshot: Snapshot) -> Ask | Wait | Restart | None:
    """What the gate of a quiet closing phase run says; None when it lets the phase go."""
    gate = snapshot.policy.gate
    if gate is None or not leaves_phase(snapshot):
        return None
    asked = _asked(snapshot)
    if asked is None:
        is_circle = gate.default != gate.options[0] and snapshot.restarts >= MAX_GATE_RESTARTS
        deadline = snapshot.now + gate.after if gate.after and not is_circle else None
        return Ask(
            KEY,
            DecisionKind.GATE,
            gate.question,
            gate.options,
            gate.default,
            is_free=True,
            deadline=deadline,
        )
    if asked.is_pending:
        return Wait(f"a person's answer to decision {asked.number}", on_person=True)
    return None if asked.resolution == gate.options[0] else Restart()


def _asked(snapshot: Snapshot) -> DecisionView | None:
    return next((decision for decision in snapshot.decisions if decision.key == KEY), None)
