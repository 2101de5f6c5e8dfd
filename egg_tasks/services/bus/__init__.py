"""The bus: messages, events, and how much of it one run may use up."""
