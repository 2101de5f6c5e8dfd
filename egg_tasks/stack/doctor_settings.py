"""What the doctor says of settings: as the stack that runs has them, and where this shell's differ."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from egg_tasks import secret_files, settings_file
from egg_tasks.config import secrets_directory, webhook_of
from egg_tasks.settings_table import BY_VARIABLE, fault_of
from egg_tasks.stack import frozen, lifecycle
from egg_tasks.stack.finding import Finding
from models.errors import EggError

OTHERS, PASSING = 0o044, 0o011
WEBHOOK = "EGG_WEBHOOK_URL"


def examine(home: Path, environ: Mapping[str, str]) -> Sequence[Finding]:
    """Look at the settings; *environ* is this shell's, with what the file says."""
    running = lifecycle.find(home)
    taken = frozen.taken(running) if running else {}
    return (
        *_file(home),
        *_faults(environ),
        _webhook(taken, environ),
        _secrets(home, environ),
        *_providers(home, environ),
        *_taken(taken),
        *_differing(home, taken, environ),
    )


def _file(home: Path) -> Iterator[Finding]:
    """The file, where there is one: faults, and who can read the secrets in it."""
    path = home / settings_file.NAME
    try:
        said = settings_file.read(home)
    except EggError as error:
        text, _, mend = str(error).rpartition(": ")
        yield Finding("settings", ok=False, text=text, mend=mend)
        return
    if not said.values and not said.environment:
        return
    number = len(said.values) + len(said.environment)
    mend = f"it may hold secrets, and others can read it: chmod 600 {path}"
    is_open = path.stat().st_mode & OTHERS and home.stat().st_mode & PASSING
    yield Finding("settings", None if is_open else True, f"{number} in {path}", mend)


def _faults(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Values with which nothing would start."""
    for variable, setting in BY_VARIABLE.items():
        text = environ.get(variable, "")
        if text and (fault := fault_of(setting, text)):
            yield Finding("settings", ok=False, text=f"{variable} {fault}", mend="mend it, or unset it")


def _webhook(taken: Mapping[str, str], environ: Mapping[str, str]) -> Finding:
    """Where people hear of decisions: of the stack that runs, if one does; the secret is never shown."""
    if taken:
        host = frozen.told(WEBHOOK, taken)
        text = f"the running stack tells {host or 'it'}" if WEBHOOK in taken else "the running stack has none"
        return Finding("webhook", WEBHOOK in taken or None, text, f"{WEBHOOK}, to be told of decisions")
    try:
        webhook = webhook_of(environ)
    except EggError as error:
        text, _, mend = str(error).partition(": ")
        return Finding("webhook", ok=False, text=text, mend=mend or "docs/howto/answer-decisions.md says how")
    if webhook is None:
        return Finding("webhook", ok=None, text="not set", mend=f"{WEBHOOK}, to be told of decisions")
    return Finding("webhook", ok=True, text=f"tells {urlsplit(webhook.url).hostname}")


def _secrets(home: Path, environ: Mapping[str, str]) -> Finding:
    """Which secrets definitions can name: those of the machine, of which none is shown."""
    try:
        directory = secrets_directory(environ, home)
    except EggError as error:
        text, _, mend = str(error).partition(": ")
        return Finding("secrets", ok=False, text=text, mend=mend)
    found = secret_files.names(directory)
    for fault in secret_files.faults(directory):
        text, _, mend = fault.partition(": ")
        return Finding("secrets", ok=False, text=f"{text}, so that no agent is given it", mend=mend)
    mend = f"each is a file in {directory}: docs/howto/secrets.md"
    return Finding("secrets", True if found else None, f"{', '.join(found) or 'none'} in {directory}", mend)


def _providers(home: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Where agents can ask models, each with its key, if that is there."""
    try:
        providers = settings_file.read(home).providers.values()
        directory = secrets_directory(environ, home)
    except EggError:
        return
    for provider in providers:
        text = f"{provider.name} at {provider.base_url}"
        try:
            secret_files.value(directory, provider.credential)
        except EggError as error:
            lack, _, mend = str(error).partition("; ")[2].partition(": ")
            yield Finding("provider", ok=False, text=f"{text}: {lack or error}", mend=mend)
        else:
            yield Finding("provider", ok=True, text=f"{text}, with the key {provider.credential}")


def _taken(taken: Mapping[str, str]) -> Iterator[Finding]:
    """What else the stack that runs took from the shell it was started in, and the file."""
    if settings := frozen.shown(taken):
        yield Finding("started with", ok=True, text=", ".join(settings))


def _differing(home: Path, taken: Mapping[str, str], environ: Mapping[str, str]) -> Iterator[Finding]:
    """What a stack that is started in this shell would have otherwise."""
    try:
        now, in_file = frozen.of(home, environ), settings_file.variables(home)
    except EggError:
        return
    for name in frozen.differing(taken, now):
        where = "settings.toml" if in_file.get(name, "") == environ.get(name) else "this shell"
        was, here = frozen.spoken(name, taken), frozen.spoken(name, now)
        text = f"{name} is {here} in {where}, but {was} in the running stack"
        if was == here:
            text = f"{name} is another one in {where} than in the running stack"
        mend = "that keeps what it was started with; to have the other: `egg down && egg up`"
        yield Finding("differs", ok=None, text=text, mend=mend)
