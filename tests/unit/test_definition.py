"""The definition file's schema: what it takes, what it refuses, and how it says so."""

import json
from collections.abc import Mapping
from copy import deepcopy
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.consensus.policy import (
    DEFAULT_CRITERIA,
    CheckPolicy,
    Criteria,
    GatePolicy,
    Mode,
    NeedPolicy,
    OnFailure,
)
from models.consensus.role_kinds import RoleKind
from models.schemas.definition import Definition, Faulty, json_schema, validate
from models.schemas.text import STORED

AGENT = {"backend": "command", "command": ["./agent.sh"]}
Document = dict[str, object]


def definition(phase: Mapping[str, object] | None = None, /, **keys: object) -> Document:
    whole: Document = {
        "version": 1,
        "repo": ".",
        "prompt": "Add a token bucket.",
        "agents": {name: deepcopy(AGENT) for name in ("coder", "tester", "linter")},
        "phases": [{"name": "implement", "roles": [{"role": "coder"}, {"role": "tester"}], **(phase or {})}],
    }
    return {**whole, **keys}


def faults(document: object) -> dict[str, str]:
    with pytest.raises(Faulty) as caught:
        validate(document)
    listed = caught.value.details["faults"]
    assert isinstance(listed, list)
    return {fault["path"]: fault["message"] for fault in listed}


def roles(*entries: Document) -> Document:
    return definition({"roles": list(entries)})


def test_a_phase_policy_holds_what_the_definition_says() -> None:
    check = {"run": "make test", "owner": "coder"}
    needs = ["coder", {"role": "linter", "hard": True}]
    entries = [
        {"role": "coder"},
        {"role": "tester", "needs": needs, "reviews": ["coder"]},
        {"role": "linter", "required": False},
    ]

    policy = validate(definition({"roles": entries, "check": check})).phase_policy(0)

    assert policy.role("tester").needs == (NeedPolicy("coder"), NeedPolicy("linter", hard=True))
    assert policy.role("tester").reviews == ("coder",)
    assert policy.role("tester").on_failure is OnFailure.ASK
    assert policy.role("linter").on_failure is OnFailure.CONTINUE
    assert policy.check == CheckPolicy("make test", "coder")
    assert policy.objection_grace == timedelta(seconds=20)


@pytest.mark.parametrize(
    ("concurrent", "mode", "expected"),
    [
        (False, None, Mode.WAVES),
        (True, None, Mode.CONCURRENT),
        (True, "sequential", Mode.SEQUENTIAL),
        (False, "concurrent", Mode.CONCURRENT),
    ],
)
def test_a_phase_s_own_mode_beats_concurrent_execution(
    concurrent: bool, mode: str | None, expected: Mode
) -> None:
    document = definition({"mode": mode}, config={"concurrent_execution": concurrent})

    assert validate(document).phase_policy(0).mode is expected


def test_a_role_is_played_by_the_agent_it_names_or_the_one_of_its_name() -> None:
    document = roles({"role": "coder"}, {"role": "reviewer", "agent": "linter"})
    document["agents"] = {"coder": AGENT, "linter": {**AGENT, "command": ["lint", "-q"]}}

    read = validate(document)

    assert read.agent(0, "reviewer").command == ("lint", "-q")
    assert read.agent(0, "coder").command == ("./agent.sh",)


def test_faults_of_form_and_of_meaning_are_told_together() -> None:
    document = roles({"role": "coder", "needs": ["testre"]}, {"role": "tester", "required": "yes"})
    document["budgt"] = {}

    assert faults(document) == {
        "budgt": "unknown key `budgt`",
        "phases[0].roles[0].needs[0]": "no role `testre` in this phase (did you mean `tester`?)",
        "phases[0].roles[1].required": "must be true or false, not 'yes'",
    }


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (definition(preset="sdlc"), "preset"),
        (definition(sources=[]), "sources"),
        (definition(budget={}), "budget"),
    ],
)
def test_a_key_that_is_not_built_yet_is_refused_by_name(document: Document, path: str) -> None:
    key = path.rpartition(".")[2]

    assert faults(document) == {path: f"`{key}` is not built yet; remove it"}


@pytest.mark.parametrize("backend", ["claude", "codex"])
def test_a_backend_that_is_not_built_yet_is_refused_by_name(backend: str) -> None:
    document = definition()
    document["agents"] = {"coder": {**AGENT, "backend": backend, "model": "opus"}, "tester": AGENT}

    assert faults(document) == {
        "agents.coder.backend": f"`{backend}` is not built yet; use `command`",
        "agents.coder.model": "`model` is not built yet; remove it",
    }


