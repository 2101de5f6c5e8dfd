"""The real thing through its front doors."""
