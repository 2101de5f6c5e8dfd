"""Sizes on the disk as people read them: in the same units everywhere, thousands of thousands of bytes."""

UNITS = ("kB", "MB", "GB", "TB")
FEW = 10
"""Up to so many of a unit a tenth is said."""
NEXT = 1000


def in_words(size: int) -> str:
    """A size as people say it: 0 kB, 16 kB, 3.4 MB, 120 MB, 61 GB; never less than it is in kB."""
    if size < NEXT**2 // 10:
        return f"{-(-size // NEXT)} {UNITS[0]}"
    number = size / NEXT**2
    for unit in UNITS[1:-1]:
        # What would be said as 1000 is one of the next.
        if round(number) < NEXT:
            return _said(number, unit)
        number /= NEXT
    return _said(number, UNITS[-1])


def _said(number: float, unit: str) -> str:
    return f"{number:.1f} {unit}" if number < FEW else f"{number:.0f} {unit}"
