"""What the cart promises."""

import unittest

from shop.cart import subtotal


class Subtotal(unittest.TestCase):
    def test_an_order_is_worth_the_sum_of_its_prices(self) -> None:
        for prices, worth in [([], 0), ([1999], 1999), ([1999, 250], 2249)]:
            with self.subTest(prices=prices):
                self.assertEqual(subtotal(prices), worth)
