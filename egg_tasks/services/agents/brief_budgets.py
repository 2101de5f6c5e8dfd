"""What of a brief a prompt has room for; the rest is named, with the way to it. Pure."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from models import budgets
from models.budgets import cut, fitting
from models.foreign import one_line
from models.schemas.brief import Brief, LeftBehind, LeftOut, ObjectionText

T = TypeVar("T")

LEAST_REASON = 2 * budgets.KIB


def within(brief: Brief) -> Brief:
    """The same with every part but its messages within its budget; doing it twice changes nothing."""
    left_out = dict(brief.left_out)

    def keep(part: str, items: Sequence[T], most: int, text_of: Callable[[T], str]) -> list[T]:
        fit = fitting(items, most=most, text_of=text_of)
        if fit.left:
            left_out[part] = LeftOut(number=len(fit.left))
        return list(fit.kept)

    # What a person said last counts most.
    newest = keep(
        "directives",
        brief.directives[::-1],
        budgets.DIRECTIVES,
        lambda each: each.question + each.answer,
    )
    conflicts = keep(
        "conflicts",
        [one_line(cut(path, most=budgets.KIB)) for path in brief.conflicts],
        budgets.CONFLICTS,
        str,
    )
    lacking = keep("notes", _cut_all(brief.lacking), budgets.NOTES, str)
    feedback = keep(
        "feedback",
        _cut_all(brief.feedback),
        budgets.FEEDBACK,
        str,
    )
    changes = {
        "directives": tuple(newest[::-1]),
        "conflicts": tuple(conflicts),
        "lacking": tuple(lacking),
        "left_behind": _left_behind(brief.left_behind),
        "feedback": tuple(feedback),
        "objections": _objections(brief.objections),
        "left_out": left_out,
    }
    return brief.model_copy(update=changes)


def _cut_all(texts: Sequence[str]) -> list[str]:
    return [cut(text, most=4 * budgets.KIB) for text in texts]


def _left_behind(left: LeftBehind | None) -> LeftBehind | None:
    return left and left.model_copy(update={"kept": cut(left.kept, most=4 * budgets.KIB)})


def _objections(objections: Sequence[ObjectionText]) -> tuple[ObjectionText, ...]:
    """Each is handed over, so each is there: those that are too long are cut to what there is for one."""
    most = max(LEAST_REASON, budgets.OBJECTIONS // (2 * max(1, len(objections))))
    return tuple(
        each.model_copy(update={"reason": cut(each.reason, most=most), "answer": cut(each.answer, most=most)})
        for each in objections
    )
