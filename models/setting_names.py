"""Names in settings and definitions, as patterns: also for commands that are to start without pydantic."""

VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
PROVIDER = r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
