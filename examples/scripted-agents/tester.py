"""The tester: turns the spec's examples into pytest tests, runs them on the coder's version, and objects."""

import re
import subprocess
import sys
from pathlib import Path

import agent
from spec import CODE, SPEC, Example, read_examples

TESTS = Path("tests/test_shipping.py")

TEXT = '''\
"""Every example of docs/spec.md."""

import pytest

from shop.shipping import shipping_cost

EXAMPLES = [
{rows}
]


@pytest.mark.parametrize(("subtotal", "cost"), EXAMPLES)
def test_shipping_costs_what_the_spec_says(subtotal: int, cost: int) -> None:
    returned = shipping_cost(subtotal)

    assert returned == cost, f"shipping_cost({{subtotal}}) returned {{returned}}, docs/spec.md says {{cost}}"
'''


def write_tests(examples: list[Example]) -> str:
    """Write one test for every example."""
    return TEXT.format(rows="\n".join(f"    ({e.subtotal}, {e.cost}),  # {e.why}" for e in examples))


def find_fault() -> str | None:
    """Run the tests on the code in this clone; what is wrong with it, or None."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", str(TESTS)]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    print(done.stdout, done.stderr)
    if done.returncode == 0:
        return None
    cases = re.findall(r"^E\s+AssertionError: (shipping_cost\(.+)$", done.stdout, flags=re.MULTILINE)
    return "; ".join(cases) or f"the tests do not run:\n{done.stdout[-1000:]}"


def main() -> None:
    known = agent.context()
    agent.answer_questions(known, f"I am a script: I test what {SPEC} gives examples of.")
    if agent.only_messages(known):
        return
    examples = read_examples(SPEC.read_text(encoding="utf-8"))
    TESTS.write_text(write_tests(examples), encoding="utf-8")
    if agent.commit("Test every example of the spec", TESTS):
        agent.send("PROGRESS", f"{len(examples)} tests are written, one for each example of {SPEC}")
    if not agent.wait_for(CODE, by="coder"):
        return
    if fault := find_fault():
        agent.objecting(fault, about="coder")
    else:
        agent.ready(f"all {len(examples)} tests pass on the coder's version")


if __name__ == "__main__":
    main()
