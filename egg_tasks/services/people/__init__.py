"""People: what a person decides, orders and is told."""
