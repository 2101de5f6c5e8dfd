"""Nothing that other people's scripts depend on goes or changes without a line in the changelog."""

import json
from pathlib import Path

import pytest

from tests import interface

CHANGELOG = (Path(__file__).parents[2] / "CHANGELOG.md").read_text(encoding="utf-8")
KINDS = {"command", "option", "argument", "route", "parameter", "body", "answer", "event", "setting"}
KINDS |= {"definition", "exit code", "file", "task"}
SAID = "## Unreleased\n\n### Changed (breaking)\n\n- {}\n\n### Added\n\n- `--gone`\n\n## 0.1\n\n- `--gone`\n"


@pytest.fixture(scope="module")
def now() -> interface.Lines:
    return interface.read()


def test_what_is_gone_or_changed_since_the_last_release_is_announced(now: interface.Lines) -> None:
    before = json.loads(interface.last_release().read_text(encoding="utf-8"))

    assert interface.unannounced(before, now, CHANGELOG) == []


def test_every_kind_of_promise_is_looked_at(now: interface.Lines) -> None:
    assert {line.partition(": ")[0].partition(".")[0] for line in now} == KINDS
    for line in (
        "command: egg pipeline list",
        "option: egg up: --keep-version",
        "route: POST /api/v1/pipelines/{pipeline_id}/signal",
        "parameter: GET /api/v1/pipelines/{pipeline_id}/messages: since_id",
        "body: POST /api/v1/pipelines/{pipeline_id}/signal: state",
        "answer: GET /api/v1/pipelines/{pipeline_id}/messages.data.messages: from_role",
        "event: pipeline.created",
        "definition.phases.gate: after_minutes",
        "definition.agents: command",
        "setting: EGG_HOME",
        "exit code: exit code 3",
        "file: stack.json: version",
        "file: settings.toml: agents.path",
        "task: decisions.notify",
    ):
        assert line in now
    assert now["setting: EGG_NODE_CAPACITY"] == "200"


@pytest.mark.parametrize("now", [{}, {"option: egg run: --gone": "2"}], ids=["gone", "changed"])
def test_what_is_gone_or_changed_must_be_named_as_breaking(now: interface.Lines) -> None:
    before = {"option: egg run: --gone": "1"}

    assert len(interface.unannounced(before, now, SAID.format("`--other` and --gone"))) == 1
    assert interface.unannounced(before, now, SAID.format("`egg run --gone` is `--other` now")) == []


def test_what_comes_needs_no_line() -> None:
    assert interface.unannounced({}, {"option: egg run: --new": "1"}, SAID) == []
