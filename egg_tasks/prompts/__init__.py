"""Templates and role texts."""
