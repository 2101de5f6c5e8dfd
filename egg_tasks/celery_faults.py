"""What Celery's own commands say when they fail for want of a server: a sentence instead of a traceback."""

import errno
import sys
from types import TracebackType

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from models.masking import masked

PROGRAMS = ("/celery", "/celery/__main__.py")


def say_plainly() -> None:
    """Have this process end so, if it is a command of Celery's: `celery -A egg_tasks.app …`."""
    if sys.argv[0].endswith(PROGRAMS):
        sys.excepthook = _end


def _end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        said = "the port is taken: give another one with --port"
    elif isinstance(error, OperationalError | RedisError | ConnectionError):
        reason = masked(str(error)).rstrip(".")
        said = (
            f"the broker cannot be reached ({reason}): check EGG_REDIS_URL or EGG_BROKER_URL; a local stack's"
            ' comes with `egg up`, then `eval "$(egg env)"`'
        )
    else:
        sys.__excepthook__(kind, error, trace)
        return
    sys.stderr.write(f"error: {said}\n")
