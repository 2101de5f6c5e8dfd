"""Use cases that touch git and rows; API, tasks and reconciler are doors to them."""
