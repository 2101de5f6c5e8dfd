"""HTTP's way in."""
