"""What if we die right here, while something is cleared away? Whoever comes next does the rest."""

from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest

from egg_tasks import removal, settings_edit, settings_file
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.agents import deletions
from egg_tasks.services.people import pipelines
from egg_tasks.tasks import pipelines as pipeline_tasks
from egg_tasks.use_cases import clearing
from models.errors import NotFound
from models.queries import agent_runs as run_rows
from tests.integration import test_gaps
from tests.integration.gaps import dies, lives
from tests.integration.test_gaps import Ground, at_gaps, attend

ground = test_gaps.ground


def test_the_writing_of_the_settings_may_die_anywhere(ground: Ground) -> None:
    """The file is as it was or as it is to be, always its owner's alone, and the next writing goes well."""
    capacity, before = settings_edit.find("node.capacity"), "# mine\n[node]\ncapacity = 3\n"
    home = ground.scene.home / "settings"
    home.mkdir()
    path = home / settings_file.NAME
    for at in range(1, 10):
        path.write_text(before)
        path.chmod(0o600)

        has_died = dies(partial(settings_edit.put, home, capacity, "7"), at=at)

        assert path.read_text() == (before if has_died else before.replace("3", "7"))
        lives(partial(settings_edit.put, home, capacity, "9"))
        assert path.read_text() == before.replace("3", "9")
        assert path.stat().st_mode & 0o777 == 0o600
        assert [each.name for each in home.iterdir()] == [settings_file.NAME]
        if not has_died:
            break
    assert at > 1, "there was a write to die before"


@pytest.mark.parametrize("is_kept", [False, True])
def test_the_clearing_away_of_a_clone_may_die_anywhere(ground: Ground, *, is_kept: bool) -> None:
    """What is not saved is put aside, once, and never removed; what is saved is removed."""

    def begin(name: str) -> None:
        attend(ground.queue(name))
        if is_kept:
            with unit_of_work() as session:
                run_rows.lock_agent_run(session, run_id=ground.run(name).id).kept_paths = ["done.txt"]

    def act(name: str) -> None:
        clearing.clear_run(ground.run(name).id)
        clearing.tidy()

    def check(name: str) -> None:
        lives(partial(act, name))
        run = ground.run(name)
        given = ground.scene.home / "runs" / str(run.id)
        assert (run.clone_kept_at is not None, run.clone_removed_at is not None) == (is_kept, not is_kept)
        assert not (given / "clone").exists()
        assert (given / "kept/done.txt").exists() is is_kept
        assert not removal.is_going(given.parent), "nothing is left of it on the disk"
        assert (ground.scene.home / "shims" / str(run.id) / "output.log").exists()

    at_gaps(begin, act, check, every=1)


def test_the_going_of_a_pipeline_may_die_anywhere(ground: Ground) -> None:
    """Whoever finds it does the rest: in the end there is neither row nor file, and all of the next one."""
    home = ground.scene.home
    runs: dict[str, UUID] = {}

    def begin(name: str) -> None:
        runs[name] = ground.queue(name)
        attend(runs[name])
        with unit_of_work() as session:
            pipelines.cancel(session, pipeline_id=name, now=utcnow())
            deletions.order(session, pipeline_id=name, now=utcnow())

    def act(name: str) -> None:
        pipeline_tasks.delete(name)

    def check(name: str) -> None:
        with unit_of_work() as session:
            due = deletions.claim_due(session, now=utcnow() + timedelta(hours=1), limit=10)
        for one in due:
            lives(partial(pipeline_tasks.delete, one))
        lives(clearing.tidy)
        with pytest.raises(NotFound, match="there is no pipeline"):
            ground.pipeline(name)
        for place in (f"repos/{name}.git", f"runs/{runs[name]}", f"shims/{runs[name]}", f"roles/{name}"):
            assert not (home / place).exists(), place
        assert not any(removal.is_going(home / folder) for folder in ("repos", "runs", "shims", "roles"))
        assert (home / "source").is_dir()

    at_gaps(begin, act, check, every=3)
