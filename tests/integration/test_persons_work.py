"""egg diff, log, checkout, merge and apply: the work comes to the person, and nothing of theirs is lost."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.main import run
from egg_tasks.workspace import GitWorkspace
from tests.hostile_words import TERMINAL
from tests.integration.workspace_scene import commit, git
from tests.unit.scripted_server import Scripted, serving

NAME, BRANCH = "shop", "egg/shop"


@dataclass
class Desk:
    """Somebody in their repository, and a pipeline that began from it."""

    home: Path
    bare: Path
    server: Scripted
    monkeypatch: pytest.MonkeyPatch
    capfd: pytest.CaptureFixture[str]

    def works(self, files: dict[str, str], *, branch: str = "work", message: str = "the work") -> str:
        """A commit more on a branch of the pipeline's."""
        clone = self.bare.parent / f"clone-{branch}"
        if not clone.exists():
            git(self.bare.parent, "clone", "-q", str(self.bare), str(clone))
        git(clone, "checkout", "-q", "-B", branch, f"origin/{BRANCH}/work")
        made = commit(clone, files, message)
        git(clone, "push", "-q", "origin", f"HEAD:refs/heads/{BRANCH}/{branch}")
        git(clone, "fetch", "-q")
        self.tell(work_commit=git(self.bare, "rev-parse", f"{BRANCH}/work"))
        return made

    def tell(self, **more: object) -> None:
        """What the server says from now on of the pipeline."""
        roles = [{"role": "coder"}, {"role": "tester"}]
        pipeline = {
            "id": NAME, "status": "complete", "repo": str(self.home), "base": "main",
            "base_commit": git(self.home, "rev-parse", "main"), "work_branch": f"{BRANCH}/work",
            "repository": str(self.bare), "definition": {"phases": [{"name": "implement", "roles": roles}]},
        }  # fmt: skip
        said = self.server.answers[0][1] if self.server.answers else {}
        before = said["data"] if isinstance(said, dict) and said else {"phases": [], "pipelines": []}
        self.server.answers.clear()
        known = {**pipeline, **before.get("pipeline", {}), **{k: more[k] for k in more if k != "phases"}}
        self.server.say_to_all({**before, "pipeline": known, **{k: more[k] for k in more if k == "phases"}})

    def egg(self, *words: str) -> int:
        """Type a command; its exit code."""
        self.capfd.readouterr()
        self.monkeypatch.setattr(sys, "argv", ["egg", *words])
        return run()

    def said(self) -> str:
        """What the last command said."""
        out, err = self.capfd.readouterr()
        return out + err

    def state(self) -> dict[str, bytes]:
        """All files of the person's, git's own objects left out."""
        kept = [path for path in self.home.rglob("*") if path.is_file() and "objects" not in path.parts]
        return {str(path.relative_to(self.home)): path.read_bytes() for path in kept}

    def branches(self) -> list[str]:
        """The branches there are."""
        return git(self.home, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").split()


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    home = tmp_path / "shop"
    home.mkdir()
    git(home, "init", "-q", "-b", "main")
    commit(home, {"cart.py": "one\ntwo\nthree\n", "mine.py": "mine\n"})
    person = tmp_path / "person"
    person.write_text("[user]\n\tname = Ada\n\temail = ada@localhost\n")
    for name, value in {"GIT_CONFIG_GLOBAL": str(person), "GIT_CONFIG_NOSYSTEM": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("EGG_SESSION_TOKEN", raising=False)
    monkeypatch.chdir(home)
    workspace = GitWorkspace(tmp_path / "stack")
    workspace.prepare(NAME, source=str(home), base="main")
    with serving() as server:
        monkeypatch.setenv("EGG_HOME", str(tmp_path / "nowhere"))
        monkeypatch.setenv("EGG_ORCHESTRATOR_URL", server.url)
        monkeypatch.setenv("EGG_OPERATOR_TOKEN", "operator")
        found = Desk(home, workspace.repository(NAME), server, monkeypatch, capfd)
        found.works({"cart.py": "ONE\ntwo\nthree\n", "new.py": "new\n"})
        yield found


def on_a_terminal(*words: str) -> str:
    """What a person sees who types a command at a terminal whose pager shows all it is given."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "import sys; from cli.main import run; sys.exit(run())", *words]
    environment = os.environ | {"TERM": "xterm", "GIT_PAGER": "tee"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment):
        os.close(theirs)
        seen = b""
        try:
            while part := os.read(ours, 65536):
                seen += part
        except OSError:
            """Linux tells the end of a terminal by an error."""
    os.close(ours)
    return seen.decode()


def test_diff_in_a_pipe_is_a_patch_that_applies_and_the_branch_is_there(desk: Desk) -> None:
    before = desk.state()

    assert desk.egg("diff", NAME) == 0

    patch = desk.capfd.readouterr().out
    subprocess.run(["git", "apply", "--check"], input=patch.encode(), check=True)
    new = desk.state().keys() - before.keys()
    assert new == {f".git/refs/heads/{BRANCH}", f".git/logs/refs/heads/{BRANCH}"}
    assert {path: desk.state()[path] for path in before} == before


def test_a_diff_that_git_cannot_show_is_no_empty_one(desk: Desk) -> None:
    git(desk.home, "config", "diff.algorithm", "no such thing")

    assert desk.egg("diff", NAME) == 1
    assert "what git shows is not whole" in desk.said()
    assert "what git shows is not whole" in on_a_terminal("diff", NAME)


def test_who_has_seen_enough_of_a_diff_hears_of_no_fault(desk: Desk) -> None:
    desk.works({"long.txt": "a line\n" * 200_000})
    command = [sys.executable, "-c", "import sys; from cli.main import run; sys.exit(run())", "diff", NAME]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as showing:
        assert showing.stdout is not None
        assert showing.stderr is not None
        assert showing.stdout.readline().startswith(b"diff --git")
        showing.stdout.close()
        assert showing.stderr.read() == b""


def test_diff_tells_programs_which_files(desk: Desk) -> None:
    assert desk.egg("diff", NAME, "--json") == 0

    said = json.loads(desk.capfd.readouterr().out)
    assert said["files"] == [
        {"path": "cart.py", "added": 1, "deleted": 1},
        {"path": "new.py", "added": 1, "deleted": 0},
    ]
    assert said["branch"] == BRANCH


def test_diff_has_the_persons_colours_and_no_other(desk: Desk) -> None:
    desk.works({"evil.py": "".join(f"a\x1b[8m{words}\x1b[32mb\n" for words in TERMINAL)})
    git(desk.home, "config", "color.diff.new", "blue")

    seen = on_a_terminal("diff", NAME, "evil.py")

    assert "\x1b[34m+a\\x1b[8m" in seen
    assert "\x1b[8m" not in seen
    assert "\x1b[32m" not in seen
    assert not [words for words in TERMINAL if words in seen]


def test_log_says_who_made_which_version_and_what_was_objected_to_it(desk: Desk) -> None:
    clone = desk.bare.parent / "clone-work"
    desk.works({"b.py": "b\n"}, branch="coder", message="Add b \x1b[2J\u202e")
    version = git(desk.bare, "rev-parse", f"{BRANCH}/coder")
    git(clone, "pull", "-q", "--no-rebase", "--no-ff", str(desk.bare), f"{BRANCH}/coder")
    git(clone, "push", "-q", "origin", f"HEAD:refs/heads/{BRANCH}/work")
    merged = git(clone, "rev-parse", "HEAD")
    row = {"role": "coder", "number": 2, "commit": version, "merge_commit": merged, "merge_status": "merged"}
    said = {"number": 1, "from_role": "tester", "about_role": "coder", "version": 2, "status": "open"}
    phase = {
        "phase": "implement",
        "iteration": 1,
        "versions": [row],
        "objections": [{**said, "reason": "no\x1b[2J"}],
    }
    desk.tell(work_commit=merged, phases=[phase])

    assert desk.egg("log", NAME) == 0

    lines = desk.said().splitlines()
    assert lines[0].startswith(f"{merged[:10]} coder v2 [implement]  ")
    assert lines[1] == f"  {version[:10]} Add b \\x1b[2J\\u202e (a@b)"
    assert lines[2] == "  #1 tester objects (open): no\\x1b[2J"
    assert lines[3].endswith("  the work")
    assert len(lines) == 4


def test_checkout_goes_on_to_the_work_as_it_is_then(desk: Desk) -> None:
    assert desk.egg("checkout", NAME) == 0
    assert "back: git checkout main" in desk.said()
    later = desk.works({"later.py": "later\n"})

    assert desk.egg("checkout", NAME) == 0
    assert git(desk.home, "rev-parse", "HEAD") == later
    assert git(desk.home, "symbolic-ref", "--short", "HEAD") == BRANCH

    last = desk.works({"last.py": "last\n"})
    git(desk.home, "checkout", "-q", "main")
    assert desk.egg("diff", NAME, "--stat") == 0
    assert git(desk.home, "rev-parse", BRANCH) == last
    assert desk.branches() == [BRANCH, "main"]


def test_a_checkout_that_git_refuses_is_not_said_to_be_done(desk: Desk) -> None:
    assert desk.egg("checkout", NAME) == 0
    later = desk.works({"later.py": "later\n"})
    (desk.home / ".git/index.lock").touch()

    assert desk.egg("checkout", NAME) == 1

    assert f"{BRANCH} was not checked out, as git says:" in desk.said()
    (desk.home / ".git/index.lock").unlink()
    assert desk.egg("checkout", NAME) == 0
    assert git(desk.home, "rev-parse", "HEAD") == later


def test_a_branch_the_person_has_moved_stays_and_the_work_takes_the_next_name(desk: Desk) -> None:
    desk.egg("checkout", NAME)
    mine = commit(desk.home, {"fix.py": "fix\n"})
    later = desk.works({"later.py": "later\n"})

    assert desk.egg("checkout", NAME) == 0

    assert git(desk.home, "rev-parse", BRANCH) == mine
    assert git(desk.home, "rev-parse", f"{BRANCH}-2") == later


def test_a_branch_of_theirs_that_an_ancestor_of_the_work_is_on_stays(desk: Desk) -> None:
    git(desk.home, "branch", BRANCH)

    assert desk.egg("checkout", NAME) == 0

    assert git(desk.home, "rev-parse", BRANCH) == git(desk.home, "rev-parse", "main")
    assert git(desk.home, "symbolic-ref", "--short", "HEAD") == f"{BRANCH}-2"


def test_a_role_has_a_branch_beside_that_of_the_work(desk: Desk) -> None:
    desk.egg("diff", NAME)
    made = desk.works({"role.py": "role\n"}, branch="coder")

    assert desk.egg("checkout", NAME, "coder") == 0

    assert git(desk.home, "rev-parse", f"{BRANCH}@coder") == made
    assert "may hold more and less than the work" in desk.said()


@pytest.mark.parametrize("verb", ["checkout", "merge"])
def test_uncommitted_changes_refuse_what_might_lose_them(desk: Desk, verb: str) -> None:
    (desk.home / "mine.py").write_text("half done\n")
    before = desk.state()

    assert desk.egg(verb, NAME) == 1

    assert "has uncommitted changes in mine.py: commit them or `git stash`" in desk.said()
    assert desk.state() == before


@pytest.mark.parametrize("verb", ["checkout", "merge"])
@pytest.mark.parametrize(
    ("mine", "theirs"), [(".env", ".env"), (".env", ".env/x"), (".env/x", ".env"), (" ä*", " ä*")]
)
def test_ignored_files_of_the_persons_are_never_overwritten(
    desk: Desk, verb: str, mine: str, theirs: str
) -> None:
    commit(desk.home, {".gitignore": ".env\n*ä*\n"})
    desk.works({theirs: "the agent's\n"})
    (desk.home / mine).parent.mkdir(exist_ok=True)
    (desk.home / mine).write_text("mine\n")
    head = git(desk.home, "rev-parse", "HEAD")

    assert desk.egg(verb, NAME) == 1

    assert f"has untracked files where the work has its own: {mine.strip()}" in " ".join(desk.said().split())
    assert (desk.home / mine).read_text() == "mine\n"
    assert git(desk.home, "rev-parse", "HEAD") == head
    (desk.home / mine).unlink()
    assert desk.egg(verb, NAME) == 0


def test_tracked_files_may_become_folders_and_folders_files(desk: Desk) -> None:
    commit(desk.home, {"new.py/c": "c\n"})
    git(desk.bare.parent / "clone-work", "rm", "-q", "cart.py")
    desk.works({"cart.py/x": "x\n"})

    assert desk.egg("checkout", NAME) == 0

    assert (desk.home / "cart.py/x").exists()
    assert (desk.home / "new.py").is_file()


def test_merge_is_the_persons_own_with_their_hooks_and_name(desk: Desk, tmp_path: Path) -> None:
    hook = desk.home / ".git/hooks/post-merge"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    commit(desk.home, {"mine.py": "more\n"})

    assert desk.egg("merge", NAME) == 0

    assert (tmp_path / "ran").exists()
    assert git(desk.home, "log", "-1", "--format=%an %s") == f"Ada Merge branch '{BRANCH}'"
    assert desk.egg("merge", NAME) == 0
    assert "main has all of it already" in desk.said()


@pytest.mark.parametrize("way", ["setting", "link"])
def test_no_hook_runs_that_an_agent_may_have_written(desk: Desk, tmp_path: Path, way: str) -> None:
    commit(desk.home, {".hooks/post-checkout": "#!/bin/sh\n", ".hooks/post-merge": "#!/bin/sh\n"})
    desk.tell()
    git(desk.bare, "fetch", "-q", str(desk.home), "main")
    for name in ("post-checkout", "post-merge"):
        (desk.home / ".hooks" / name).chmod(0o755)
    git(desk.home, "commit", "-qam", "executable")
    desk.works({".hooks/post-checkout": f"#!/bin/sh\ntouch {tmp_path}/ran\n"})
    git(desk.home, "reset", "-q", "--hard", "HEAD~2")
    if way == "setting":
        git(desk.home, "config", "core.hooksPath", ".hooks")
        (desk.home / ".hooks").mkdir()
    else:
        (desk.home / ".git/hooks").mkdir(exist_ok=True)
        (desk.home / ".git/hooks/post-checkout").symlink_to(desk.home / ".hooks/post-checkout")

    assert desk.egg("checkout", NAME) == 0

    assert "your hooks did not run: they are in .hooks" in desk.said()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("way", ["missing", "link in .git", "link to nowhere", "link to elsewhere"])
def test_no_hook_runs_of_a_folder_that_the_work_brings(desk: Desk, tmp_path: Path, way: str) -> None:
    if way == "link in .git":
        (desk.home / ".git/hooks").rename(desk.home / ".git/samples")
        (desk.home / ".git/hooks").symlink_to("../.hooks")
    else:
        git(desk.home, "config", "core.hooksPath", ".hooks")
    if way.startswith("link to"):
        (tmp_path / "elsewhere").mkdir()
        (desk.home / ".hooks").symlink_to(tmp_path / way.removeprefix("link to "))
        git(desk.home, "add", ".hooks")
        git(desk.home, "commit", "-qm", "a link")
    clone = desk.bare.parent / "clone-work"
    (clone / ".hooks").mkdir()
    (clone / ".hooks/post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (clone / ".hooks/post-checkout").chmod(0o755)
    desk.works({})

    assert desk.egg("checkout", NAME) == 0

    assert (desk.home / ".hooks/post-checkout").stat().st_mode & 0o100
    assert "your hooks did not run: they are in .hooks" in desk.said()
    assert not (tmp_path / "ran").exists()


def test_no_program_runs_that_only_the_work_names(desk: Desk, tmp_path: Path) -> None:
    told = "*.py filter=evil diff=evil merge=evil\n"
    desk.works({".gitattributes": told, ".gitconfig": f'[filter "evil"]\n\tsmudge = touch {tmp_path}/ran\n'})

    for verb in ("diff", "log", "apply"):
        assert desk.egg(verb, NAME) == 0
    git(desk.home, "clean", "-qfd")
    git(desk.home, "checkout", "-q", ".")
    assert desk.egg("merge", NAME) == 0
    assert desk.egg("checkout", NAME) == 0

    assert not (tmp_path / "ran").exists()


def test_a_merge_that_a_hook_of_theirs_refuses_leaves_no_half_of_it(desk: Desk) -> None:
    hook = desk.home / ".git/hooks/pre-merge-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not on a Friday >&2\nexit 1\n")
    hook.chmod(0o755)
    head = commit(desk.home, {"mine.py": "more\n"})

    assert desk.egg("merge", NAME) == 1

    assert "not on a Friday" in desk.said()
    assert git(desk.home, "status", "--porcelain") == ""
    assert git(desk.home, "rev-parse", "HEAD") == head
    assert not (desk.home / ".git/MERGE_HEAD").exists()


def test_a_merge_that_the_person_has_under_way_stays(desk: Desk) -> None:
    git(desk.home, "checkout", "-q", "-b", "side")
    commit(desk.home, {"cart.py": "uno\ntwo\nthree\n"})
    git(desk.home, "checkout", "-q", "main")
    commit(desk.home, {"mine.py": "more\n"})
    git(desk.home, "merge", "-q", "--no-commit", "-s", "ours", "side")
    before = desk.state()

    assert desk.egg("merge", NAME) == 1

    assert "is in the middle of a merge: end it (`git commit`), or `git merge --abort`" in desk.said()
    assert desk.state() == before


def test_a_merge_that_conflicts_is_explained_and_can_be_given_up(desk: Desk) -> None:
    commit(desk.home, {"cart.py": "uno\ntwo\nthree\n"})
    before = git(desk.home, "rev-parse", "HEAD")

    assert desk.egg("merge", NAME) == 3

    said = desk.said()
    assert f"{BRANCH} and main conflict in cart.py:" in said
    assert "git merge --abort" in said
    git(desk.home, "merge", "--abort")
    assert git(desk.home, "status", "--porcelain") == ""
    assert git(desk.home, "rev-parse", "HEAD") == before


def test_apply_puts_the_work_on_top_of_uncommitted_changes(desk: Desk) -> None:
    (desk.home / "cart.py").write_text("one\ntwo\nthree\nmine\n")
    index = (desk.home / ".git/index").read_bytes()

    assert desk.egg("apply", NAME) == 0

    assert (desk.home / "cart.py").read_text() == "ONE\ntwo\nthree\nmine\n"
    assert (desk.home / "new.py").read_text() == "new\n"
    assert (desk.home / ".git/index").read_bytes() == index
    assert git(desk.home, "rev-parse", "HEAD") == git(desk.home, "rev-parse", "main")
    assert desk.egg("apply", NAME) == 0
    assert "your files have all of it already" in desk.said()


@pytest.mark.parametrize("file", ["cart.py", "new.py"])
def test_apply_changes_nothing_where_something_does_not_go_together(desk: Desk, file: str) -> None:
    (desk.home / file).write_text("quite another\n")
    before = desk.state()

    assert desk.egg("apply", NAME) == 1

    assert f"do not go together in {file}; nothing has changed" in desk.said()
    after = {path: text for path, text in desk.state().items() if BRANCH not in path}
    assert after == before


@pytest.mark.parametrize(("verb", "is_other"), [("checkout", False), ("merge", True), ("apply", False)])
def test_elsewhere_it_is_said_where_the_repository_is(
    desk: Desk, tmp_path: Path, verb: str, is_other: bool
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if is_other:
        git(elsewhere, "init", "-q")
        commit(elsewhere, {"a": "a\n"})
    desk.monkeypatch.chdir(elsewhere)

    assert desk.egg(verb, NAME) == 1

    said = desk.said()
    assert f"shop began from {desk.home}: go there, or: egg {verb} -C ../shop shop" in said
    assert desk.egg(verb, "-C", "../shop", NAME) == 0


def test_diff_and_log_are_shown_elsewhere_from_the_pipelines_own_repository(
    desk: Desk, tmp_path: Path
) -> None:
    before = desk.state()
    desk.monkeypatch.chdir(tmp_path)

    assert desk.egg("diff", NAME) == 0

    assert "you are not in the repository it began from" in desk.said()
    assert desk.egg("log", NAME) == 0
    assert desk.state() == before


def test_a_clone_of_it_is_as_good(desk: Desk, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(desk.home), "another")
    desk.tell(repo="https://example.org/shop.git")
    desk.monkeypatch.chdir(tmp_path / "another")

    assert desk.egg("merge", NAME) == 0

    assert (tmp_path / "another/new.py").exists()


def test_what_was_merged_and_its_branch_deleted_gets_none_by_looking(desk: Desk) -> None:
    desk.egg("merge", NAME)
    git(desk.home, "branch", "-D", BRANCH)

    assert desk.egg("diff", NAME, "--stat") == 0

    assert "2 files changed" in desk.said()
    assert desk.branches() == ["main"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"repository": "/nowhere/shop.git"}, "is in /nowhere/shop.git on another machine"),
        ({"work_commit": "0" * 40}, "on this machine is not the repository of shop"),
        (
            {"work_commit": None, "status": "pending"},
            "is pending and has no repository yet: see egg why shop",
        ),
    ],
)
def test_what_cannot_be_had_here_is_refused_with_the_way_out(
    desk: Desk, more: dict[str, object], said: str
) -> None:
    desk.tell(**more)

    assert desk.egg("diff", NAME) == 1

    assert said in " ".join(desk.said().split())


def test_a_role_that_is_not_there_is_refused_with_the_one_that_was_meant(desk: Desk) -> None:
    assert desk.egg("log", NAME, "codr") == 1
    assert "did you mean `coder`? It has coder, tester" in desk.said()

    assert desk.egg("log", NAME, "tester") == 1
    assert "tester of shop has no commit yet" in desk.said()


def test_of_a_deleted_pipeline_the_branch_that_is_left_is_named(desk: Desk) -> None:
    desk.server.answers.clear()
    desk.server.say(404, "there is no pipeline shop")
    desk.server.say(200, "", data={"pipelines": []})

    assert desk.egg("diff", NAME) == 1

    assert f"git log {BRANCH}" in desk.said()


def test_what_runs_yet_is_taken_as_it_is_and_said_to_be(desk: Desk) -> None:
    desk.tell(status="running")

    assert desk.egg("apply", NAME) == 0

    assert "shop is running: this is the work as it is now" in desk.said()