def test_an_agent_of_an_unknown_backend_is_told_all_else_that_is_wrong_with_it_too() -> None:
    document = definition()
    document["agents"] = {
        "coder": {"backend": "comand", "wak": "USR1", "isolation": {"kind": "x"}},
        "tester": {"command": ["true"], "environment": {"A": 1}},
    }

    assert faults(document) == {
        "agents.coder.backend": "must be `command`, not 'comand' (did you mean `command`?)",
        "agents.coder.command": "`command` is missing",
        "agents.coder.wak": "unknown key `wak` (did you mean `wake`?)",
        "agents.coder.isolation.kind": "must be one of `process` or `docker`, not 'x'",
        "agents.tester.backend": "`backend` is missing",
        "agents.tester.environment.A": "must be text, not 1: put it in quotes",
    }


def test_a_fault_of_an_agent_is_at_the_key_that_people_write() -> None:
    document = definition(agents={"coder": {**AGENT, "command": []}, "tester": AGENT})

    assert faults(document) == {"agents.coder.command": "must have at least 1 entry, not 0"}


def test_the_schema_tells_agents_apart_by_their_backend() -> None:
    properties = json_schema()["properties"]

    assert isinstance(properties, dict)
    (agent,) = properties["agents"]["patternProperties"].values()
    assert agent["discriminator"] == {
        "propertyName": "backend",
        "mapping": {"command": "#/$defs/CommandAgent"},
    }


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ra", RoleKind.REQUIREMENTS),
        ("refiner", RoleKind.REQUIREMENTS),
        ("ep", RoleKind.PLANNER),
        ("architect", RoleKind.PLANNER),
        ("cd", RoleKind.DEVELOPER),
        ("coder", RoleKind.DEVELOPER),
        ("vas", RoleKind.VALIDATOR),
        ("tester", RoleKind.TESTER),
        ("documenter", RoleKind.DOCUMENTER),
        ("integrator", RoleKind.INTEGRATOR),
        ("reviewer", RoleKind.REVIEWER),
        ("reviewer_contract", RoleKind.REVIEWER),
        ("risk_analyst", RoleKind.REVIEWER),
        ("my_coder", None),
    ],
)
def test_a_role_has_the_kind_that_its_name_means(name: str, kind: RoleKind | None) -> None:
    read = validate(roles({"role": name, "agent": "coder"}))

    assert read.phase_policy(0).role(name).kind is kind
    assert read.model_dump(mode="json")["phases"][0]["roles"][0]["kind"] == kind


def test_a_kind_that_is_given_counts() -> None:
    read = validate(roles({"role": "vas", "agent": "coder", "kind": "checker"}, {"role": "coder"}))

    assert read.phase_policy(0).role("vas").kind is RoleKind.CHECKER


def test_a_kind_nobody_knows_names_those_there_are() -> None:
    said = faults(roles({"role": "coder", "kind": "develper"}))["phases[0].roles[0].kind"]

    assert said.startswith("must be one of `requirements`, `planner`, `developer`,")
    assert said.endswith("not 'develper' (did you mean `developer`?)")


def test_a_definition_that_was_stored_before_there_were_kinds_means_what_it_meant() -> None:
    names = ("coder", "cd", "vas", "reviewer")
    entries: list[Document] = [{"role": name, "agent": "coder"} for name in names]
    stored = validate(roles(*entries))
    document = stored.model_dump(mode="json")
    for role in document["phases"][0]["roles"]:
        del role["kind"]

    read = Definition.model_validate_json(json.dumps(document), context=STORED).phase_policy(0)

    assert {role.role: role.kind for role in read.roles} == {
        "coder": None,
        "cd": RoleKind.DEVELOPER,
        "vas": RoleKind.VALIDATOR,
        "reviewer": None,
    }


def test_a_kind_stays_as_it_was_pinned() -> None:
    given = validate(roles({"role": "coder"}, {"role": "poet", "agent": "coder", "kind": "developer"}))

    read = Definition.model_validate_json(given.model_dump_json(), context=STORED)

    assert read == given


TIMES = ("consensus_timeout_minutes", "finalize_minutes", "agent_idle_timeout_minutes")


