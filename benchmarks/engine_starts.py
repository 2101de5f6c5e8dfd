"""Sending agents: rows, chord and all, up to the broker that has them."""

import subprocess
import time
from dataclasses import replace

from celery import chord, group

from benchmarks import bare
from benchmarks.engine_work import document
from benchmarks.figures import Figure
from benchmarks.stack import Stack
from egg_tasks import outbox
from egg_tasks.app import app
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.outbox import Parcel, Runs
from egg_tasks.services.people import pipelines
from models.schemas.definition import validate

NODE = "nobody"
"""A machine without a worker: what is sent there stays in the broker."""
GROUP = "agents sent a second"


def measure(stack: Stack, agents: int) -> list[Figure]:
    """Send the agents of one phase at once."""
    ours, celery, alone = _ours(stack, agents), _celery(agents), _alone(agents)
    what = f"{agents} agents of a phase at once"
    return [
        Figure(GROUP, what, ours, "/s", "bare Celery's chord", celery),
        Figure(GROUP, what, ours, "/s", "plain subprocess", alone),
    ]


def _ours(stack: Stack, agents: int) -> float:
    definition = validate(document(stack, "starts", ("true",), roles=min(agents, 256), phases=1))
    with unit_of_work() as session:
        pipelines.create(session, definition=definition, now=utcnow())
        pipelines.start(session, pipeline_id="starts", now=utcnow())
        outbox.of(session).parcels.clear()
    began = time.monotonic()
    with unit_of_work() as session:
        pipelines.prepared(session, pipeline_id="starts", base_commit="0" * 40, now=utcnow())
        box = outbox.of(session)
        box.parcels = [_away(parcel) for parcel in box.parcels]
    took = time.monotonic() - began
    with unit_of_work() as session:
        pipelines.cancel(session, pipeline_id="starts", now=utcnow())
    return min(agents, 256) / took


def _away(parcel: Parcel) -> Parcel:
    if isinstance(parcel, Runs):
        return replace(parcel, runs=tuple(replace(run, node=NODE) for run in parcel.runs))
    return parcel


def _celery(agents: int) -> float:
    began = time.monotonic()
    header = group([app.signature("bare.attend", args=(["true"],), queue=bare.NOBODY) for _ in range(agents)])
    body = app.signature("bare.phase", args=(["true"], 1, 0), immutable=True, queue=bare.NOBODY)
    sent = chord(header)(body)
    took = time.monotonic() - began
    for part in (sent, *sent.parent.results):
        app.backend.result_consumer.cancel_for(part.id)
    return agents / took


def _alone(agents: int) -> float:
    began = time.monotonic()
    running = [subprocess.Popen(["true"]) for _ in range(agents)]
    took = time.monotonic() - began
    for process in running:
        process.wait()
    return agents / took
