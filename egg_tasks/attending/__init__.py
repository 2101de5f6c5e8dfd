"""Attending agent runs: claimed, started, watched and ended by a worker."""
