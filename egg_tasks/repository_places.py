"""Where the repositories of pipelines lie in EGG_HOME, said here and nowhere else.

repos/PIPELINE.git   a pipeline's own, bare
repos/incoming       what is just being copied for one
"""

from collections.abc import Sequence
from pathlib import Path

from egg_tasks.foreign_files import is_directory
from models.errors import Malformed
from models.schemas.text import pipeline_id_fault

REPOSITORIES, INCOMING = "repos", "incoming"
SUFFIX = ".git"
"""What the name of a pipeline's repository ends with, behind the pipeline's id."""


def checked_pipeline(pipeline_id: str) -> str:
    """The pipeline's id, or `Malformed` if it cannot be the name of a directory and a branch."""
    if fault := pipeline_id_fault(pipeline_id):
        raise Malformed(f"a pipeline's id {fault}")
    return pipeline_id


def repository(home: Path, pipeline_id: str) -> Path:
    """Where the repository of a pipeline is, made or not."""
    return home / REPOSITORIES / f"{checked_pipeline(pipeline_id)}{SUFFIX}"


def incoming(home: Path) -> Path:
    """Where repositories are copied to before their pipeline is made."""
    return home / REPOSITORIES / INCOMING


def name_of(repository: Path) -> str:
    """The pipeline that a repository is named after."""
    return repository.name.removesuffix(SUFFIX)


def list_repositories(home: Path) -> Sequence[Path]:
    """The repositories there are, also of pipelines that are gone, by name."""
    try:
        return sorted(path for path in (home / REPOSITORIES).glob(f"[!.]*{SUFFIX}") if is_directory(path))
    except OSError:
        return []
