"""The engine: how a phase run is moved, from what is said and done in it."""
