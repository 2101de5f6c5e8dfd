"""Settings, read from the environment and settings.toml once, when a process asks for them."""

import base64
import os
import platform
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from egg_tasks import agent_tools
from egg_tasks.settings_file import completed
from egg_tasks.settings_table import BROKER_URL, BY_VARIABLE, DATABASE_URL, REDIS_URL, number, said
from models.errors import Unprocessable

WHSEC = "whsec_"
LEAST_SECRET = 16
EXAMPLES = {DATABASE_URL: "postgresql://host/database", REDIS_URL: "redis://host:port/0"}
REDIS = frozenset({"redis", "rediss", "unix"})
BROKERS = REDIS | {"redis+socket", "sentinel", "amqp", "amqps", "pyamqp"}
ELSEWHERE = "set EGG_HOME to another place"
SPARE_THREADS = 8
"""Threads of an agents worker beyond its places: they put back what there is no place for, so that what
starts next is chosen by fair share and not by its turn in the broker."""


def default_home(environ: Mapping[str, str]) -> Path:
    """Where a stack keeps what it owns: EGG_HOME, else by who we are; `Unprocessable` if that is none."""
    if home := environ.get("EGG_HOME"):
        return _place(home, "EGG_HOME")
    if os.geteuid() == 0:
        return Path("/var/lib/egg")
    if data := environ.get("XDG_DATA_HOME"):
        return _place(data, "XDG_DATA_HOME") / "egg"
    return _place(environ.get("HOME", "~"), "HOME") / ".local/share/egg"


def _place(text: str, name: str) -> Path:
    if not text.isprintable():
        raise Unprocessable(f"{name} is {text!r}, which holds what no URL or log could say: {ELSEWHERE}")
    if os.pathsep in text:
        raise Unprocessable(
            f"{name} is {text!r}: agents find `egg` by their PATH, in which `{os.pathsep}` ends a directory:"
            f" {ELSEWHERE}"
        )
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise Unprocessable(f"{name} is {text!r}, and nobody has that home: {ELSEWHERE}") from error


def secrets_directory(environ: Mapping[str, str], home: Path) -> Path:
    """Where the secrets of this machine are; `Unprocessable` for a place that depends on where one stands."""
    place = environ.get("EGG_SECRETS_DIR", "")
    if place and not (place.startswith("/") and place.isprintable()):
        raise Unprocessable(
            f"EGG_SECRETS_DIR is {place[:80]!r}: give the whole path of a directory, from / on"
        )
    return Path(place) if place else home / "secrets"


def needs_containers(environ: Mapping[str, str]) -> bool:
    """Whether agents that are processes are refused; `Unprocessable` for what is no kind of isolation."""
    least = said(environ, "EGG_ISOLATION")
    if least not in {"process", "docker"}:
        raise Unprocessable(f"EGG_ISOLATION must be `process` or `docker`, not {least[:80]!r}")
    return least == "docker"


def sqlalchemy_url(url: str) -> str:
    """Turn a PostgreSQL URL as people write it into the one SQLAlchemy wants (the psycopg driver)."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] not in {"postgresql", "postgres"}:
        raise Unprocessable(f"{DATABASE_URL} must look like postgresql://user:password@host/database")
    return f"postgresql+psycopg://{rest}"


def others(environ: Mapping[str, str]) -> list[str]:
    """Names of servers that are set for other programs, which are none of our business."""
    names = (name.removeprefix("EGG_") for name in EXAMPLES)
    return [name for name in names if environ.get(name)]


def server_url(environ: Mapping[str, str], name: str) -> str:
    """The URL that *name* gives; `Unprocessable` when it is not set, even if another program's is."""
    if url := environ.get(name):
        return url
    way_out = f'give {EXAMPLES[name]}, or use a local stack: `egg up`, then `eval "$(egg env)"`'
    theirs = name.removeprefix("EGG_")
    if theirs in others(environ):
        raise Unprocessable(
            f"{name} is not set, and {theirs} may be another program's, so that it is not used: {way_out}"
        )
    raise Unprocessable(f"{name} is not set: {way_out}")


def _shaped(name: str, url: str, schemes: Collection[str], example: str) -> str:
    """Return *url* if it is one of these; what libraries make of another is no sentence."""
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in schemes and (parts.port or True)
    except ValueError:
        is_right = False
    if not is_right:
        raise Unprocessable(f"{name} must look like {example}")
    return url