def test_the_times_of_a_phase_may_be_fractions_of_minutes() -> None:
    policy = validate(definition(config=dict.fromkeys(TIMES, 0.5))).phase_policy(0)

    assert {policy.consensus_timeout, policy.finalize, policy.idle_timeout} == {timedelta(seconds=30)}


def test_the_times_of_a_phase_have_defaults() -> None:
    policy = validate(definition()).phase_policy(0)

    times = (policy.consensus_timeout, policy.finalize, policy.idle_timeout)
    assert times == (timedelta(minutes=30), timedelta(minutes=3), timedelta(minutes=60))


@pytest.mark.parametrize("key", TIMES)
@pytest.mark.parametrize("value", [0, -1, "30", True, float("inf"), float("nan")])
def test_a_time_that_is_none_is_refused(key: str, value: object) -> None:
    assert list(faults(definition(config={key: value}))) == [f"config.{key}"]


def test_an_unknown_key_names_the_one_that_was_meant() -> None:
    document = definition(config={"max_round": 3})

    assert faults(document) == {"config.max_round": "unknown key `max_round` (did you mean `max_rounds`?)"}


def test_a_cycle_in_needs_is_shown_as_a_circle() -> None:
    document = roles(
        {"role": "coder", "needs": ["linter"]},
        {"role": "tester", "needs": ["coder"]},
        {"role": "linter", "needs": [{"role": "tester", "hard": True}]},
    )

    assert faults(document) == {
        "phases[0].roles[1].needs[0]": "a cycle in `needs`: coder → linter → tester → coder"
    }


def test_two_cycles_are_both_found() -> None:
    document = roles(
        {"role": "coder", "needs": ["tester", "linter"]},
        {"role": "tester", "needs": ["coder"]},
        {"role": "linter", "needs": ["coder"]},
    )

    assert set(faults(document)) == {"phases[0].roles[1].needs[0]", "phases[0].roles[2].needs[0]"}


def test_roles_may_need_the_same_role_and_review_each_other() -> None:
    document = roles(
        {"role": "coder", "reviews": ["tester"]},
        {"role": "tester", "needs": ["coder"], "reviews": ["coder"]},
        {"role": "linter", "needs": ["coder", "tester"]},
    )

    assert validate(document).phase_policy(0).role("linter").needs == (
        NeedPolicy("coder"),
        NeedPolicy("tester"),
    )


@pytest.mark.parametrize(
    ("phase", "path", "message"),
    [
        ({"roles": []}, "phases[0].roles", "must have at least 1 entry, not 0"),
        (
            {"roles": [{"role": "coder", "required": False}]},
            "phases[0].roles",
            "no role of this phase is required",
        ),
        ({"roles": [{"role": "coder"}] * 2}, "phases[0].roles[1].role", "in this phase already"),
        ({"roles": [{"role": "coder", "needs": ["coder"]}]}, "phases[0].roles[0].needs[0]", "need itself"),
        (
            {"roles": [{"role": "coder", "reviews": ["coder"]}]},
            "phases[0].roles[0].reviews[0]",
            "review itself",
        ),
        ({"check": {"run": "make", "owner": "codr"}}, "phases[0].check.owner", "did you mean `coder`?"),
        ({"roles": [{"role": "poet"}]}, "phases[0].roles[0]", "nobody plays `poet`"),
        (
            {"roles": [{"role": "coder", "agent": "codr"}]},
            "phases[0].roles[0].agent",
            "no agent `codr` in `agents` (did you mean `coder`?)",
        ),
        ({"roles": [{"role": False}]}, "phases[0].roles[0].role", "YAML reads yes, no, on and off as that"),
    ],
)
def test_a_phase_that_cannot_work_is_refused(phase: Document, path: str, message: str) -> None:
    assert message in faults(definition(phase))[path]


@pytest.mark.parametrize(
    "name", ["Coder", "9a", "a-b", "a" * 33, "coder\n", "all", "orchestrator", "human", "work", "salvage"]
)
def test_a_name_that_cannot_be_a_role_is_refused(name: str) -> None:
    document = roles({"role": name, "agent": "coder"})

    assert "phases[0].roles[0].role" in faults(document)


@pytest.mark.parametrize("name", ["a..b", "-a", ".a", "a/b", "", "a" * 65, "a\n", "a.lock"])
def test_a_name_that_cannot_be_a_pipeline_is_refused(name: str) -> None:
    assert set(faults(definition(name=name))) == {"name"}


