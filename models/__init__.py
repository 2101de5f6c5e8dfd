"""What exists and what it may become; imports nothing of ours."""
