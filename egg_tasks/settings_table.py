"""Every setting there is: what is read, shown by `egg settings`, and written down in the reference.

It imports the standard library and our errors only. Most can be said in the environment and in
`$EGG_HOME/settings.toml` (`settings_file`); the environment wins. An empty variable says that it is not set,
whatever the file says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from egg_tasks.protocol import LOOK_SECONDS
from models.errors import Unprocessable

LARGEST_PORT = 65535
LONGEST_NUMBER = 9
DATABASE_URL, REDIS_URL, BROKER_URL = "EGG_DATABASE_URL", "EGG_REDIS_URL", "EGG_BROKER_URL"
"""The only names of what is given; without EGG_ they are other programs' (`config.others`)."""


class Kind(StrEnum):
    """What a value is, as a person is told."""

    TEXT = "text"
    WHOLE = "a whole number"
    PORT = "a port"
    URL = "a URL"
    NAMES = "names, with blanks between them"
    VARIABLES = "a table of variables"
    PROVIDER = "a table of base_url, format and credential"


class Effect(StrEnum):
    """When a value that was changed is looked at."""

    AT_UP = "at the next `egg down` and `egg up`"
    NEXT = "at the next command"
    FETCH = "at the next fetch of a repository"
    MODELS = "at the next request for a model"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting."""

    variable: str = ""
    """Its name in the environment; empty when it is said in the file alone."""
    key: str = ""
    """Its table and key in settings.toml, `node.capacity`; empty when it is said in the environment alone."""
    help: str
    """What it says, in a sentence without its first capital and its last dot."""
    kind: Kind = Kind.TEXT
    default: str = ""
    """What holds when nobody says anything, as it would be said; empty for none."""
    otherwise: str = ""
    """What holds then, in words, where that is no fixed text."""
    unit: str = ""
    least: int = 0
    most: int | None = None
    is_secret: bool = False
    """Whether its value is shown to nobody; of a URL, what may be a password never is."""
    effect: Effect = Effect.AT_UP

    @property
    def table(self) -> str:
        """Its table in the file."""
        return self.key.partition(".")[0]

    @property
    def name(self) -> str:
        """What it is called by people: its key in the file, else its variable."""
        return self.key or self.variable


TABLES: Mapping[str, str] = {
    "server": "which server commands talk to, and as whom",
    "stack": "what `egg up` starts, and the servers it uses instead of its own",
    "api": "the HTTP server",
    "node": "this machine",
    "webhook": "where people hear of decisions",
    "agents": "what agents and checks of this machine find",
    "fetch": "how our own processes reach the repositories of pipelines",
    "providers": "where agents' requests for models go, and with whose key",
}

SETTINGS: tuple[Setting, ...] = (
    Setting(
        variable="EGG_HOME",
        help="the directory of the local stack: its database, repositories, runs, logs, and settings.toml",
        otherwise="/var/lib/egg for root, else egg in XDG_DATA_HOME or ~/.local/share",
        effect=Effect.NEXT,
    ),
    Setting(
        variable="EGG_ORCHESTRATOR_URL",
        key="server.url",
        kind=Kind.URL,
        help="the server that commands and agents talk to, and its own name to the browsers of people",
        otherwise="the local stack's; http://127.0.0.1:8700 for single processes",
        effect=Effect.NEXT,
    ),
    Setting(
        variable="EGG_OPERATOR_TOKEN",
        key="server.operator_token",
        is_secret=True,
        help="the credential of people: the server's own, and what commands show",
        otherwise="made by the first `egg up`, and kept in stack.json",
    ),
    Setting(
        variable="EGG_API_PORT",
        key="stack.api_port",
        kind=Kind.PORT,
        least=1,
        most=LARGEST_PORT,
        help="the port of the local stack's API",
        otherwise="8700 or the next that is free, and from then on the same",
    ),
    Setting(
        variable="EGG_GATEWAY_PORT",
        key="stack.gateway_port",
        kind=Kind.PORT,
        least=1,
        most=LARGEST_PORT,
        default="8780",
        help="the port of the local stack's gateway, by which agents that are processes go out",
        otherwise="8780 or the next that is free, and from then on the same",
    ),
    Setting(
        variable=DATABASE_URL,
        key="stack.database_url",
        kind=Kind.URL,
        help="a PostgreSQL to use: postgresql://user:password@host/database",
        otherwise="the local stack's own",
    ),
    Setting(
        variable=REDIS_URL,
        key="stack.redis_url",
        kind=Kind.URL,
        help="a Valkey or Redis (6.2 or newer) to use for results, wake-ups and messages: redis://host:port/0",
        otherwise="the local stack's own",
    ),
    Setting(
        variable=BROKER_URL,
        key="stack.broker_url",
        kind=Kind.URL,
        help="a broker of its own for Celery's messages, such as amqp://user:password@host//",
        otherwise="what EGG_REDIS_URL says",
    ),
    Setting(
        variable="EGG_POSTGRES_BIN",
        key="stack.postgres_bin",
        help="the directory with the initdb and postgres to run",
        otherwise="those that came with egg, else the system's",
    ),
    Setting(
        variable="EGG_REDIS_BIN",
        key="stack.redis_bin",
        help="the valkey-server or redis-server to run",
        otherwise="the one that came with egg, else the system's",
    ),
    Setting(
        variable="EGG_API_HOSTS",
        key="api.hosts",
        kind=Kind.NAMES,
        help="names the server is asked by, as behind a proxy, beside those of the loopback and of its URL",
    ),
    Setting(
        variable="EGG_RATE_LIMIT",
        key="api.rate_limit",
        kind=Kind.WHOLE,
        default="50",
        unit="requests a second",
        help="how many requests a second an agent may make for long; 0 is any number",
    ),
    Setting(
        variable="EGG_LOOK_SECONDS",
        key="api.look_seconds",
        kind=Kind.WHOLE,
        default="30",
        least=1,
        most=int(LOOK_SECONDS),
        unit="seconds",
        help="how long all may take that git does at a clone for one READY or `egg sync`",
    ),
    Setting(
        variable="EGG_NODE",
        key="node.name",
        help="the name of this machine among those that run agents",
        otherwise="local in a local stack, else the machine's own",
    ),
    Setting(
        variable="EGG_NODE_CAPACITY",
        key="node.capacity",
        kind=Kind.WHOLE,
        default="200",
        least=1,
        unit="agents",
        help="how many agents and checks may live on this machine at once",
    ),
    Setting(
        variable="EGG_MERGE_SECONDS",
        key="node.merge_seconds",
        kind=Kind.WHOLE,
        default="120",
        least=1,
        most=3600,
        unit="seconds",
        help="how long all may take that git does to merge one version, or the present base",
    ),
    Setting(
        variable="EGG_SNAPSHOT_SECONDS",
        key="node.snapshot_seconds",
        kind=Kind.WHOLE,
        default="60",
        least=0,
        most=24 * 3600,
        unit="seconds",
        help="how long after another what live agents have not committed is kept aside; 0 is never",
    ),
    Setting(
        variable="EGG_KEEP_CLONES_HOURS",
        key="node.keep_clones_hours",
        kind=Kind.WHOLE,
        default="0",
        least=0,
        most=24 * 365 * 100,
        unit="hours",
        help="how long the clone of a run whose work is saved stays when the run is over",
    ),
    Setting(
        variable="EGG_ISOLATION",
        key="node.isolation",
        default="process",
        help="`docker` refuses all agents, set-ups and checks that have no container of their own here",
    ),
    Setting(
        variable="EGG_DOCKER_HOST",
        key="node.docker_host",
        kind=Kind.URL,
        default="unix:///var/run/docker.sock",
        help="the container engine of agents that are isolated by one",
    ),
    Setting(
        variable="EGG_AGENT_UID",
        key="node.agent_uid",
        kind=Kind.WHOLE,
        default="65532",
        least=1,
        most=4_000_000_000,
        help="the number of the user that agents in containers are, where egg itself is root",
    ),
    Setting(
        variable="EGG_SECRETS_DIR",
        key="node.secrets_dir",
        help="the directory whose files are secrets, each with the name that definitions give it",
        otherwise="`secrets` in the directory of the stack",
    ),
    Setting(
        variable="EGG_WEBHOOK_URL",
        key="webhook.url",
        kind=Kind.URL,
        is_secret=True,
        help="where people are told of decisions, by a signed POST; of it only the host is shown",
    ),
    Setting(
        variable="EGG_WEBHOOK_SECRET",
        key="webhook.secret",
        is_secret=True,
        help="what the telling is signed with: 16 or more characters, or whsec_ and base64",
    ),
    Setting(
        variable="EGG_AGENTS_PATH",
        key="agents.path",
        help="the PATH of agents and checks, behind their `egg`",
        otherwise="the PATH of the shell in which `egg up` was typed",
    ),
    Setting(
        key="fetch.home",
        help="the HOME in which git and ssh find .gitconfig, .netrc, keys and helpers",
        otherwise="none, and no configuration of git's",
        effect=Effect.FETCH,
    ),
    Setting(
        key="fetch.credential_helper",
        help="who knows names and passwords, as git's credential.helper",
        effect=Effect.FETCH,
    ),
    Setting(
        key="fetch.ssh_command",
        help="as GIT_SSH_COMMAND; it cannot ask anybody",
        default="ssh -o BatchMode=yes",
        effect=Effect.FETCH,
    ),
    Setting(
        key="fetch.proxy", kind=Kind.URL, help="the proxy to use, as git's http.proxy", effect=Effect.FETCH
    ),
    Setting(
        key="fetch.ca_file",
        help="the certificates a server is held against, as git's http.sslCAInfo",
        effect=Effect.FETCH,
    ),
    Setting(
        key="fetch.environment",
        kind=Kind.VARIABLES,
        is_secret=True,
        help="variables added to git's environment, such as SSH_AUTH_SOCK",
        effect=Effect.FETCH,
    ),
    Setting(
        key="providers.NAME",
        kind=Kind.PROVIDER,
        help="a provider of models: its URL, what it speaks (anthropic, openai, other), its key (a secret)",
        effect=Effect.MODELS,
    ),
    Setting(
        variable="EGG_DEBUG",
        help="1 adds the traceback to the sentence that a bug of egg's gets",
        effect=Effect.NEXT,
    ),
)

OF_AGENTS: Mapping[str, str] = {
    "EGG_ORCHESTRATOR_URL": "the server it talks to",
    "EGG_SESSION_TOKEN": "its credential, which says which run it is",
    "EGG_PIPELINE_ID": "its pipeline",
    "EGG_AGENT_ROLE": "its role",
    "EGG_AGENT_RUN_ID": "its run",
    "EGG_PHASE": "its phase",
    "EGG_ITERATION": "the iteration of the phase, from 1",
    "EGG_BRANCH": "the branch its clone is on",
    "EGG_REPO_PATH": "its clone, where it starts",
    "EGG_PROMPT_FILE": "its prompt, which is on its standard input as well",
    "EGG_CONCURRENT_MODE": "`true` where roles work at the same time, else `false`",
    "EGG_MESSAGE_POLL_INTERVAL": "how many seconds it may leave between two looks at its messages",
    "EGG_SIGNAL_FILE": "the file in which a reason to look at once is written",
    "EGG_MODEL_URL": "where it reaches its providers of models: each below it, by name",
    "EGG_HIDDEN": "names of the variables it was given as keys or secrets, whose values `egg` sends nowhere",
    "EGG_SOFT_DEADLINE": "when it is asked to come to an end, as ISO 8601; empty without a deadline",
}
"""What every agent finds in its environment: not settings, but egg's to say."""

