"""The table of settings: what is read is in it, and what is in it is read."""

import re
from pathlib import Path

import pytest

from egg_tasks.settings_table import BY_KEY, BY_VARIABLE, OF_AGENTS, SETTINGS, TABLES, fault_of, number
from models.errors import Unprocessable

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"\bEGG_[A-Z][A-Z_]*[A-Z]\b")
OF_NO_PERSON = {"EGG_FETCH_USER", "EGG_FETCH_PASSWORD"}
"""What our own git is given by us."""


def sources() -> dict[str, str]:
    """Every module of ours but the table, by its path."""
    paths = [
        path
        for package in ("cli", "egg_tasks", "models", "migrations")
        for path in (ROOT / package).rglob("*.py")
    ]
    return {
        str(path.relative_to(ROOT)): path.read_text() for path in paths if path.name != "settings_table.py"
    }


def test_every_variable_of_ours_is_in_the_table_or_an_agents() -> None:
    named = {name for text in sources().values() for name in NAMED.findall(text)}

    assert named - set(BY_VARIABLE) - set(OF_AGENTS) - OF_NO_PERSON == set()


def test_every_setting_is_read_somewhere() -> None:
    text = "\n".join(sources().values())
    constants = {
        "EGG_DATABASE_URL": "DATABASE_URL",
        "EGG_REDIS_URL": "REDIS_URL",
        "EGG_BROKER_URL": "BROKER_URL",
    }
    read = {each.name: f'"{each.variable or each.key}"' for each in SETTINGS}
    read |= {BY_VARIABLE[name].name: constant for name, constant in constants.items()}
    read["fetch.environment"] = "said.environment"
    read["providers.NAME"] = "model_providers.TABLE"

    assert [name for name, word in read.items() if word not in text] == []


def test_a_setting_is_said_in_one_place_of_each_kind() -> None:
    keys, variables = (
        [each.key for each in SETTINGS if each.key],
        [each.variable for each in SETTINGS if each.variable],
    )

    assert (len(BY_KEY), len(BY_VARIABLE)) == (len(keys), len(variables))
    assert {key.partition(".")[0] for key in keys} == set(TABLES)


def test_every_setting_says_what_it_does_and_what_holds_without_it() -> None:
    silent = {"EGG_API_HOSTS", "EGG_WEBHOOK_URL", "EGG_WEBHOOK_SECRET", "EGG_DEBUG"}

    assert [each.name for each in SETTINGS if not each.help or each.help.endswith(".")] == []
    assert {
        each.variable for each in SETTINGS if each.variable and not each.default and not each.otherwise
    } == silent


def test_a_default_is_a_value_that_is_taken() -> None:
    assert [each.name for each in SETTINGS if each.default and fault_of(each, each.default)] == []


@pytest.mark.parametrize("text", ["", "0", "x", "-1", "1.5", "1" * 5000])
def test_an_empty_number_is_the_default_and_a_wrong_one_is_refused_by_name(text: str) -> None:
    if not text:
        assert number({"EGG_NODE_CAPACITY": text}, "EGG_NODE_CAPACITY") == 200
        return

    with pytest.raises(Unprocessable, match="EGG_NODE_CAPACITY must be a whole number of agents, 1 or more"):
        number({"EGG_NODE_CAPACITY": text}, "EGG_NODE_CAPACITY")
