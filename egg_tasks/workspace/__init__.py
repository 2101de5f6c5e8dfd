"""Git: pipelines' bare repositories, agents' clones, versions, merges and salvage."""

from egg_tasks.workspace.local import GitWorkspace

__all__ = ["GitWorkspace"]