BY_VARIABLE: Mapping[str, Setting] = {each.variable: each for each in SETTINGS if each.variable}
BY_KEY: Mapping[str, Setting] = {each.key: each for each in SETTINGS if each.key}


def said(environ: Mapping[str, str], variable: str) -> str:
    """What the environment says of a setting, else its default; empty for none."""
    return environ.get(variable) or BY_VARIABLE[variable].default


def number(environ: Mapping[str, str], variable: str) -> int:
    """The number a setting has; `Unprocessable`, by name, for what is none or out of bounds."""
    setting = BY_VARIABLE[variable]
    text = said(environ, variable)
    if fault := fault_of(setting, text):
        raise Unprocessable(f"{variable} {fault}")
    return int(text)


def fault_of(setting: Setting, text: str) -> str:
    """What is wrong with a value as the environment has it, to go on after the setting's name; else empty."""
    if setting.kind is Kind.PORT:
        wanted = f"must be a port, {setting.least} to {setting.most}"
        is_right = text.isdecimal() and setting.least <= int(text) <= (setting.most or LARGEST_PORT)
    elif setting.kind is Kind.WHOLE:
        of = f" of {setting.unit}" if setting.unit else ""
        bounds = f"{setting.least} to {setting.most}" if setting.most else f"{setting.least} or more"
        wanted = f"must be a whole number{of}, {bounds}"
        is_right = text.isdecimal() and len(text) <= LONGEST_NUMBER and int(text) >= setting.least
        is_right = is_right and (setting.most is None or int(text) <= setting.most)
    else:
        wanted, is_right = "must be one line of text", text.isprintable()
    return "" if is_right else f"{wanted}, not {_short(setting, text)}"


def _short(setting: Setting, text: str) -> str:
    return "what it is" if setting.is_secret else repr(text[:80])
