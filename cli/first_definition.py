"""The definition that `egg init` writes: it runs as it is, and its comments say what to change."""

import json
import re
from collections.abc import Iterator, Sequence

from cli.check_command import FoundCheck
from cli.own_repository import Own
from models.foreign import one_line

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")
WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})

TEXT = """\
# What `egg run` does in this repository. Written by `egg init`, and yours to change.
#
#   egg run         do it and watch; Ctrl-C only ends the watching
#   egg validate    every fault of this file, with its line
#   egg schema      all that may stand here
#
# It runs as it is: the two agents are scripts that come with egg and need no key and no model. One writes
# EGG-NOTES.md, the other counts after it, and they must agree. The result is a branch egg/NAME; your own
# branches and files are not touched.

version: 1

# The repository: a path, seen from this file, or a git URL.
repo: {repo}

{base}

# What is to be done, in words for the agents.
prompt: |
  Write down what this repository holds.

# Agents are processes of your user and may do what you may. With a container engine (`egg doctor` looks for
# one) each has a container of its own, which holds its clone and what the image has, and reaches egg alone:
# isolation: docker

agents:
  # An agent is any program. It is started in a clone of its own, finds this prompt on its standard input and
  # in the file $EGG_PROMPT_FILE, commits what it does, and says when it agrees:
  #   egg signal readiness --state READY --reason "what I did"
  # To have a program of yours do the work, put its command here:
  #   command: [./tools/my-agent.sh]         committed in this repository, and executable
  #   command: [/home/you/bin/my-agent.sh]   or anywhere on this machine
  # A key it needs is taken from the shell in which `egg up` is typed, and never stored:
  #   environment: {{API_KEY: {{from: API_KEY}}}}
  author:
    backend: command
    command: [egg, example-agent, author]
  reviewer:
    backend: command
    command: [egg, example-agent, reviewer]

phases:
  - name: implement
    # mode: concurrent    # all start at once; without it a role starts when those it needs are done
    roles:
      - {{role: author}}
      # Looks at every new version of the author's, and may object; the phase ends when all are READY.
      - {{role: reviewer, needs: [author], reviews: [author]}}
{check}
    # A person has the last word (`egg decision list` shows what you are asked):
    # gate: {{question: Is this good?, options: [approve, request changes]}}
"""


def text(own: Own, *, repo: str, checks: Sequence[FoundCheck]) -> str:
    """The whole file. *repo* is the repository's top as the file is to name it."""
    return TEXT.format(repo=scalar(repo), base="\n".join(_base(own)), check="\n".join(_check(checks)))


def chosen(checks: Sequence[FoundCheck]) -> FoundCheck | None:
    """The check that stands in the file; None where none could be run."""
    return next((each for each in checks if not each.lacks), None)


def scalar(value: str) -> str:
    """*value* as YAML reads it back: plain where that is sure, else in double quotes."""
    is_plain = PLAIN.fullmatch(value) and value.lower() not in WORDS
    return value if is_plain or value in {".", ".."} else json.dumps(value)


def _base(own: Own) -> Iterator[str]:
    yield "# What the agents start from: they see what is committed there, and nothing else of yours."
    if own.usual:
        yield f"# (The usual branch of this repository is {one_line(own.usual)}.)"
    if own.base is None:
        yield "# No branch is checked out, so it is the commit that is (HEAD), whenever you run this."
        yield "# base: main"
    else:
        yield f"base: {scalar(own.base)}"


def _check(checks: Sequence[FoundCheck]) -> Iterator[str]:
    yield "    # Must succeed on what is merged before the phase may end. It runs in a fresh checkout,"
    yield "    # without what git ignores (node_modules, .venv). When it fails, its owner is to mend it."
    found = chosen(checks)
    if not checks:
        yield "    # No test command was found here; put in what tells good work from bad:"
        yield "    # check: {run: make test, owner: author}"
    for each in checks:
        mark = "" if each is found else "# "
        why = f"{each.why}; {each.lacks}" if each.lacks else each.why
        yield f"    {mark}check: {{run: {json.dumps(each.run)}, owner: author}} # {one_line(why)}"
