"""The local stack under one supervisor."""
