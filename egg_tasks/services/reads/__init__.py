"""Reads: where a pipeline stands, for people and programs."""
