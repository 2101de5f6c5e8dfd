"""The reviewer of `egg init`: counts again what the author has counted, and objects if that is wrong.

It is started anew after each version of whom it reviews, and changes nothing.
"""

from __future__ import annotations

import agent
from example_notes import NOTES, counted, number, tracked


def main() -> None:
    known = agent.context()
    agent.answer_questions(known, f"I am a script: I count whether {NOTES} is right and can do nothing else.")
    if agent.only_messages(known):
        return
    said = counted(NOTES.read_text(encoding="utf-8", errors="replace")) if NOTES.exists() else None
    if said is None:
        agent.ready(f"there is no {NOTES} of the example author's, so I have nothing to count")
        return
    count = len(tracked())
    if said == count:
        agent.ready(f"I counted {number(count)}, too")
        return
    agent.objecting(f"{NOTES} says {number(said)}, and with itself there are {count}", about=reviewed(known))


def reviewed(known: agent.Context) -> str:
    """Whom this role reviews, by the roster."""
    own = next(entry for entry in known["roster"] if entry["role"] == known["role"])
    reviews = own["reviews"]
    if not isinstance(reviews, list) or not reviews:
        raise SystemExit("nobody to object to: give this role `reviews: [author]`")
    return str(reviews[0])


if __name__ == "__main__":
    main()
