"""The gateway of a stack: there when the stack is up, replaced when it dies, found by those who live on."""

import json
from pathlib import Path

import pytest

from tests.acceptance.conftest import Egg
from tests.provider_stub import Step, serving

pytestmark = pytest.mark.acceptance


def finding(egg: Egg) -> dict[str, object]:
    """What the doctor says of the gateway."""
    found = json.loads(egg.run("doctor", "--json", check=False).stdout)["findings"]
    return next(each for each in found if each["name"] == "gateway")


def test_a_gateway_that_dies_is_replaced_at_the_same_doors(egg: Egg) -> None:
    before = finding(egg)

    killed = egg.kill("egg_tasks.gateway.server")
    egg.wait(lambda: finding(egg)["ok"] is True, why="a new gateway")

    assert killed == 1
    assert finding(egg) == before
    assert str(Path("gateway", "gateway.sock")) in str(before["text"])


AGENT = """
import os, subprocess, urllib.request
try:
    urllib.request.urlopen("https://evil.invalid/", timeout=20)
except OSError as error:
    print("told:", error)
print("by:", os.environ["HTTPS_PROXY"])
subprocess.run(["egg", "signal", "readiness", "--state", "READY"], check=True)
"""


def test_an_agent_with_a_list_goes_out_by_the_gateway_which_notes_what_it_refuses(
    egg: Egg, shop: Path, tmp_path: Path
) -> None:
    program = tmp_path / "agent.py"
    program.write_text(AGENT)
    definition = tmp_path / "out.json"
    network = {"allow": ["python-packages"]}
    coder = {"backend": "command", "command": ["python3", str(program)], "isolation": {"network": network}}
    document = {
        "version": 1,
        "repo": str(shop),
        "prompt": "Go out.",
        "agents": {"coder": coder},
        "phases": [{"name": "implement", "roles": [{"role": "coder"}]}],
    }
    definition.write_text(json.dumps(document))

    egg.run("run", str(definition), "--name", "out")
    log = egg.run("agent", "logs", "out", "coder").stdout
    asked = egg.json("egress", "out")["egress"]

    assert "403 evil.invalid:443 is not allowed to this agent" in log
    assert "by: [" in log
    assert [(one["host"], one["passage"], one["number"]) for one in asked] == [("evil.invalid", "refused", 1)]


ASKING = """
import json, os, subprocess, urllib.request
for variable, path in (("ANTHROPIC", "/v1/messages"), ("OPENAI", "/responses")):
    url, key = os.environ[variable + "_BASE_URL"] + path, os.environ[variable + "_API_KEY"]
    assert url.startswith(os.environ["EGG_MODEL_URL"] + "/")
    body = json.dumps({"stream": True, "model": "stub-1"}).encode()
    headers = {"x-api-key": key} if variable == "ANTHROPIC" else {"Authorization": "Bearer " + key}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60) as answer:
        print("told:", b"All" in answer.read(), key)
subprocess.run(["egg", "signal", "readiness", "--state", "READY"], check=True)
"""


def test_an_agent_asks_models_without_seeing_a_key_and_a_person_sees_what_was_used(
    egg: Egg, shop: Path, tmp_path: Path
) -> None:
    program, definition = tmp_path / "agent.py", tmp_path / "models.json"
    program.write_text(ASKING)
    coder = {"backend": "command", "command": ["python3", str(program)], "providers": ["ant", "oai"]}
    document = {
        "version": 1,
        "repo": str(shop),
        "prompt": "Ask.",
        "agents": {"coder": coder},
        "phases": [{"name": "implement", "roles": [{"role": "coder"}]}],
    }
    definition.write_text(json.dumps(document))
    unknown = egg.run("validate", str(definition))
    with serving(anybody=[Step(input=1000, output=20)]) as stub:
        furnish(egg.home, stub.url)
        providers = json.loads(egg.run("doctor", "--json", check=False).stdout)["findings"]
        egg.run("run", str(definition), "--name", "models")
        keys = {each.headers.get("x-api-key") or each.headers.get("authorization") for each in stub.asked}
    log = egg.run("agent", "logs", "models", "coder").stdout
    used = egg.json("usage", "models")["usage"]
    lines = egg.run("usage", "models").stdout.splitlines()

    assert "agents.coder.providers: ant is not known here" in unknown.stdout + unknown.stderr
    assert [each["ok"] for each in providers if each["name"] == "provider"] == [True, True]
    assert keys == {KEY, f"Bearer {KEY}"}
    assert log.count("told: True") == 2
    assert KEY not in log
    assert [(one["provider"], one["requests"], one["input_tokens"]) for one in used] == [
        ("ant", 1, 1000),
        ("oai", 1, 1000),
    ]
    assert lines[0].split()[:4] == ["coder", "ant/stub-1", "1", "1000"]


KEY = "sk-of-the-machine"


def furnish(home: Path, url: str) -> None:
    """Say where models are, and with which key."""
    settings = home / "settings.toml"
    for name, kind in (("ant", "anthropic"), ("oai", "openai")):
        table = f'[providers.{name}]\nbase_url = "{url}"\nformat = "{kind}"\ncredential = "STUB_KEY"\n'
        settings.write_text((settings.read_text() if settings.exists() else "") + table)
    secrets = home / "secrets"
    secrets.mkdir(mode=0o700, exist_ok=True)
    (secrets / "STUB_KEY").write_text(f"{KEY}\n")
    (secrets / "STUB_KEY").chmod(0o600)
