"""How a repository is tested, found in what is committed there; nothing of it is run."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from cli.own_repository import EXECUTABLE, Own

RECIPE = re.compile(r"^@?test(?![ \t]*:=)(?:[ \t][^\n]*)?:(?!=)", re.MULTILINE)
NPM_PLACEHOLDER = "no test specified"
LOOK_SECONDS = 20
LOOK = "import importlib.util as u, sys; sys.exit(u.find_spec(sys.argv[1]) is None)"
LOCKS = (
    ("pnpm-lock.yaml", "pnpm install --frozen-lockfile", "pnpm test"),
    ("yarn.lock", "yarn install --frozen-lockfile", "yarn test"),
    ("bun.lock", "bun install --frozen-lockfile", "bun run test"),
    ("bun.lockb", "bun install --frozen-lockfile", "bun run test"),
    ("package-lock.json", "npm ci", "npm test"),
    ("npm-shrinkwrap.json", "npm ci", "npm test"),
)
PLAIN = (
    ("Cargo.toml", "cargo test"),
    ("go.mod", "go test ./..."),
    ("go.work", "go test ./..."),
    ("mix.exs", "mix deps.get && mix test"),
    ("Package.swift", "swift test"),
    ("stack.yaml", "stack test"),
    ("dune-project", "dune test"),
    ("build.zig", "zig build test"),
    ("pubspec.yaml", "dart test"),
    ("deno.json", "deno test"),
    ("deno.jsonc", "deno test"),
)
"""Files that say by their name how their language is tested."""


@dataclass(frozen=True)
class FoundCheck:
    """A command that tests the repository, and what says so."""

    run: str
    why: str
    lacks: str = ""
    """What it needs and agents would not find; empty where it can be run."""


def find(own: Own, *, path: str) -> list[FoundCheck]:
    """Every way to test that *own* says it has, the most explicit first; *path* is the PATH of agents."""
    ways = (_make, _just, _taskfile, _node, _python, _ruby, _java, _dotnet, _php, _plain)
    found = [each for way in ways for each in way(own, path)]
    return [each if each.lacks else _with_program(each, own, path) for each in found]


def _with_program(found: FoundCheck, own: Own, path: str) -> FoundCheck:
    """The same with what it lacks: its programs are looked for as a shell would."""
    for part in found.run.split(" && "):
        program = next(word for word in shlex.split(part) if "=" not in word)
        if program.startswith("./"):
            if own.modes.get(program[2:], "") != EXECUTABLE:
                return FoundCheck(found.run, found.why, f"{program} is not committed as executable")
        elif shutil.which(program, path=path) is None:
            return FoundCheck(
                found.run, found.why, f"{program} is not on the PATH that agents and checks get"
            )
    return found


def _make(own: Own, _path: str) -> Iterator[FoundCheck]:
    for name in ("GNUmakefile", "makefile", "Makefile"):
        text = own.text(name) if name in own.modes else ""
        for target in ("test", "tests", "check"):
            if re.search(
                rf"^(?:[\w./-]+[ \t]+)*{target}(?:[ \t]+[\w./-]+)*[ \t]*::?(?!=)", text, re.MULTILINE
            ):
                yield FoundCheck(f"make {target}", f"target `{target}` of {name}")
                return


def _just(own: Own, _path: str) -> Iterator[FoundCheck]:
    for name in ("justfile", "Justfile", ".justfile"):
        if name in own.modes and RECIPE.search(own.text(name)):
            yield FoundCheck("just test", f"recipe `test` of {name}")
            return


def _taskfile(own: Own, _path: str) -> Iterator[FoundCheck]:
    for name in ("Taskfile.yml", "Taskfile.yaml"):
        if name in own.modes and re.search(r"^  test:", own.text(name), re.MULTILINE):
            yield FoundCheck("task test", f"task `test` of {name}")
            return


def _node(own: Own, _path: str) -> Iterator[FoundCheck]:
    package = _json(own, "package.json")
    scripts = package.get("scripts")
    test = scripts.get("test") if isinstance(scripts, dict) else None
    if not isinstance(test, str) or not test.strip() or NPM_PLACEHOLDER in test:
        return
    needs = any(package.get(key) for key in ("dependencies", "devDependencies", "workspaces"))
    plain = ("", "npm install", "npm test") if needs else ("", "", "npm test")
    _, install, run = next((each for each in LOCKS if each[0] in own.modes), plain)
    yield FoundCheck(f"{install} && {run}" if install else run, "script `test` of package.json")


def _python(own: Own, path: str) -> Iterator[FoundCheck]:
    if why := _says_pytest(own):
        yield _pytest(own, path, why)
    if "tox.ini" in own.modes:
        yield FoundCheck("tox", "tox.ini")
    if "noxfile.py" in own.modes:
        yield FoundCheck("nox", "noxfile.py")
    if not why and (folder := next((name for name in ("tests", "test") if name in own.modes), None)):
        names = own.source.git.lines("ls-tree", "--name-only", own.commit, "--", f"{folder}/")
        if any(re.fullmatch(r"test\w*\.py", name.removeprefix(f"{folder}/")) for name in names):
            where = "" if f"{folder}/__init__.py" in names else f" discover {folder}"
            yield FoundCheck(f"python3 -m unittest{where}", f"the tests in {folder}/")


def _says_pytest(own: Own) -> str:
    """What speaks of pytest; nothing where nothing does."""
    if "pytest.ini" in own.modes or "conftest.py" in own.modes:
        return "pytest.ini" if "pytest.ini" in own.modes else "conftest.py"
    requirements = [name for name in own.modes if re.fullmatch(r"requirements[\w.-]*\.(txt|in)", name)]
    for name in ("pyproject.toml", "setup.cfg", "tox.ini", *requirements, "tests/conftest.py"):
        if "pytest" in own.text(name):
            return f"pytest in {name}"
    return ""


def _pytest(own: Own, path: str, why: str) -> FoundCheck:
    """How pytest is run: by the project's own tool, by its own interpreter, or by the one on the PATH."""
    if "uv.lock" in own.modes and shutil.which("uv", path=path):
        return FoundCheck("uv run pytest", f"{why}, and uv.lock")
    if "poetry.lock" in own.modes and shutil.which("poetry", path=path):
        return FoundCheck("poetry install --quiet && poetry run pytest", f"{why}, and poetry.lock")
    # What is installed in place leads to the person's files, where a checkout has others.
    first = "PYTHONPATH=src " if "src" in own.modes else ""
    for folder in (".venv", "venv"):
        python = own.top / folder / "bin/python"
        if folder not in own.modes and python.exists() and _has_module(str(python), "pytest", path):
            return FoundCheck(f"{first}{shlex.quote(str(python))} -m pytest", f"{why}, and your {folder}")
    python3 = shutil.which("python3", path=path)
    lacks = "" if python3 and _has_module(python3, "pytest", path) else _without_pytest(python3)
    return FoundCheck(f"{first}python3 -m pytest", why, lacks)


