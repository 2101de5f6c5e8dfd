"""What agents' requests to models have used, as it is read."""

from sqlalchemy.orm import Session

from models.queries import model_requests, pipelines
from models.schemas.usage import HoldRead, UsageRead


def list_usage(session: Session, *, pipeline_id: str) -> tuple[UsageRead, ...]:
    """What the agents of a pipeline have used, by role and model, the most requests first."""
    pipelines.get_pipeline(session, pipeline_id=pipeline_id)
    return tuple(model_requests.list_usage(session, pipeline_id=pipeline_id))


def list_holds(session: Session) -> tuple[HoldRead, ...]:
    """The keys that nobody asks with for a while, by name."""
    return tuple(
        HoldRead(
            credential=hold.credential,
            reason=hold.reason.value,
            http_status=hold.http_status,
            since=hold.since,
            until=hold.until,
        )
        for hold in model_requests.list_holds(session)
    )
