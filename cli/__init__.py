"""Who calls, by hand."""
