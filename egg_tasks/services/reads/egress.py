"""What agents asked the gateway for, as it is read."""

from sqlalchemy.orm import Session

from models.queries import egress, pipelines
from models.schemas.egress import EgressRead


def list_egress(session: Session, *, pipeline_id: str) -> tuple[EgressRead, ...]:
    """What the agents of a pipeline asked for, the most frequent first."""
    pipelines.get_pipeline(session, pipeline_id=pipeline_id)
    found = egress.list_egress(session, pipeline_id=pipeline_id)
    return tuple(EgressRead(**wished._asdict()) for wished in found)
