"""Agent runs: where they start, what their agents are told, and what they leave."""
