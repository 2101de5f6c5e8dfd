"""The coder: writes the function from docs/spec.md, and mends it when somebody shows where it is wrong.

Its first version has the oldest bug there is, `>` where `>=` is meant, and its author did not notice,
because it only tried the first and the last example. That is what the other two are for.
"""

from __future__ import annotations

import re

import agent
from spec import CODE, SPEC, Example, Rule, call, read_examples

MEANING = "Whole cents, never negative: the sum of the prices, before shipping."

TEXT = '''\
"""What sending an order costs."""

FEE = {fee}
FREE_FROM = {free_from}


def shipping_cost(subtotal: int) -> int:
    """Return the cost of sending an order worth *subtotal*; all amounts are whole cents."""
    return 0 if subtotal > FREE_FROM else FEE
'''


def write_code(rule: Rule) -> str:
    """Write the first version."""
    return TEXT.format(fee=rule.fee, free_from=rule.free_from)


def follows(rule: Rule) -> bool:
    """Whether the function on disk was written for this rule; the repository may have one for another."""
    return CODE.exists() and f"FEE = {rule.fee}\nFREE_FROM = {rule.free_from}\n" in CODE.read_text(
        encoding="utf-8"
    )


def works(examples: list[Example]) -> bool:
    """Whether the function on disk gives what these examples say."""
    return call(example.subtotal for example in examples) == [example.cost for example in examples]


def read_cases(reason: str) -> list[Example]:
    """Find the failing calls an objection names, with what each should have given."""
    cases = re.findall(r"shipping_cost\((\d+)\) returned \S+, docs/spec.md says (\d+)", reason)
    return [Example(int(subtotal), int(cost), reason) for subtotal, cost in cases]


def mend(source: str, rule: Rule, case: Example) -> str:
    """Correct the comparison that decides *case*."""
    if case.subtotal != rule.free_from or case.cost != 0:
        raise SystemExit(f"I do not know how to mend shipping_cost({case.subtotal})")
    return source.replace("subtotal > FREE_FROM", "subtotal >= FREE_FROM")


def answer_objections(objections: list[agent.Objection], rule: Rule) -> dict[int, str]:
    """Mend what can be reproduced; for each objection say in words what was done."""
    answers = {}
    for objection in objections:
        failing = [case for case in read_cases(objection["reason"]) if not works([case])]
        for case in failing:
            CODE.write_text(mend(CODE.read_text(encoding="utf-8"), rule, case), encoding="utf-8")
        mended = ", ".join(f"shipping_cost({case.subtotal}) gives {case.cost} now" for case in failing)
        answers[objection["number"]] = mended or "I cannot reproduce this on the version I have"
    return answers


def work(known: agent.Context) -> bool:
    """Bring the code to where spec and objections want it, and say READY; whether it is new."""
    text = SPEC.read_text(encoding="utf-8")
    rule, examples = Rule.read(text), read_examples(text)
    is_new = not (follows(rule) and works([examples[0], examples[-1]]))
    if is_new:
        CODE.write_text(write_code(rule), encoding="utf-8")
    mine = [objection for objection in known["objections"] if objection["about_role"] == known["role"]]
    answers = answer_objections(mine, rule)
    for number, words in answers.items():
        agent.send("PROGRESS", f"Objection {number}: {words}")
    changed = agent.commit("; ".join(answers.values()) or "Add shipping_cost", CODE)
    # Only now, so that a question that came while it worked needs no run of its own.
    agent.answer_questions(known, MEANING)
    # A new version answers by itself; words are for objections that led to none.
    agent.ready("; ".join(answers.values()) or "shipping_cost is written", {} if changed else answers)
    return is_new


def main() -> None:
    known = agent.context()
    if agent.only_messages(known):
        agent.answer_questions(known, MEANING)
    elif work(known):
        agent.send("HANDOFF", f"{CODE} is ready to be tested", to="tester")


if __name__ == "__main__":
    main()
