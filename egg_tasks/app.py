"""Celery: its settings, each with the reason in docs/decisions/0003, and the base task. Nothing else."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from celery import Celery, Signature, Task
from celery.app.utils import Settings
from kombu.transport import redis as redis_transport

from egg_tasks import celery_faults
from egg_tasks.config import settings_at_start
from models.errors import NoRoom, Unavailable

CONTROL = "control"
CELERYS_OWN = (
    "CELERY_BROKER_URL",
    "CELERY_BROKER_READ_URL",
    "CELERY_BROKER_WRITE_URL",
    "CELERY_RESULT_BACKEND",
)
"""With Celery these beat every setting; here they can only be another program's (`config.BROKER_URL`)."""
AGENTS = "agents"
RETRIES_WHILE_ANSWERING = {"max_retries": 3, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}
"""How a process that answers somebody publishes: what it cannot send is found by the reconciler."""


class EggCelery(Celery):  # type: ignore[misc]
    """Celery that takes its servers from our settings alone."""

    @property
    def conf(self) -> Settings:
        """The configuration; Celery looks into the environment each time before it asks what is set."""
        for name in CELERYS_OWN:
            os.environ.pop(name, None)
        return super().conf


class EggTask(Task):  # type: ignore[misc]
    """Every task of ours: retried while the world is not ready, and only then."""

    autoretry_for = (Unavailable,)
    # A disk may be full for hours: meanwhile the reconciler alone sends what waits, once.
    dont_autoretry_for = (NoRoom,)
    retry_backoff = True
    retry_backoff_max = 30
    max_retries = None

    def signature_from_request(
        self, request: Any = None, args: Any = None, kwargs: Any = None, queue: Any = None, **options: Any
    ) -> Signature:
        """The same task again; Celery forgets what Flower shows of it, which is its pipeline's name."""
        request = request or self.request
        options.setdefault("kwargsrepr", request.get("kwargsrepr"))
        return super().signature_from_request(request, args, kwargs, queue, **options)


def configuration() -> dict[str, object]:
    """The measured settings; reads the environment when Celery first needs them."""
    celery_faults.say_plainly()
    survive_lost_connections()
    show_every_queue()
    settings = settings_at_start()
    return {
        "broker_url": settings.broker_url,
        "result_backend": settings.result_backend,
        "imports": (
            "egg_tasks.tasks.agent_runs",
            "egg_tasks.tasks.decisions",
            "egg_tasks.tasks.phases",
            "egg_tasks.tasks.pipelines",
            "egg_tasks.tasks.rebases",
            "egg_tasks.tasks.versions",
        ),
        "task_default_queue": CONTROL,
        "task_acks_late": False,
        "task_track_started": True,
        "task_send_sent_event": False,
        "task_reject_on_worker_lost": False,
        "task_publish_retry_policy": {"max_retries": 60, "interval_step": 0.5, "interval_max": 5},
        "worker_disable_prefetch": True,
        "worker_prefetch_multiplier": 1,
        "worker_enable_prefetch_count_reduction": False,
        "worker_deduplicate_successful_tasks": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_send_task_events": True,
        "worker_pool": "threads",
        "worker_hijack_root_logger": False,
        "worker_log_color": False,
        "result_backend_always_retry": True,
        "result_expires": 24 * 3600,
        "result_chord_expires": 30 * 24 * 3600,
        "broker_transport_options": {
            "visibility_timeout": 600,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_keepalive": True,
            "socket_timeout": 30,
        },
        "broker_connection_max_retries": None,
        "broker_connection_retry_on_startup": True,
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "timezone": "UTC",
        "enable_utc": True,
    }


def answer_quickly() -> None:
    """Send as a process that answers somebody: a broker that is away must not hold the answer for long."""
    app.conf.task_publish_retry_policy = RETRIES_WHILE_ANSWERING
    # A chord also writes to the result store, which else is tried for 19 s.
    app.conf.result_backend_transport_options = {"retry_policy": RETRIES_WHILE_ANSWERING}


def survive_lost_connections() -> None:
    """Let a Redis channel close although its connection is gone.

    kombu 5.7.0 drains a pending BRPOP while it closes; when that fails the worker exits with 1. A test
    goes red when upstream mends it, and then this goes.
    """
    if not hasattr(redis_transport.Channel.close, "__wrapped__"):
        setattr(redis_transport.Channel, "close", _closing_without_drain(redis_transport.Channel.close))  # noqa: B010


def show_every_queue() -> None:
    """Let Flower name all queues: it asks workers once, when it starts, and they may not be there yet.

    A worker's own queue goes by its name, `agents@NODE`, which its events tell.
    """
    views = sys.modules.get("flower.views")
    if views is None or hasattr(views.BaseHandler.get_active_queue_names, "__wrapped__"):
        return
    known = views.BaseHandler.get_active_queue_names

    @wraps(known)
    def names(handler: Any) -> list[str]:
        nodes = (name.partition(f"{AGENTS}@")[2] for name in handler.application.events.state.workers)
        return sorted({*known(handler), CONTROL, AGENTS, *(f"{AGENTS}.{node}" for node in nodes if node)})

    views.BaseHandler.get_active_queue_names = names


def _closing_without_drain(
    close: Callable[[redis_transport.Channel], None],
) -> Callable[[redis_transport.Channel], None]:
    lost = (AttributeError, *redis_transport.get_redis_error_classes().connection_errors)  # type: ignore[no-untyped-call]

    @wraps(close)
    def closing(channel: redis_transport.Channel) -> None:
        try:
            close(channel)
        except lost:
            channel._in_poll = False  # noqa: SLF001 - the flag that says there is something to drain
            close(channel)

    return closing


app = EggCelery("egg", task_cls=EggTask)
app.add_defaults(configuration)