def _without_pytest(python3: str | None) -> str:
    if python3 is None:
        return "python3 is not on the PATH that agents and checks get"
    return f"{python3} has no pytest: name the interpreter that has, or activate its environment for `egg up`"


def _has_module(python: str, module: str, path: str) -> bool:
    """Whether an interpreter of the person's finds a module, as agents and checks start it."""
    environment = {"PATH": path, "HOME": os.devnull}
    with suppress(OSError, subprocess.SubprocessError):
        words = [python, "-I", "-c", LOOK, module]
        done = subprocess.run(
            words, env=environment, cwd="/", capture_output=True, check=False, timeout=LOOK_SECONDS
        )
        return done.returncode == 0
    return False


def _ruby(own: Own, _path: str) -> Iterator[FoundCheck]:
    if "Gemfile" not in own.modes:
        return
    if ".rspec" in own.modes or "spec" in own.modes:
        yield FoundCheck("bundle install --quiet && bundle exec rspec", "spec/ and Gemfile")
    elif "Rakefile" in own.modes:
        yield FoundCheck("bundle install --quiet && bundle exec rake test", "Rakefile and Gemfile")


def _java(own: Own, _path: str) -> Iterator[FoundCheck]:
    for name, wrapper, program, words in (
        ("pom.xml", "mvnw", "mvn", "--batch-mode test"),
        ("build.gradle", "gradlew", "gradle", "--no-daemon test"),
        ("build.gradle.kts", "gradlew", "gradle", "--no-daemon test"),
    ):
        if name in own.modes:
            yield FoundCheck(f"{f'./{wrapper}' if wrapper in own.modes else program} {words}", name)


def _dotnet(own: Own, _path: str) -> Iterator[FoundCheck]:
    if name := next((each for each in own.modes if each.endswith((".sln", ".slnx", ".csproj"))), None):
        yield FoundCheck("dotnet test", name)


def _php(own: Own, _path: str) -> Iterator[FoundCheck]:
    scripts = _json(own, "composer.json").get("scripts")
    if isinstance(scripts, dict) and "test" in scripts:
        yield FoundCheck("composer install --quiet && composer test", "script `test` of composer.json")


def _plain(own: Own, _path: str) -> Iterator[FoundCheck]:
    yield from (FoundCheck(run, name) for name, run in PLAIN if name in own.modes)


def _json(own: Own, name: str) -> dict[str, object]:
    with suppress(ValueError, RecursionError):
        found = json.loads(own.text(name)) if name in own.modes else None
        if isinstance(found, dict):
            return found
    return {}
