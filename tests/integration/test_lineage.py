"""A pipeline that is run again: what it is called, which one it repeats, and that it is made once."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import delete

from egg_tasks.database import unit_of_work
from models.tables import Event, MessageStream, Pipeline
from tests.integration.api_scene import NAME, Answer, Scene, definition


def submit(scene: Scene, **beside: object) -> Answer:
    """Submit the scene's definition."""
    return scene.ask("POST", "/pipelines", definition(scene.home) | beside)


def get(scene: Scene, name: str) -> dict[str, object]:
    """A pipeline as it is told."""
    found: dict[str, object] = scene.ask("GET", f"/pipelines/{name}").data["pipeline"]
    return found


def ids(answers: list[Answer]) -> list[str]:
    """What pipelines were called, sorted."""
    assert {answer.status for answer in answers} == {201}
    return sorted(answer.data["pipeline"]["id"] for answer in answers)


def delete_pipeline(name: str) -> None:
    """Take a pipeline away that never began."""
    with unit_of_work() as session:
        for table in (Event, MessageStream):
            session.execute(delete(table).where(table.pipeline_id == name))
        session.execute(delete(Pipeline).where(Pipeline.id == name))


def test_a_name_that_may_be_numbered_is_given_to_all_who_want_it_at_once(scene: Scene) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: submit(scene, numbered=True), range(8)))

    assert ids(answers) == [NAME, *(f"{NAME}-{number}" for number in range(2, 9))]


def test_the_same_submission_again_is_the_same_pipeline(scene: Scene) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: submit(scene, numbered=True, client_key="k"), range(8)))

    assert ids(answers) == [NAME] * 8
    assert [each["id"] for each in scene.ask("GET", "/pipelines").data["pipelines"]] == [NAME]


def test_a_name_that_must_not_be_numbered_is_refused_with_the_way_out(scene: Scene) -> None:
    submit(scene)

    answer = submit(scene)

    assert answer.status == 409
    assert f"egg pipeline rerun {NAME}" in answer.body["message"]


def test_a_name_whose_repository_is_there_is_passed_over(scene: Scene) -> None:
    (scene.home / "repos" / f"{NAME}.git").mkdir(parents=True)

    assert ids([submit(scene, numbered=True)]) == [f"{NAME}-2"]


def test_the_longest_name_is_numbered_too(scene: Scene) -> None:
    longest = "n" * 64
    answers = [submit(scene, name=longest, numbered=True) for _ in range(3)]

    assert ids(answers) == sorted([longest, f"{'n' * 56}-2", f"{'n' * 56}-3"])


def test_a_rerun_says_which_one_it_repeats_everywhere(scene: Scene) -> None:
    submit(scene)

    submit(scene, numbered=True, rerun_of=NAME, file="/there/egg.yaml", overrides=["config.max_rounds=4"])

    name = f"{NAME}-2"
    found = get(scene, name)
    assert (found["rerun_of"], found["is_rerun_of_deleted"]) == (NAME, False)
    assert (found["file"], found["overrides"]) == ("/there/egg.yaml", ["config.max_rounds=4"])
    assert get(scene, NAME)["reruns"] == [name]
    listed = scene.ask("GET", "/pipelines").data["pipelines"]
    assert [each["rerun_of"] for each in listed] == [NAME, None]
    assert scene.ask("GET", f"/pipelines/{name}/status").data["rerun_of"] == NAME
    first = scene.ask("GET", f"/pipelines/{name}/events").data["events"][0]
    assert (first["type"], first["data"]) == ("pipeline.created", {"rerun_of": NAME})


def test_a_rerun_without_a_name_is_called_after_the_first_one(scene: Scene) -> None:
    nameless = {key: value for key, value in definition(scene.home).items() if key != "name"}
    first = scene.ask("POST", "/pipelines", nameless).data["pipeline"]["id"]
    again = scene.ask("POST", "/pipelines", nameless | {"rerun_of": first}).data["pipeline"]["id"]
    third = scene.ask("POST", "/pipelines", nameless | {"rerun_of": again}).data["pipeline"]["id"]

    assert (again, third) == (f"{first}-2", f"{first}-3")


def test_the_rerun_of_an_unknown_pipeline_is_refused_and_nothing_is_stored(scene: Scene) -> None:
    answer = submit(scene, rerun_of="nope")

    assert (answer.status, "nope" in answer.body["message"]) == (422, True)
    assert scene.ask("GET", "/pipelines").data["pipelines"] == []


def test_what_stands_beside_a_definition_is_checked_as_strictly(scene: Scene) -> None:
    answer = submit(scene, numbered="yes", file="two\nlines", overrides=[""])

    assert answer.status == 422
    paths = {fault["path"] for fault in answer.body["details"]["faults"]}
    assert paths == {"numbered", "file", "overrides[0]"}


def test_lineage_outlives_the_first_pipeline_and_is_not_taken_for_another_of_its_name(scene: Scene) -> None:
    submit(scene)
    submit(scene, numbered=True, rerun_of=NAME)

    delete_pipeline(NAME)
    submit(scene)

    found = get(scene, f"{NAME}-2")
    assert (found["rerun_of"], found["is_rerun_of_deleted"]) == (NAME, True)
    assert get(scene, NAME)["reruns"] == []
