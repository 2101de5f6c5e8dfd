"""What a pipeline's branches are called, and how its id and those of commits are written: said here alone."""

from uuid import UUID

OURS = "egg"
"""What every branch of ours begins with; a branch of a person's that is called so stays where it is."""
WORK, SALVAGE = "work", "salvage"
RESERVED = frozenset({WORK, SALVAGE})
"""What no role may be called: these branches are the orchestrator's."""
PIPELINE_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""How a pipeline's id is written; `schemas.text.pipeline_id_fault` says what it must not hold besides."""
SHA1_DIGITS, SHA256_DIGITS = 40, 64
COMMIT = rf"[0-9a-f]{{{SHA1_DIGITS}}}|[0-9a-f]{{{SHA256_DIGITS}}}"
"""How a commit's full id is written."""


def result_branch(pipeline_id: str) -> str:
    """The branch with a pipeline's work in the repository it came from."""
    return f"{OURS}/{pipeline_id}"


def role_branch(pipeline_id: str, role: str) -> str:
    """A role's own branch in the pipeline's repository."""
    return f"{OURS}/{pipeline_id}/{role}"


def work_branch(pipeline_id: str) -> str:
    """The branch the orchestrator merges into."""
    return role_branch(pipeline_id, WORK)


def salvage_branch(pipeline_id: str, run_id: UUID, *, number: int) -> str:
    """Where salvaged work goes that its role's branch has moved away from; *number* counts from 1."""
    suffix = "" if number == 1 else f".{number}"
    return f"{role_branch(pipeline_id, SALVAGE)}/{run_id}{suffix}"


def stray_branch(pipeline_id: str, run_id: UUID, name: str) -> str:
    """Where commits go that a run left on another branch of its clone."""
    return f"{role_branch(pipeline_id, SALVAGE)}/{run_id}-{name}"
