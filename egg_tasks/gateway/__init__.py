"""The gateway: the one way out that an agent in a container has, and what is refused there."""
