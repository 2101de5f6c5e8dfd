"""Who a credential speaks for: the operator, or an agent run."""

from dataclasses import dataclass
from uuid import UUID

from models.errors import Forbidden


@dataclass(frozen=True)
class Operator:
    """A person, or a program that acts for one."""


@dataclass(frozen=True)
class CallingAgent:
    """An agent run, by its token; whether it lives is in the rows."""

    run_id: UUID
    pipeline_id: str
    phase_run_id: UUID
    role: str

    def must_be(self, *, role: str | None = None, pipeline_id: str | None = None) -> None:
        """Refuse a request that names another role or pipeline than the credential."""
        if role not in {None, self.role}:
            raise Forbidden(f"this credential is {self.role}'s; it cannot speak for {role}")
        if pipeline_id not in {None, self.pipeline_id}:
            raise Forbidden(f"this credential belongs to pipeline {self.pipeline_id}, not to {pipeline_id}")
