"""What `egg demo` runs: agents, definitions and a repository to learn from, with only Python in them."""
