"""What a definition says of its agents' environment: a value, or whence that is taken at launch."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, Strict, ValidationInfo
from pydantic_core import PydanticCustomError

from models.schemas.shape import Shape
from models.schemas.text import Text, check_storable, is_stored, refused
from models.setting_names import VARIABLE

OURS = re.compile(r"(EGG|CELERY|FLOWER)_.*|PG(PASSWORD|PASSFILE|SERVICEFILE)")
"""What holds secrets of the orchestrator's own where its processes run."""
PLACEHOLDER = re.compile(
    r"\$\{\{?\s*(?:(?:env|secrets)\.)?([A-Za-z_][A-Za-z0-9_]*)|^\$([A-Za-z_][A-Za-z0-9_]*)$"
)
"""What other programs replace by a variable's value, and nobody does here."""
KEYS = re.compile(
    r"sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}"
    r"|(AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{30,}|(hf|npm)_[A-Za-z0-9]{20,}|pypi-[\w-]{20,}"
    r"|eyJ[\w-]+\.[\w-]+\.[\w-]*|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*"
)
SECRETIVE = re.compile(r"(?i)(^|_)(api_?)?(key|token|secret|passwd|password|passphrase|credentials?|auth)$")
RANDOM = re.compile(r"[A-Za-z0-9+/=_.~-]{16,}")


def _check_source(name: str) -> str:
    if not re.fullmatch(VARIABLE, name):
        raise refused(f"must be the name of an environment variable, not {name[:80]!a}")
    if OURS.fullmatch(name):
        raise refused(
            f"must not be {name[:80]}: EGG_*, CELERY_*, FLOWER_* and PGPASSWORD are the orchestrator's own, "
            "and no agent gets them"
        )
    return name


def _check_secret(name: str) -> str:
    if not re.fullmatch(VARIABLE, name) or OURS.fullmatch(name):
        raise refused(
            f"must be the name of a secret, of letters, digits and `_`, and no variable of egg's own, "
            f"not {name[:80]!a}"
        )
    return name


Source = Annotated[Text, AfterValidator(_check_source)]
SecretName = Annotated[Text, AfterValidator(_check_secret)]


class Taken(Shape):
    """A variable whose value is taken where the agent is launched, and stored nowhere."""

    model_config = ConfigDict(serialize_by_alias=True)

    variable: Source = Field(alias="from")
    """Its name in the worker's environment; in a local stack, in the shell in which `egg up` is typed."""


class Secret(Shape):
    """A variable whose value is a secret of the machine where the agent is launched, and stored nowhere."""

    secret: SecretName
    """The name of its file in the directory of secrets (EGG_SECRETS_DIR) of that machine."""


def _checked(value: object, info: ValidationInfo) -> object:
    """Refuse, in a sentence each, what is no text, {from: NAME} or {secret: NAME}, or is meant to be one."""
    if isinstance(value, Taken | Secret):
        return value
    if isinstance(value, Mapping):
        return _named(value)
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "must be text")
    found = PLACEHOLDER.search(value)
    if found and not is_stored(info):
        raise refused(_unexpanded(value, found))
    return check_storable(value)


def _named(value: Mapping[object, object]) -> Taken | Secret:
    match dict(value):
        case {"from": str(name), **others} if not others:
            return Taken.model_validate({"from": _check_source(check_storable(name))})
        case {"secret": str(name), **others} if not others:
            return Secret(secret=_check_secret(check_storable(name)))
    raise refused(
        "must be text, or {from: NAME}, which takes it from the worker's environment at launch, or "
        "{secret: NAME}, which is a file of that machine"
    )


def _unexpanded(value: str, found: re.Match[str]) -> str:
    name = found[1] or found[2]
    shown = f"${{{name}}}" if found[1] else f"${name}"
    if found.end() < len(value.rstrip("} ")) or found.start() > 0:
        return (
            f"holds {shown}, which nobody replaces: put the text together in a program that the agent starts"
        )
    return (
        f"is {shown}, which nobody replaces: write {{from: {name}}}, which takes it from the shell of "
        "`egg up` when the agent is launched"
    )


Value = Annotated[Annotated[str, Strict()] | Taken | Secret, BeforeValidator(_checked)]
"""A value that is stored with the pipeline, or one that is looked up at launch."""


def looks_like_a_key(name: str, value: str) -> bool:
    """Whether a value that would be stored is one that should not be."""
    if KEYS.fullmatch(value.strip()):
        return True
    is_random = RANDOM.fullmatch(value) and re.search(r"[0-9]", value) and re.search(r"[A-Za-z]", value)
    return bool(SECRETIVE.search(name) and is_random and not value.startswith(("/", "./", "~")))
