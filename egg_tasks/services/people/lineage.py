"""Lineage: what a new pipeline is called, where it comes from, and which one it repeats."""

from collections.abc import Callable
from datetime import datetime
from itertools import count

from sqlalchemy.orm import Session

from egg_tasks.services.people import pipelines
from models.errors import Unprocessable
from models.queries import pipelines as rows
from models.schemas.definition import Definition
from models.schemas.http import SubmissionIn
from models.tables import Pipeline

LONGEST_NAME = 64
ROOM = 8
"""So many characters a number may take, the hyphen included."""


def submit(
    session: Session,
    *,
    definition: Definition,
    submission: SubmissionIn,
    is_kept: Callable[[str], bool],
    now: datetime,
) -> Pipeline:
    """Pin a definition as a new pipeline, or give the one that was made under the same `client_key`.

    A name that is taken is a `Conflict`, or gets a number if the submission says so; one for which there is
    a repository (*is_kept*) is taken, too. A rerun without a name is called after the first one.
    """
    rows.lock_names(session)
    if submission.client_key is not None:
        standing = rows.find_by_client_key(session, client_key=submission.client_key)
        if standing is not None:
            return standing
    first = _first(session, submission)
    is_numbered = submission.numbered or definition.name is None
    stem = definition.name or (_stem(first) if first else None)
    definition = definition.model_copy(update={"name": stem})
    name = _free_name(session, stem, is_kept=is_kept) if stem and is_numbered else stem
    return pipelines.create(session, definition=definition, name=name, submission=submission, now=now)


def _first(session: Session, submission: SubmissionIn) -> Pipeline | None:
    if submission.rerun_of is None:
        return None
    names = rows.list_names(session, beginning=submission.rerun_of)
    if submission.rerun_of not in names:
        raise Unprocessable(
            f"rerun_of: there is no pipeline {submission.rerun_of} that could be run again; "
            "see `egg pipeline list`"
        )
    return rows.get_pipeline(session, pipeline_id=submission.rerun_of)


def _stem(first: Pipeline) -> str:
    """What a pipeline and those that repeat it are called, but for their numbers."""
    return first.definition.name or first.id


def _free_name(session: Session, stem: str, *, is_kept: Callable[[str], bool]) -> str:
    """The name itself, else the first of stem-2, stem-3… that nobody has."""
    short = stem[: LONGEST_NAME - ROOM]
    taken = rows.list_names(session, beginning=short)
    names = (stem if number == 1 else f"{short}-{number}" for number in count(1))
    return next(name for name in names if name not in taken and not is_kept(name))
