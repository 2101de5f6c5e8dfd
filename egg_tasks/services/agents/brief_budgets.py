"""What of a brief a prompt has room for; the rest is named, with the way to it. Pure."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from models import budgets
from models.budgets import cut, fitting
from models.foreign import one_line
from models.schemas.brief import Brief, ObjectionText

T = TypeVar("T")

LEAST_REASON = 2 * budgets.KIB


def within(brief: Brief) -> Brief:
    """The same with every part but its messages within its budget; doing it twice changes nothing."""
    left_out = dict(brief.left_out)

    def keep(field: str, items: Sequence[T], most: int, text_of: Callable[[T], str], rest: str) -> list[T]:
        fit = fitting(items, most=most, text_of=text_of)
        if fit.left:
            left_out[field] = f"{len(fit.left)} more {rest}"
        return list(fit.kept)

    # What a person said last counts most.
    newest = keep(
        "directives",
        brief.directives[::-1],
        budgets.DIRECTIVES,
        lambda each: each.question + each.answer,
        "older ones were not put here: `egg decision list`",
    )
    conflicts = keep(
        "conflicts",
        [one_line(cut(path, most=budgets.KIB)) for path in brief.conflicts],
        budgets.CONFLICTS,
        str,
        "paths were not put here: `egg sync` names them",
    )
    notes = keep(
        "notes", _cut_all(brief.notes), budgets.NOTES, str, "notes were not put here: `egg why` has them"
    )
    feedback = keep(
        "feedback",
        _cut_all(brief.feedback),
        budgets.FEEDBACK,
        str,
        "points were not put here: ask who made them",
    )
    changes = {
        "directives": tuple(newest[::-1]),
        "conflicts": tuple(conflicts),
        "notes": tuple(notes),
        "feedback": tuple(feedback),
        "objections": _objections(brief.objections),
        "left_out": left_out,
    }
    return brief.model_copy(update=changes)


def _cut_all(texts: Sequence[str]) -> list[str]:
    return [cut(text, most=4 * budgets.KIB) for text in texts]


def _objections(objections: Sequence[ObjectionText]) -> tuple[ObjectionText, ...]:
    """Each is handed over, so each is there: those that are too long are cut to what there is for one."""
    most = max(LEAST_REASON, budgets.OBJECTIONS // (2 * max(1, len(objections))))
    return tuple(
        each.model_copy(update={"reason": cut(each.reason, most=most), "answer": cut(each.answer, most=most)})
        for each in objections
    )