def test_two_phases_of_one_name_are_refused() -> None:
    document = definition()
    document["phases"] = [{"name": "plan", "roles": [{"role": "coder"}]}] * 2

    assert faults(document) == {"phases[1].name": "a phase is called `plan` already"}


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ({"version": True}, "version"),
        ({"version": 2}, "version"),
        ({"prompt": " "}, "prompt"),
        ({"prompt": "a\x00b"}, "prompt"),
        ({"prompt": "\ud800"}, "prompt"),
        ({"repo": "--upload-pack=x"}, "repo"),
        ({"base": "-x"}, "base"),
        ({"config": {"max_rounds": 0}}, "config.max_rounds"),
        ({"config": {"max_rounds": True}}, "config.max_rounds"),
        ({"config": {"objection_grace_seconds": float("inf")}}, "config.objection_grace_seconds"),
    ],
)
def test_a_value_out_of_bounds_is_refused(keys: Document, path: str) -> None:
    assert path in faults(definition(**keys))


def test_an_agent_cannot_be_given_the_orchestrator_s_variables() -> None:
    document = definition()
    document["agents"] = {"coder": {**AGENT, "environment": {"EGG_SESSION_TOKEN": "x"}}, "tester": AGENT}

    assert "are the orchestrator's" in faults(document)["agents.coder.environment"]


def test_faults_survive_json() -> None:
    with pytest.raises(Faulty) as caught:
        validate(roles({"role": "coder", "needs": ["x"]}))

    rebuilt = Faulty(*json.loads(json.dumps(caught.value.args)))

    assert rebuilt.faults == caught.value.faults
    assert rebuilt.faults[0].path == ("phases", 0, "roles", 0, "needs", 0)


def test_a_hostile_definition_is_refused_with_an_answer_of_bounded_size() -> None:
    names = [f"r{number}" for number in range(256)]
    entries = [{"role": name, "needs": names, "reviews": ["x" * 9999] * 256} for name in names]

    found = faults(definition({"roles": entries}))

    assert sum(len(path) + len(message) for path, message in found.items()) < 250_000


def test_every_field_of_the_json_schema_is_described() -> None:
    schema = json_schema()
    shapes = [schema, *schema["$defs"].values()]  # type: ignore[attr-defined]

    bare = [
        f"{shape['title']}.{name}"
        for shape in shapes
        for name, field in shape.get("properties", {}).items()
        if not field.get("description")
    ]

    assert bare == []


NAMES = st.lists(
    st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True).filter(
        lambda name: name not in {"all", "orchestrator", "human", "work", "salvage"}
    ),
    min_size=1,
    max_size=5,
    unique=True,
)


@st.composite
def definitions(draw: st.DrawFn) -> Document:
    names = draw(NAMES)
    entries: list[Document] = []
    for position, name in enumerate(names):
        others = [other for other in names if other != name]
        needs = draw(st.lists(st.sampled_from(names[:position]), unique=True)) if position else []
        entry: Document = {"role": name, "required": position == 0 or draw(st.booleans())}
        entry["needs"] = [draw(st.sampled_from([need, {"role": need, "hard": True}])) for need in needs]
        entry["reviews"] = draw(st.lists(st.sampled_from(others), unique=True)) if others else []
        entry["on_failure"] = draw(st.sampled_from([None, "ask", "retry", "continue", "abort"]))
        entries.append(entry)
    phase = {"roles": entries, "mode": draw(st.sampled_from([None, "waves", "sequential", "concurrent"]))}
    config = {
        "max_rounds": draw(st.integers(1, 1000)),
        "verdict_grace_seconds": draw(st.floats(0, 86_400) | st.integers(0, 86_400)),
    }
    return definition(phase, config=config, agents=dict.fromkeys(names, AGENT))


@given(definitions())
def test_a_definition_that_validates_round_trips_and_builds_policies(document: Document) -> None:
    read = validate(document)

    stored = json.loads(read.model_dump_json())

    assert validate(stored) == read
    assert validate(read.model_dump(mode="json")) == read
    assert validate(stored).phase_policy(0) == read.phase_policy(0)


KEYS = (
    st.sampled_from(["roles", "role", "needs", "reviews", "check", "owner", "run", "hard"])
    | st.sampled_from([*Definition.model_fields, "command", "backend", "isolation", "environment", "kind"])
    | st.text(max_size=3)
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=5)
    | st.sampled_from(["coder", "command", "waves", "docker"])
    | st.binary(max_size=2)
    | st.dates()
)
JUNK = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS | LEAVES, inner, max_size=5)
        | st.frozensets(LEAVES, max_size=2)
    ),
    max_leaves=30,
)


