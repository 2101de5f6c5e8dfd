"""The tester: turns the spec's examples into tests, runs them on the coder's version, and objects."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import agent
from spec import SPEC, Example, read_examples

TESTS = Path("tests/test_shipping.py")

TEXT = '''\
"""Every example of docs/spec.md."""

import unittest

from shop.shipping import shipping_cost

EXAMPLES = [
{rows}
]


class ShippingCost(unittest.TestCase):
    def test_it_is_what_the_spec_says(self) -> None:
        for subtotal, cost in EXAMPLES:
            with self.subTest(subtotal=subtotal):
                returned = shipping_cost(subtotal)
                self.assertEqual(
                    returned,
                    cost,
                    f"shipping_cost({{subtotal}}) returned {{returned}}, docs/spec.md says {{cost}}",
                )
'''


def write_tests(examples: list[Example]) -> str:
    """Write one test for every example."""
    return TEXT.format(rows="\n".join(f"    ({e.subtotal}, {e.cost}),  # {e.why}" for e in examples))


def find_fault() -> str | None:
    """Run the tests on the code in this clone; what is wrong with it, or None."""
    module = ".".join(TESTS.with_suffix("").parts)
    done = subprocess.run(
        [sys.executable, "-m", "unittest", module], text=True, capture_output=True, check=False
    )
    print(done.stdout, done.stderr)
    if done.returncode == 0:
        return None
    cases = re.findall(r"^AssertionError: .* : (shipping_cost\(.+)$", done.stderr, flags=re.MULTILINE)
    return "; ".join(cases) or f"the tests do not run:\n{done.stderr[-1000:]}"


def main() -> None:
    known = agent.context()
    agent.answer_questions(known, f"I am a script: I test what {SPEC} gives examples of.")
    if agent.only_messages(known):
        return
    examples = read_examples(SPEC.read_text(encoding="utf-8"))
    TESTS.write_text(write_tests(examples), encoding="utf-8")
    if agent.commit("Test every example of the spec", TESTS):
        agent.send("PROGRESS", f"{len(examples)} tests are written, one for each example of {SPEC}")
    if not agent.wait_for("coder"):
        return
    if fault := find_fault():
        agent.objecting(fault, about="coder")
    else:
        agent.ready(f"all {len(examples)} tests pass on the coder's version")


if __name__ == "__main__":
    main()