def celery_url(url: str) -> str:
    """Turn a redis-py URL into Celery's: they spell unix sockets differently."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        database = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair).get("db", "0")
        return f"redis+socket://{quote(unquote(parts.path))}?virtual_host={database}"
    return url


def broker_url(environ: Mapping[str, str], redis_url: str) -> str:
    """The broker as Celery spells it: the one given for itself, else Redis."""
    return celery_url(environ.get(BROKER_URL) or redis_url)


@dataclass(frozen=True)
class Webhook:
    """Where people hear of decisions, and the secret that the telling is signed with."""

    url: str = field(repr=False)
    secret: str = field(repr=False)

    @property
    def key(self) -> bytes:
        """The key the secret stands for: base64 after `whsec_`, else itself; `ValueError` for bad base64."""
        if not self.secret.startswith(WHSEC):
            return self.secret.encode()
        return base64.b64decode(self.secret.removeprefix(WHSEC), validate=True)


def webhook_of(environ: Mapping[str, str]) -> Webhook | None:
    """The webhook that is set, if any; `Unprocessable` for one that could not be trusted or reached."""
    url, secret = environ.get("EGG_WEBHOOK_URL", ""), environ.get("EGG_WEBHOOK_SECRET", "")
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Unprocessable("EGG_WEBHOOK_URL must look like https://host/path")
    if not secret:
        raise Unprocessable(
            "EGG_WEBHOOK_URL is set without EGG_WEBHOOK_SECRET, and who gets a notice could not tell that it"
            " is ours: set a secret of 16 or more characters, or unset the URL"
        )
    webhook = Webhook(url, secret)
    try:
        key = webhook.key
    except ValueError as error:
        raise Unprocessable("EGG_WEBHOOK_SECRET must go on in base64 after whsec_") from error
    if len(key) < LEAST_SECRET:
        raise Unprocessable(f"EGG_WEBHOOK_SECRET is too short: give {LEAST_SECRET} or more characters")
    return webhook


@dataclass(frozen=True)
class Settings:
    """What every process of the orchestrator must know."""

    home: Path
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    broker_url: str = field(repr=False)
    result_backend: str = field(repr=False)
    api_url: str
    operator_token: str | None = field(repr=False)
    node: str
    node_capacity: int
    gateway_port: int
    """Where this machine's gateway answers processes, on loopback."""
    rate_limit: int
    """How many requests a second an agent may make for long; 0 is any number."""
    look_limit: timedelta = timedelta(seconds=30)
    """How long all may take that git does at a clone for one READY or sync."""
    merge_limit: timedelta = timedelta(seconds=120)
    """How long all may take that git does for one merge."""
    snapshot_every: timedelta = timedelta(seconds=60)
    """How long after another what live clones hold is kept; never for 0."""
    keep_clones: timedelta = timedelta(0)
    """How long the clones of runs that are over stay, if all in them is saved."""
    api_hosts: frozenset[str] = frozenset()
    """Names the server is asked by, beside those of the loopback and of `api_url`; in small letters."""
    language: str = "C.UTF-8"
    """What agents and checks have as LANG."""
    agents_path: str = os.defpath
    """The PATH that agents and checks have behind their `egg`."""
    needs_containers: bool = False
    """Whether nothing of an agent may run here but in a container of its own."""
    docker_host: str = BY_VARIABLE["EGG_DOCKER_HOST"].default
    """The container engine of agents that are isolated by one."""
    agent_uid: int = 65532
    """The user that agents in containers are, where we are root."""
    secrets_directory: Path = Path("/nonexistent")
    """Where the secrets are that agents of this machine are given."""
    webhook: Webhook | None = None
    """Where people hear of decisions; nowhere when it is None."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings; one that is missing or malformed is `Unprocessable`, by name."""
        database_url = sqlalchemy_url(server_url(environ, DATABASE_URL))
        redis_url = _shaped(REDIS_URL, server_url(environ, REDIS_URL), REDIS, "redis://host:port/0")
        if given := environ.get(BROKER_URL):
            _shaped(BROKER_URL, given, BROKERS, "amqp://host// or redis://host:port/0")
        home = default_home(environ)
        return cls(
            home=home,
            database_url=database_url,
            redis_url=redis_url,
            broker_url=broker_url(environ, redis_url),
            result_backend=celery_url(redis_url),
            api_url=environ.get("EGG_ORCHESTRATOR_URL") or "http://127.0.0.1:8700",
            operator_token=environ.get("EGG_OPERATOR_TOKEN") or None,
            node=environ.get("EGG_NODE") or platform.node() or "local",
            node_capacity=number(environ, "EGG_NODE_CAPACITY"),
            gateway_port=number(environ, "EGG_GATEWAY_PORT"),
            rate_limit=number(environ, "EGG_RATE_LIMIT"),
            look_limit=timedelta(seconds=number(environ, "EGG_LOOK_SECONDS")),
            merge_limit=timedelta(seconds=number(environ, "EGG_MERGE_SECONDS")),
            snapshot_every=timedelta(seconds=number(environ, "EGG_SNAPSHOT_SECONDS")),
            keep_clones=timedelta(hours=number(environ, "EGG_KEEP_CLONES_HOURS")),
            api_hosts=frozenset(environ.get("EGG_API_HOSTS", "").lower().replace(",", " ").split()),
            language=environ.get("LANG") or "C.UTF-8",
            agents_path=agent_tools.agents_path(environ, home),
            needs_containers=needs_containers(environ),
            docker_host=said(environ, "EGG_DOCKER_HOST"),
            agent_uid=number(environ, "EGG_AGENT_UID"),
            secrets_directory=secrets_directory(environ, home),
            webhook=webhook_of(environ),
        )


def surroundings() -> dict[str, str]:
    """This process's environment, with what only settings.toml says; `Unprocessable` for a faulty file."""
    return completed(os.environ, default_home(os.environ))


@cache
def settings() -> Settings:
    """The process's settings, from its environment and settings.toml at the first call."""
    return Settings.from_environment(surroundings())


def settings_at_start() -> Settings:
    """The same for a program that starts: it ends with one sentence when they are not right."""
    try:
        return settings()
    except Unprocessable as error:
        sys.exit(f"error: {error}")
