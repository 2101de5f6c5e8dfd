"""Which runner a run has: the one that its agent's isolation says."""

from typing import get_args
from uuid import uuid4

import pytest

from egg_tasks import adapters
from egg_tasks.database import unit_of_work
from egg_tasks.tasks import agent_runs
from models.errors import NotFound, Unprocessable
from models.queries import agent_runs as rows
from models.schemas.isolation import Kind
from tests.integration.api_rows import run_of
from tests.integration.api_scene import Scene
from tests.integration.test_runner_contract import RUNNERS


def test_every_runner_can_be_asked_for_and_passes_the_contract() -> None:
    assert set(RUNNERS) == set(adapters.KINDS) == set(get_args(Kind))


def test_an_isolation_that_is_not_built_is_refused_and_the_way_out_is_named() -> None:
    with pytest.raises(Unprocessable, match=r"isolated by 'chroot' here.*isolation: \{kind: process\}"):
        adapters.runner("chroot")


def test_a_run_is_where_the_isolation_of_its_agent_says(shop: Scene) -> None:
    run_id = run_of(shop, "coder")
    with unit_of_work() as session:
        assert rows.get_isolation(session, run_id=run_id) == adapters.PROCESS
        with pytest.raises(NotFound):
            rows.get_isolation(session, run_id=uuid4())

    chosen = agent_runs._runner(run_id)

    assert chosen is adapters.runner(adapters.PROCESS)
    assert adapters.runners() == [chosen, adapters.runner(adapters.DOCKER)]
    assert chosen.layout(run_id).clone == adapters.workspace().clone_of(run_id)
