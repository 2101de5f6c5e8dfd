"""Agents, definitions and a repository to learn from; everything here is used by `egg demo` or by a test."""
