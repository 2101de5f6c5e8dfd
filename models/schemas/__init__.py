"""Shapes that cross a process boundary."""
