"""An agent that starts only when another role is done. Two of them make a stall."""

from __future__ import annotations

import agent


def main() -> None:
    known = agent.context()
    agent.answer_questions(known, "I am waiting, and for nothing a message could bring.")
    if agent.only_messages(known):
        return
    other = next(str(role["role"]) for role in known["roster"] if role["role"] != known["role"])
    if not agent.blocked(f"After you, {other}", on=other):
        agent.ready(f"{other} went first")


if __name__ == "__main__":
    main()
