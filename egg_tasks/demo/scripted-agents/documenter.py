"""The documenter: shows how the function is used, with nothing in it that was not run.

It reviews the coder: after each new version it is started again, runs everything again, and adds what has
become true. It leaves objecting to the tester.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import agent
from spec import SPEC, Example, call, read_examples

USAGE = Path("docs/usage.md")
QUESTION = "What exactly is a subtotal?"

TEXT = """\
# Using shipping_cost
{meaning}
    >>> from shop.shipping import shipping_cost

{calls}
"""


def true_examples(examples: list[Example]) -> list[Example]:
    """Keep the examples on which the code in this clone and the spec agree."""
    costs = call(example.subtotal for example in examples) or []
    return [example for example, cost in zip(examples, costs) if example.cost == cost]


def write_usage(examples: list[Example], meaning: str | None) -> str:
    """Show each example as a call and its result."""
    calls = [f"    >>> shipping_cost({e.subtotal})  # {e.why}\n    {e.cost}" for e in examples]
    about = f"\nThe subtotal: {meaning}\n" if meaning else ""
    return TEXT.format(meaning=about, calls="\n\n".join(calls))


def is_true(path: Path) -> bool:
    """Whether every call shown in *path* gives what is shown below it."""
    command = [sys.executable, "-c", "import doctest, sys; sys.exit(doctest.testfile(sys.argv[1], False)[0])"]
    return subprocess.run([*command, str(path)], check=False).returncode == 0


def find_answer() -> str | None:
    """Look up what the coder answered; messages are kept, so it does not matter which run it woke."""
    answers = agent.poll("--since", "0", "--type", "RESPONSE")
    return next((answer["subject"] for answer in answers if answer["from_role"] == "coder"), None)


def main() -> None:
    known = agent.context()
    agent.answer_questions(known, f"I am a script: I write {USAGE} from what I have run.")
    if any(cause["kind"] == "first" for cause in known["causes"]):
        agent.send("QUESTION", QUESTION, to="coder")
    if agent.only_messages(known) and not agent.has_seen("coder"):
        return  # it is BLOCKED, and stays so
    if not agent.wait_for("coder"):
        return
    examples = read_examples(SPEC.read_text(encoding="utf-8"))
    shown = true_examples(examples)
    USAGE.write_text(write_usage(shown, find_answer()), encoding="utf-8")
    if not is_true(USAGE):
        raise SystemExit(f"{USAGE} shows something that is not so")
    missing = len(examples) - len(shown)
    if agent.commit(f"Show {len(shown)} examples of shipping_cost", USAGE) and missing:
        agent.send(
            "PROGRESS", f"{USAGE} leaves out {missing} of {len(examples)} examples: code and spec differ"
        )
    try:
        agent.ready(f"{USAGE} shows {len(shown)} examples, each of them run")
    except agent.Refused as refusal:
        if not agent.only_messages(known):
            raise
        print(refusal)  # all had agreed before the answer came, and no verdict is owed


if __name__ == "__main__":
    main()
