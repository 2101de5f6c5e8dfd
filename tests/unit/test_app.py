"""The base task of ours."""

from celery import Celery

from egg_tasks.app import EggTask


def prepare(pipeline_id: str) -> None:
    """Do nothing."""
    del pipeline_id


def test_a_task_that_is_retried_keeps_what_flower_shows_of_it() -> None:
    app = Celery("shown", task_cls=EggTask, set_as_current=False)
    task = app.task(name="pipelines.prepare")(prepare)
    shown = {"shadow": "prepare", "kwargsrepr": "pipeline=shop"}
    task.push_request(id="1", args=["shop"], kwargs={}, headers=None, **shown)
    try:
        again = task.signature_from_request(countdown=1, retries=1)
    finally:
        task.pop_request()

    assert {name: again.options[name] for name in shown} == shown
    assert (again.args, again.options["task_id"], again.options["retries"]) == (("shop",), "1", 1)
