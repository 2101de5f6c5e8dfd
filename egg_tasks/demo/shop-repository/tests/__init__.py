"""The tests of the shop: python3 -m unittest."""
