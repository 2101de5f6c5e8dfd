"""Use cases: plain functions with a session or a port first."""
