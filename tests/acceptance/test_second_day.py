"""A second day with the command line alone: an agent of one's own that fails, is mended and run again."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import Egg

pytestmark = pytest.mark.acceptance

GIT = (shutil.which("git") or "git", "-c", "user.name=t", "-c", "user.email=t@localhost")
AGENT = """#!/bin/sh
set -e
echo "reading the price list"
read -r price < prices.txt
echo "it is $price" > offer.txt
git add offer.txt && git commit --quiet --message "Make an offer"
egg signal readiness --state READY --reason "the offer is written"
"""
MAKEFILE = "test:\n\ttest ! -e offer.txt || grep -q 42 offer.txt\n"
SCRIPTED = "command: [egg, example-agent, author]"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A person's repository: a test command, and a program that is to be an agent."""
    shop = tmp_path / "my shop"
    git(tmp_path, "init", "-q", "-b", "main", str(shop))
    (shop / "Makefile").write_text(MAKEFILE)
    (shop / "agent.sh").write_text(AGENT)
    (shop / "agent.sh").chmod(0o755)
    commit(shop, "Begin")
    return shop


def git(where: Path, *words: str) -> str:
    """Type a git command; what it printed."""
    done = subprocess.run([*GIT, *words], cwd=where, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def commit(shop: Path, message: str) -> None:
    """Commit all there is."""
    git(shop, "add", "--all")
    git(shop, "commit", "-q", "-m", message)


def kept(egg: Egg) -> set[Path]:
    """What stands in the stack's home for its pipelines and their runs, but for places that come once."""
    tops = [egg.home / name for name in ("repos", "runs", "shims", "roles", "tmp")]
    places = [*tops, *(top / name for top in tops for name in ("incoming", ".going"))]
    return {path for place in places if place.exists() for path in place.iterdir()} - set(places)


def test_an_agent_that_fails_is_understood_mended_run_again_merged_and_deleted(egg: Egg, shop: Path) -> None:
    before, branches = kept(egg), git(shop, "branch", "--list")

    assert "check `make test`" in egg.run("init", cwd=shop).stderr
    definition = shop / "egg.yaml"
    one = definition.read_text().replace(SCRIPTED, "command: [./agent.sh]")
    definition.write_text(one.replace("version: 1", "version: 1\nname: offer"))
    commit(shop, "Plan the work")

    # It fails, and whoever is asked is told why, and what shows the rest.
    asked = egg.run("run", "--wait", cwd=shop, check=False)
    assert asked.returncode == 3
    assert "cannot open prices.txt" in asked.stdout + asked.stderr
    inbox = egg.run("decision", "list").stdout
    assert "author failed (run 1): exit code" in inbox
    why = egg.run("why", "offer").stdout
    shows_rest = re.search(r"egg agent logs offer \w+", why)
    assert shows_rest
    assert "reading the price list" in egg.type(shows_rest[0])
    assert "egg pipeline rerun offer" in why
    number = egg.json("decision", "list", "offer", "--status", "pending")["decisions"][0]["id"]
    egg.run("decision", "resolve", str(number), "abort")

    # Mended where it was wrong, it is run again from there, under the next name.
    (shop / "prices.txt").write_text("42\n")
    commit(shop, "List the prices")
    again = egg.run("pipeline", "rerun", "offer", cwd=shop)
    assert "offer-2: complete" in again.stdout
    assert egg.json("pipeline", "get", "offer-2")["rerun_of"] == "offer"

    # The result becomes the person's own.
    git(shop, "merge", "-q", "egg/offer-2")
    assert (shop / "offer.txt").read_text() == "it is 42\n"

    # And what is no longer needed goes, all of it.
    refused = egg.run("pipeline", "delete", "offer-2", check=False)
    assert (refused.returncode, "--yes" in refused.stderr) == (1, True)
    for name in ("offer", "offer-2"):
        egg.run("pipeline", "delete", name, "--yes")
    egg.wait(lambda: kept(egg) <= before, why="the disk as it was before")
    names = {each["id"] for each in egg.json("pipeline", "list")["pipelines"]}
    assert names.isdisjoint({"offer", "offer-2"})
    assert git(shop, "status", "--porcelain") == ""
    assert "egg/offer-2" in git(shop, "branch", "--list"), "what is the person's stays"
    assert branches == "* main\n"
