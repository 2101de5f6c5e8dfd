"""Tables: a list as a person sees it on a terminal of any width, and as lines that grep and awk can use."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from cli import formatting
from cli.styled import styled

GAP = 2
SHORT = 16
"""Columns up to this width are not broken: states, roles, ids, times."""
NARROWEST = 24
"""A column that is broken is at least so wide."""
LONGEST_FIRST = 24
"""What one types stands on a line of its own where it is longer and there is no room for all."""
HANGING = 4
"""So many blanks begin what is written beneath a row."""
EMPTY = "-"

Rows = Sequence[Sequence[str]]


def lines(rows: Rows) -> list[str]:
    """Each row on one line, whole: two blanks or more part its columns, and `-` stands for an empty cell.

    No cell of one line of words holds two blanks in a row, so that `awk -F '  +'` finds the columns.
    """
    filled = [[cell or EMPTY for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*filled, strict=True)]
    return [
        "".join(_padded(cell, width + GAP) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in filled
    ]


def drawn(titles: Sequence[str], rows: Rows, console: Console) -> Iterator[Text]:
    """A table of at most the console's width in which nothing is cut.

    Long cells are broken, and columns for which there is no room are written beneath each row.
    """
    natural = [max(map(cell_len, column)) for column in zip(titles, *rows, strict=True)]
    if sum(natural) + GAP * len(natural) > console.width:
        firsts = [cell_len(row[0]) for row in rows if cell_len(row[0]) <= LONGEST_FIRST]
        natural[0] = max([cell_len(titles[0]), *firsts])
    widths = fitted(natural, console.width)
    yield from _row([styled(title, style="bold") for title in titles], widths, console)
    for row in rows:
        yield from _row([styled(cell, style=formatting.style_of(cell)) for cell in row], widths, console)
        left = zip(titles, row, widths, strict=True)
        beneath = " · ".join(f"{title.lower()}: {cell}" for title, cell, width in left if cell and not width)
        if beneath:
            for part in styled(beneath, style="dim").wrap(console, console.width - HANGING):
                yield styled(" " * HANGING) + part


def fitted(natural: Sequence[int], width: int) -> list[int]:
    """The width of each column beside the others; 0 for one that has no room there, the widest first.

    The first one, which is what one types, is as wide as it is given.
    """
    beside = list(range(len(natural)))
    while True:
        broken = [each for each in beside[1:] if natural[each] > SHORT]
        whole = sum(natural[each] for each in beside if each not in broken)
        room = width - whole - GAP * (len(beside) - 1)
        if room >= sum(min(natural[each], NARROWEST) for each in broken) or len(beside) == 1:
            break
        beside.remove(max(beside[1:], key=lambda each: natural[each]))
    widths = [natural[each] if each in beside else 0 for each in range(len(natural))]
    for left, each in zip(range(len(broken), 0, -1), sorted(broken, key=lambda at: natural[at]), strict=True):
        widths[each] = min(natural[each], room // left)
        room -= widths[each]
    return widths


def _row(cells: Sequence[Text], widths: Sequence[int], console: Console) -> Iterator[Text]:
    """One row of a table: as many lines as its longest broken cell has, and one more for a long first one."""
    if cell_len(cells[0].plain) > widths[0]:
        yield cells[0]
        cells = [styled(), *cells[1:]]
    shown = [(cell, width) for cell, width in zip(cells, widths, strict=True) if width]
    columns = [cell.wrap(console, width) if cell else [cell] for cell, width in shown]
    for parts in zip_longest(*columns, fillvalue=styled()):
        line = styled()
        for part, (_, width) in zip(parts, shown, strict=True):
            part.rstrip()
            line.append_text(part).append(" " * (width + GAP - cell_len(part.plain)))
        line.rstrip()
        yield line


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - cell_len(cell))
