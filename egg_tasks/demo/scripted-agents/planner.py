"""The planner: turns the prompt into docs/spec.md, with an example for every case that could be mistaken."""

from __future__ import annotations

import agent
from spec import SPEC, Example, Rule

TEXT = """\
# shipping_cost(subtotal)

In `shop/shipping.py`. All amounts are whole cents.

Sending an order costs {fee}. Orders of {free_from} or more are sent free.

## Examples

| subtotal | shipping_cost | why |
|---|---|---|
{rows}
"""


def examples(rule: Rule) -> list[Example]:
    """Choose the cases the rule is to be judged by: both ends, and all around the boundary."""
    return [
        Example(1, rule.fee, "the smallest order"),
        Example(rule.free_from - 1, rule.fee, "just too small"),
        Example(rule.free_from, 0, "`or more` includes it"),
        Example(rule.free_from + 1, 0, "just above"),
        Example(rule.free_from * 10, 0, "a large order"),
    ]


def write_spec(rule: Rule) -> str:
    """Write the spec of *rule*."""
    rows = [f"| {example.subtotal} | {example.cost} | {example.why} |" for example in examples(rule)]
    return TEXT.format(fee=rule.fee, free_from=rule.free_from, rows="\n".join(rows))


def main() -> None:
    known = agent.context()
    agent.answer_questions(known, "I am a script: I write docs/spec.md from the prompt, and nothing else.")
    if agent.only_messages(known):
        return
    rule = Rule.read(known["task"])
    SPEC.parent.mkdir(exist_ok=True)
    SPEC.write_text(write_spec(rule), encoding="utf-8")
    agent.commit("Specify shipping_cost", SPEC)
    agent.send("PROGRESS", f"{SPEC} is written, with {len(examples(rule))} examples")
    agent.ready("the spec says what shipping costs, and gives examples around the boundary")


if __name__ == "__main__":
    main()
