"""Variables by which an agent's program finds its providers of models: by the gateway, its token the key."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from egg_tasks import settings_file
from egg_tasks.config import Settings
from egg_tasks.model_providers import WireFormat
from models.errors import NotSet
from models.schemas.definition import Agent
from models.schemas.layout import Layout

URL = "EGG_MODEL_URL"
VARIABLES: Mapping[WireFormat, tuple[str, str]] = {
    WireFormat.ANTHROPIC: ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"),
    WireFormat.OPENAI: ("OPENAI_BASE_URL", "OPENAI_API_KEY"),
}
"""Where programs that speak a format look for the URL and the key."""


@dataclass(frozen=True)
class ModelAccess:
    """What an agent is given for it."""

    plain: Mapping[str, str] = field(default_factory=dict)
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)


def of_agent(agent: Agent, *, layout: Layout, settings: Settings, token: str) -> ModelAccess:
    """Lead an agent to its providers; `NotSet`, with the way out, where this machine does not know one.

    Of several that speak the same, programs find the first by themselves.
    """
    if not agent.providers:
        return ModelAccess()
    known = settings_file.read(settings.home).providers
    door = f"{gateway_url(layout, settings)}/model"
    plain, secret = {URL: door}, {}
    for name in reversed(agent.providers):
        if name not in known:
            raise NotSet(
                f"the provider {name} is not known where the agent is launched; "
                f"add [providers.{name}] to {settings.home / settings_file.NAME}"
            )
        if names := VARIABLES.get(known[name].format):
            plain[names[0]], secret[names[1]] = f"{door}/{name}", token
    return ModelAccess(plain, secret)


def gateway_url(layout: Layout, settings: Settings) -> str:
    """Where a run finds the gateway: where the API is reached by it, so is all else."""
    return layout.inside.api_url or f"http://127.0.0.1:{settings.gateway_port}"
