"""What an order is worth."""

from collections.abc import Iterable


def subtotal(prices: Iterable[int]) -> int:
    """Add up the prices of an order, before shipping."""
    return sum(prices)
