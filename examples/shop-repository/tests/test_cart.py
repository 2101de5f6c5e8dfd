"""What the cart promises."""

import pytest
from shop.cart import subtotal


@pytest.mark.parametrize(("prices", "worth"), [([], 0), ([1999], 1999), ([1999, 250], 2249)])
def test_an_order_is_worth_the_sum_of_its_prices(prices: list[int], worth: int) -> None:
    assert subtotal(prices) == worth
