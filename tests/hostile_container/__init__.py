"""What a hostile agent tries in its container, and what becomes of it behind each wall and without it."""
