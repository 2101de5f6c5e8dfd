"""Providers of models in settings.toml: what is taken, and what is refused with its line."""

from datetime import timedelta
from pathlib import Path

import pytest

from egg_tasks import settings_file
from egg_tasks.attending import model_access
from egg_tasks.config import Settings
from egg_tasks.model_providers import Provider, WireFormat
from egg_tasks.run_places import layout
from egg_tasks.services.agents.model_requests import length, reason_of
from models.errors import NotSet, Unprocessable
from models.schemas.definition import CommandAgent
from models.tables.model_request import HoldReason

SOUND = {"base_url": '"https://api.example.com/v1/"', "format": '"openai"', "credential": '"KEY"'}
URLS = (
    "api.example.com",
    "ftp://api.example.com",
    "https://",
    "https://user:password@api.example.com",
    "https://api.example.com/?key=1",
    "https://api.example.com/#x",
    "https://api.example.com:port",
    "https://[::1",
    "https://api.example.com/a b",
    "https://api.exämple.com",
)


def written(home: Path, name: str = "one", **changes: str) -> Path:
    """A file with one provider; an empty change leaves that out."""
    entry = {key: value for key, value in {**SOUND, **changes}.items() if value}
    lines = [f"[providers.{name}]", *(f"{key} = {value}" for key, value in entry.items())]
    (home / settings_file.NAME).write_text("\n".join(lines))
    return home


def test_a_provider_is_read(tmp_path: Path) -> None:
    found = settings_file.read(written(tmp_path)).providers

    assert found == {"one": Provider("one", "https://api.example.com/v1", WireFormat.OPENAI, "KEY")}


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:8000/v1"])
def test_this_machine_is_asked_in_the_open(tmp_path: Path, url: str) -> None:
    assert settings_file.read(written(tmp_path, base_url=f'"{url}"')).providers["one"].base_url == url


def test_another_machine_is_asked_in_the_open_only_where_that_is_said(tmp_path: Path) -> None:
    url = '"http://10.0.0.5:8000"'

    assert settings_file.read(written(tmp_path, base_url=url, plain_http="true")).providers
    with pytest.raises(
        Unprocessable, match=r"line 2: providers\.one\.base_url: must be https, or the key would"
    ):
        settings_file.read(written(tmp_path, base_url=url))


@pytest.mark.parametrize("url", URLS)
def test_what_is_no_place_of_a_provider_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(Unprocessable, match=r"line 2: providers\.one\.base_url: must look like https://host"):
        settings_file.read(written(tmp_path, base_url=f'"{url}"'))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": '"claude"'}, r"providers\.one\.format: must be one of anthropic, openai, other"),
        ({"format": "5"}, r"providers\.one\.format: must be text in quotes"),
        ({"credential": ""}, r"providers\.one\.credential: is wanting"),
        ({"credential": '"../KEY"'}, r"providers\.one\.credential: must be the name of a secret"),
        ({"plain_http": '"yes"'}, r"providers\.one\.plain_http: must be true or false"),
        ({"paths": '"/v1/x"'}, r"providers\.one\.paths: must be a list of paths below base_url"),
        ({"paths": '["/v1/../x"]'}, r"providers\.one\.paths: must be a list of paths below base_url"),
        ({"key": '"sk-1"'}, r"providers\.one\.key: there is no such setting: a provider has base_url"),
        ({"name": '"x y"'}, r"a provider's name is of letters, digits"),
    ],
)
def test_a_faulty_provider_is_refused_with_what_it_should_be(
    tmp_path: Path, change: dict[str, str], says: str
) -> None:
    with pytest.raises(Unprocessable, match=says):
        settings_file.read(written(tmp_path, **change))


def given(home: Path, *providers: str) -> model_access.ModelAccess:
    """What an agent with these providers is given."""
    urls = {"EGG_DATABASE_URL": "postgresql://h/d", "EGG_REDIS_URL": "redis://h:1/0", "EGG_HOME": str(home)}
    settings = Settings.from_environment({**urls, "EGG_GATEWAY_PORT": "8780"})
    agent = CommandAgent(backend="command", command=("true",), providers=providers)
    where = layout(home / "runs" / "x", directory=None, tools=home)
    return model_access.of_agent(agent, layout=where, settings=settings, token="the-runs")


def test_an_agent_finds_its_providers_where_its_programs_look_with_its_token_as_the_key(
    tmp_path: Path,
) -> None:
    found = given(written(tmp_path), "one")

    assert found.plain == {
        "EGG_MODEL_URL": "http://127.0.0.1:8780/model",
        "OPENAI_BASE_URL": "http://127.0.0.1:8780/model/one",
    }
    assert found.secret == {"OPENAI_API_KEY": "the-runs"}
    assert "the-runs" not in repr(found)


def test_an_agent_without_providers_is_given_nothing(tmp_path: Path) -> None:
    assert given(written(tmp_path)) == model_access.ModelAccess()


def test_a_provider_that_is_not_known_where_the_agent_starts_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(NotSet, match=r"the provider two is not known .* add \[providers\.two\] to "):
        given(written(tmp_path), "one", "two")


@pytest.mark.parametrize(
    ("status", "seconds", "reason"),
    [
        (401, None, HoldReason.AUTH),
        (429, None, HoldReason.CAPACITY),
        (429, 60, HoldReason.CAPACITY),
        (429, 61, HoldReason.QUOTA),
        (529, 600, HoldReason.CAPACITY),
        (200, None, None),
        (400, None, None),
        (403, None, None),
        (500, 60, None),
    ],
)
def test_what_is_said_of_a_key_is_told_from_what_is_said_of_a_request(
    status: int, seconds: int | None, reason: HoldReason | None
) -> None:
    assert reason_of(status, None if seconds is None else timedelta(seconds=seconds)) is reason


@pytest.mark.parametrize("reason", HoldReason)
@pytest.mark.parametrize("asked", [None, 0.0, 5.0, 10.0**8])
def test_every_hold_has_a_floor_and_an_end(reason: HoldReason, asked: float | None) -> None:
    said = None if asked is None else timedelta(seconds=asked)

    lengths = [length(reason, strikes, said) for strikes in (1, 2, 3, 1000)]

    assert lengths == sorted(lengths)
    assert timedelta(seconds=1) <= lengths[0] <= lengths[-1] <= timedelta(days=1)
