"""How an agent program is started and understood."""