@given(JUNK)
def test_junk_is_never_more_than_faulty(junk: object) -> None:
    with pytest.raises(Faulty) as caught:
        validate(junk)

    json.dumps(caught.value.details, ensure_ascii=False).encode()


@given(st.sampled_from(list(Definition.model_fields)), JUNK)
def test_junk_in_a_good_definition_is_never_more_than_faulty(key: str, junk: object) -> None:
    try:
        validate(definition(**{key: junk}))
    except Faulty as error:
        json.dumps(error.details, ensure_ascii=False).encode()


@given(JUNK)
def test_junk_in_a_good_phase_is_never_more_than_faulty(junk: object) -> None:
    for phase in ({"roles": junk}, {"check": junk}, {"roles": [{"role": "coder", "needs": junk}]}):
        try:
            validate(definition(phase))
        except Faulty as error:
            json.dumps(error.details, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("given", "criteria"),
    [
        ({}, DEFAULT_CRITERIA),
        ({"coverage": None}, DEFAULT_CRITERIA),
        ({"test_pass_rate": 99.5}, Criteria(test_pass_rate=99.5)),
        ({"coverage": 0, "open_issues": 0}, Criteria(coverage=0, open_issues=0)),
        (None, None),
    ],
)
def test_only_the_criteria_that_are_given_are_asked_for(
    given: Document | None, criteria: Criteria | None
) -> None:
    pinned = validate(definition({"convergence": given})).model_dump(mode="json")

    assert Definition.model_validate(pinned).phase_policy(0).convergence == criteria


def test_a_phase_is_not_repeated_unless_it_says_so() -> None:
    assert validate(definition()).phase_policy(0).convergence is None


@pytest.mark.parametrize(("config", "most"), [({}, 5), ({"max_iterations": 2}, 2)])
def test_a_phase_is_repeated_so_often_at_most(config: Document, most: int) -> None:
    assert validate(definition(config=config)).phase_policy(0).max_iterations == most


def test_faults_of_convergence_are_named() -> None:
    convergence = {
        "test_pass_rate": 101,
        "coverage": "80%",
        "critical_issues": -1,
        "open_issues": 1.5,
        "bugs": 0,
    }

    assert faults(definition({"convergence": convergence}, config={"max_iterations": 0})) == {
        "config.max_iterations": "must be greater than or equal to 1",
        "phases[0].convergence.test_pass_rate": "must be less than or equal to 100",
        "phases[0].convergence.coverage": "must be a number, not '80%'",
        "phases[0].convergence.critical_issues": "must be greater than or equal to 0",
        "phases[0].convergence.open_issues": "must be a whole number, not 1.5",
        "phases[0].convergence.bugs": "unknown key `bugs`",
    }


GATE = {"question": "Ship it?", "options": ["approve", "request changes"]}


def test_a_gate_has_its_first_option_as_default_and_waits_without_end() -> None:
    gate = validate(definition({"gate": GATE})).phase_policy(0).gate

    assert gate == GatePolicy("Ship it?", ("approve", "request changes"), "approve", None)


def test_the_time_of_a_gate_may_be_a_fraction_of_a_minute() -> None:
    gate = validate(definition({"gate": {**GATE, "after_minutes": 0.05}})).phase_policy(0).gate

    assert gate is not None
    assert gate.after == timedelta(seconds=3)


@pytest.mark.parametrize(
    ("changes", "path", "sentence"),
    [
        ({"options": []}, ".options", "must have at least 1 entry, not 0"),
        ({"options": ["a", "A"]}, ".options", "must not hold 'A' twice: nobody could tell which is meant"),
        ({"options": ["x" * 201, "a"]}, ".options[0]", "must have at most 200 characters"),
        ({"default": "no"}, "", "`default` must be one of the options: approve, request changes"),
        ({"after_minutes": 0}, ".after_minutes", "must be greater than 0"),
        ({"after_minutes": 1, "default": "request changes"}, "", "with `after_minutes` the default must be"),
        ({"colour": "red"}, ".colour", "unknown key `colour`"),
    ],
)
def test_a_gate_that_is_none_is_refused(changes: Document, path: str, sentence: str) -> None:
    found = faults(definition({"gate": {**GATE, **changes}}))

    assert list(found) == [f"phases[0].gate{path}"]
    assert found[f"phases[0].gate{path}"].startswith(sentence)
