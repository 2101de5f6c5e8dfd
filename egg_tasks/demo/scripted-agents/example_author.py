"""The author of `egg init`: writes down what the repository holds. No model, no key; it changes one file.

It counts what git knows *before* its own file is committed, as one does; the reviewer will tell it.
"""

from __future__ import annotations

import agent
from example_notes import NOTES, TITLE, counted, describe, number, tracked


def main() -> None:
    known = agent.context()
    agent.answer_questions(known, f"I am a script: I write {NOTES} and can do nothing else.")
    if agent.only_messages(known):
        return
    if NOTES.exists() and counted(NOTES.read_text(encoding="utf-8", errors="replace")) is None:
        raise SystemExit(f"{NOTES} is there and not mine (it does not begin with {TITLE.strip()!r})")
    files = tracked()
    NOTES.write_text(describe(known["task"], files), encoding="utf-8")
    is_new = agent.commit(f"Describe the {number(len(files))} of this repository", NOTES)
    answers = {
        objection["number"]: f"I counted again: {len(files)}"
        for objection in known["objections"]
        if objection["about_role"] == known["role"] and not is_new
    }
    if any(cause["kind"] == "check" for cause in known["causes"]):
        print(known["check_log"])
        agent.ready("the check is red, and I am a script that mends no code: see what it printed", answers)
        return
    agent.ready(f"{NOTES} describes {number(len(files))}", answers)


if __name__ == "__main__":
    main()
