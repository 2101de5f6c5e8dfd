"""Proofs and measurements of the bus, each run from the Makefile."""
