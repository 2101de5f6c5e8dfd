"""Repositories behind a password: who reaches them by what means, and where the password never is."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from egg_tasks.workspace import GitWorkspace, incoming
from egg_tasks.workspace.reach import Reach, of_person
from models.errors import Conflict, Unavailable, Unprocessable
from tests import private_server
from tests.integration.workspace_scene import commit, git
from tests.private_server import ENCODED, PASSWORD, USER, WANTED, Site

KNOWN = f"{USER}:{ENCODED}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server with the repositories shop.git, empty.git and long.git, which is made with sha256."""
    www = tmp_path / "www"
    www.mkdir()
    for name, options in {"shop": (), "long": ("--object-format=sha256",), "empty": ()}.items():
        work = tmp_path / name
        work.mkdir()
        git(work, "init", "-q", "-b", "main", *options)
        if name != "empty":
            commit(work, {"README": "shop\n"})
            commit(work, {"README": "two\n"})
            git(work, "tag", "-a", "v1", "-m", "one", "HEAD~1")
            git(work, "update-ref", "refs/pull/1/head", "HEAD~1")
            git(work, "branch", "egg/earlier/work", "HEAD~1")
        git(tmp_path, "clone", "-q", "--mirror", str(work), str(www / f"{name}.git"))
        git(www / f"{name}.git", "update-server-info")
    with private_server.served(www) as site:
        yield site


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The HOME of a person whose git knows the password."""
    path = tmp_path / "ada"
    path.mkdir()
    return path


def person(home: Path, **more: str) -> Reach:
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", **more}
    return of_person(environ, is_attended=False)


def knows_by_helper(home: Path, site: Site) -> Mapping[str, str]:
    (home / "known").write_text(site.url("", credential=KNOWN))
    (home / ".gitconfig").write_text(f"[credential]\n\thelper = store --file={home}/known\n")
    return {}


def knows_by_netrc(home: Path, site: Site) -> Mapping[str, str]:
    del site
    (home / ".netrc").write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    return {}


def knows_by_header(home: Path, site: Site) -> Mapping[str, str]:
    """As GitHub's and GitLab's runners give it."""
    del home
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{site.url('')}.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: {WANTED}",
    }


def knows_by_rewriting(home: Path, site: Site) -> Mapping[str, str]:
    inside = site.url("", credential=KNOWN)
    (home / ".gitconfig").write_text(f'[url "{inside}"]\n\tinsteadOf = https://git.example.org/\n')
    return {}


def knows_by_command_line(home: Path, site: Site) -> Mapping[str, str]:
    """As `git -c` gives it to what git itself starts."""
    del home
    return {"GIT_CONFIG_PARAMETERS": f"'http.{site.url('')}.extraHeader'='Authorization: {WANTED}'"}


def copied(stack: Path, source: str, reach: Reach, *, base: str | None = None) -> str:
    """Fetch as `egg run` does, and keep it; the commit."""
    with incoming.fetched(stack, source=source, base=base, reach=reach) as found:
        found.keep("ours")
    return found.commit


def holds_secret(directory: Path) -> list[str]:
    """The files in which the password stands, in any spelling."""
    spellings = [word.encode() for word in (PASSWORD, ENCODED, WANTED)]
    files = [path for path in directory.rglob("*") if path.is_file()]
    return [str(path) for path in files if any(word in path.read_bytes() for word in spellings)]


# What a person's git knows


@pytest.mark.parametrize("folder", ["", "plain/"])
@pytest.mark.parametrize("knows", [knows_by_helper, knows_by_netrc, knows_by_header, knows_by_command_line])
def test_what_a_persons_git_knows_is_used(
    site: Site, home: Path, tmp_path: Path, knows: object, folder: str
) -> None:
    assert callable(knows)
    reach = person(home, **knows(home, site))

    found = copied(tmp_path / "stack", site.url(f"{folder}shop.git"), reach)

    assert found == git(tmp_path / "shop", "rev-parse", "main")
    assert holds_secret(tmp_path / "stack") == []


def test_a_url_that_a_person_rewrites_is_used(site: Site, home: Path, tmp_path: Path) -> None:
    reach = person(home, **knows_by_rewriting(home, site))

    copied(tmp_path / "stack", "https://git.example.org/shop.git", reach)

    with pytest.raises(Unprocessable, match="cannot be read") as caught:
        copied(tmp_path / "stack", "https://git.example.org/none.git", reach)
    assert PASSWORD not in str(caught.value.args)
    assert ENCODED not in str(caught.value.args)


def test_a_password_in_a_url_is_used_and_left_nowhere(site: Site, home: Path, tmp_path: Path) -> None:
    (home / ".gitconfig").write_text(f"[credential]\n\thelper = store --file={home}/known\n")
    spy = home / "bin/git"
    spy.parent.mkdir()
    spy.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{home}/typed\nPATH=${{PATH#*:}} exec git "$@"\n')
    spy.chmod(0o755)
    path = f"{spy.parent}:{os.environ['PATH']}"

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", path)
        copied(tmp_path / "stack", site.url("shop.git", credential=KNOWN), person(home, PATH=path))

    assert "ls-remote" in (home / "typed").read_text()
    assert "fetch" in (home / "typed").read_text()
    assert holds_secret(home) == []
    assert holds_secret(tmp_path / "stack") == []


def test_a_persons_ssh_is_used(site: Site, home: Path, tmp_path: Path) -> None:
    ssh = home / "ssh"
    ssh.write_text(
        f'#!/bin/sh\necho "$SSH_AUTH_SOCK" >{home}/agent\nfor word; do :; done\nexec sh -c "$word"\n'
    )
    ssh.chmod(0o755)
    reach = person(home, GIT_SSH_COMMAND=str(ssh), SSH_AUTH_SOCK="/run/agent")

    found = copied(tmp_path / "stack", f"git@example.org:{site.directory}/shop.git", reach)

    assert found == git(tmp_path / "shop", "rev-parse", "main")
    assert (home / "agent").read_text() == "/run/agent\n"


def test_a_name_in_a_url_is_asked_for_its_password(site: Site, home: Path, tmp_path: Path) -> None:
    knows_by_helper(home, site)

    copied(tmp_path / "stack", site.url("shop.git", credential=USER), person(home))


def test_a_password_for_one_server_is_not_told_to_another(site: Site, home: Path, tmp_path: Path) -> None:
    reach = person(home, **knows_by_rewriting(home, site))
    (home / ".gitconfig").write_text(f'[url "{site.url("")}"]\n\tinsteadOf = https://git.example.org/\n')

    with pytest.raises(Unprocessable, match="give egg the credential"):
        copied(tmp_path / "stack", f"https://{KNOWN}@git.example.org/shop.git", reach)


def test_without_a_password_the_refusal_says_the_way_in(site: Site, home: Path, tmp_path: Path) -> None:
    with pytest.raises(Unprocessable) as caught:
        copied(tmp_path / "stack", site.url("shop.git"), person(home))

    assert "`egg run` in a shell where `git clone" in caught.value.message
    assert "[fetch] in settings.toml" in caught.value.message


def test_a_wrong_password_is_not_shown(site: Site, home: Path, tmp_path: Path) -> None:
    with pytest.raises(Unprocessable) as caught:
        copied(tmp_path / "stack", site.url("shop.git", credential="ada:wrong-8812"), person(home))

    assert "wrong-8812" not in str(caught.value.args)


def test_a_server_that_is_away_is_tried_again(home: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be reached now"):
        copied(tmp_path / "stack", "http://127.0.0.1:9/shop.git", person(home))


def test_hooks_and_other_programs_of_a_person_are_not_run(site: Site, home: Path, tmp_path: Path) -> None:
    knows_by_helper(home, site)
    hook = home / "hooks/reference-transaction"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {home}/ran\n")
    hook.chmod(0o755)
    settings = f"[core]\n\thooksPath = {home}/hooks\n[protocol]\n\tallow = always\n"
    (home / ".gitconfig").write_text((home / ".gitconfig").read_text() + settings)
    given = {"GIT_CONFIG_PARAMETERS": f"'core.hooksPath'='{home}/hooks'", "GIT_ALLOW_PROTOCOL": "ext:http:fd"}

    copied(tmp_path / "stack", site.url("shop.git"), person(home, **given))

    assert not (home / "ran").exists()
    for source in (f"ext::sh -c touch% {home}/ran", "fd::7"):
        with pytest.raises(Unprocessable):
            copied(tmp_path / "stack", source, person(home, **given))
    rewriting = f'[url "ext::sh -c touch% {home}/ran% "]\n\tinsteadOf = https://git.example.org/\n'
    (home / ".gitconfig").write_text(rewriting)
    with pytest.raises(Unprocessable, match="not allowed"):
        copied(tmp_path / "stack", "https://git.example.org/x", person(home, **given))
    assert not (home / "ran").exists()


# What a base may be at a URL


@pytest.mark.parametrize("folder", ["", "plain/"])
@pytest.mark.parametrize(
    ("base", "means"),
    [
        (None, "main"), ("HEAD", "main"), ("main", "main"), ("v1", "main~1"), ("refs/heads/main", "main"),
        ("refs/pull/1/head", "main~1"), ("pull/1/head", "main~1"), ("egg/earlier/work", "main~1"),
        ("{main~1}", "main~1"), ("{main~1:10}", "main~1"),
    ],
)  # fmt: skip
def test_a_base_at_a_url_is_what_the_server_names(
    site: Site, home: Path, *, base: str | None, means: str, folder: str
) -> None:
    tmp_path = home.parent
    knows_by_helper(home, site)
    expected = git(tmp_path / "shop", "rev-parse", f"{means}^{{commit}}")
    if base and base.startswith("{"):
        base = expected[: 10 if ":" in base else None]

    assert copied(tmp_path / "stack", site.url(f"{folder}shop.git"), person(home), base=base) == expected


@pytest.mark.parametrize(
    ("name", "base", "words"),
    [
        ("shop", "HEAD~1", "`HEAD~1` can be reckoned in a clone alone"),
        ("shop", "main@{yesterday}", "can be reckoned in a clone alone"),
        ("shop", "mian", "no branch, tag or commit `mian` in .* \\(did you mean `main`\\?\\)"),
        ("shop", "origin/main", "\\(did you mean `main`\\?\\)"),
        ("shop", "f" * 40, "no branch, tag or commit `ffff"),
        ("shop", "abcdef1", "no branch, tag or commit `abcdef1`"),
        ("empty", None, "has no commit yet; push one"),
        ("none", None, "not found"),
    ],
)
def test_a_base_that_the_server_does_not_name_is_refused(
    site: Site, home: Path, *, name: str, base: str | None, words: str
) -> None:
    tmp_path = home.parent
    knows_by_helper(home, site)

    with pytest.raises(Unprocessable, match=words):
        copied(tmp_path / "stack", site.url(f"{name}.git"), person(home), base=base)
    assert list((tmp_path / "stack/repos/incoming").iterdir()) == []


def test_a_sha256_repository_at_a_url_works(site: Site, home: Path, tmp_path: Path) -> None:
    knows_by_helper(home, site)

    assert len(copied(tmp_path / "stack", site.url("long.git"), person(home))) == 64


# What a worker reaches


def workers(stack: Path, site: Site, settings: str) -> str:
    """Have a worker prepare the pipeline `ours`; the commit."""
    stack.mkdir(exist_ok=True)
    (stack / "settings.toml").write_text(settings)
    return GitWorkspace(stack).prepare("ours", source=site.url("shop.git"), base="main")


@pytest.mark.parametrize("means", ["home", "credential_helper", "environment"])
def test_a_worker_reaches_what_the_settings_name(site: Site, home: Path, tmp_path: Path, means: str) -> None:
    knows_by_helper(home, site)
    header = knows_by_header(home, site)
    settings = {
        "home": f'home = "{home}"',
        "credential_helper": f'credential_helper = "store --file={home}/known"',
        "environment": "[fetch.environment]\n" + "\n".join(f'{k} = "{v}"' for k, v in header.items()),
    }

    found = workers(tmp_path / "stack", site, f"[fetch]\n{settings[means]}\n")

    assert found == git(tmp_path / "shop", "rev-parse", "main")


def test_a_proxy_and_certificates_are_taken_from_the_settings(site: Site, home: Path, tmp_path: Path) -> None:
    knows_by_helper(home, site)
    proxy = f'[fetch]\nhome = "{home}"\nproxy = "http://127.0.0.1:9"\n'

    with pytest.raises(Unavailable, match=r"127\.0\.0\.1 port 9"):
        workers(tmp_path / "stack", site, proxy)


def test_a_certificate_that_nobody_knows_is_refused_until_the_settings_name_it(
    site: Site, home: Path, tmp_path: Path
) -> None:
    (home / ".netrc").write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    with private_server.served(site.directory, scheme="https") as safe:
        with pytest.raises(Unprocessable, match=r"ca_file.* in \[fetch\]"):
            workers(tmp_path / "stack", safe, f'[fetch]\nhome = "{home}"\n')

        settings = f'[fetch]\nhome = "{home}"\nca_file = "{private_server.PEM}"\n'
        found = workers(tmp_path / "stack", safe, settings)

    assert found == git(tmp_path / "shop", "rev-parse", "main")


def test_an_ssh_command_of_the_settings_is_used(tmp_path: Path) -> None:
    stack, ssh = tmp_path / "stack", tmp_path / "ssh"
    ssh.write_text(
        f'#!/bin/sh\necho "$@" >{tmp_path}/typed\necho "Permission denied (publickey)." >&2\nexit 255\n'
    )
    ssh.chmod(0o755)
    stack.mkdir()
    (stack / "settings.toml").write_text(f'[fetch]\nssh_command = "{ssh} -i key"\n')

    with pytest.raises(Unprocessable, match=r"Permission denied \(publickey\)"):
        GitWorkspace(stack).prepare("ours", source="git@example.org:shop.git", base=None)
    assert (tmp_path / "typed").read_text().startswith("-i key")


def test_a_worker_without_settings_knows_nobodys_password(
    site: Site, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows_by_helper(home, site)
    knows_by_netrc(home, site)
    monkeypatch.setenv("HOME", str(home))

    with pytest.raises(Unprocessable, match="give egg the credential"):
        workers(tmp_path / "stack", site, "")


def test_settings_that_cannot_be_read_are_tried_again(site: Site, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"settings\.toml"):
        workers(tmp_path / "stack", site, "[fetch]\nhouse = 1\n")


# What is fetched before its pipeline exists


def test_what_is_not_kept_is_removed(site: Site, home: Path, tmp_path: Path) -> None:
    knows_by_helper(home, site)
    stack = tmp_path / "stack"

    with (
        pytest.raises(Conflict, match="taken"),
        incoming.fetched(stack, source=site.url("shop.git"), base=None, reach=person(home)) as found,
    ):
        raise Conflict("taken")

    assert not found.directory.exists()
    assert list((stack / "repos/incoming").iterdir()) == []


def test_the_repository_of_another_pipeline_is_never_replaced(site: Site, home: Path, tmp_path: Path) -> None:
    knows_by_helper(home, site)
    stack = tmp_path / "stack"
    theirs = GitWorkspace(stack).prepare("ours", source=str(tmp_path / "shop"), base="main~1")

    with pytest.raises(Conflict, match="choose another name"):
        incoming.refuse_taken(stack, "ours")
    copied(stack, site.url("shop.git"), person(home))

    assert GitWorkspace(stack).find_branch("ours", branch="egg/ours/work") == theirs


def test_a_fetch_that_was_killed_leaves_nothing_for_good(site: Site, home: Path, tmp_path: Path) -> None:
    knows_by_helper(home, site)
    stack = tmp_path / "stack"
    script = """
        import os, signal, sys
        from pathlib import Path
        from egg_tasks.workspace import incoming
        from egg_tasks.workspace.reach import of_person
        reach = of_person(os.environ, is_attended=False)
        with incoming.fetched(Path(sys.argv[1]), source=sys.argv[2], base=None, reach=reach):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(stack), site.url("shop.git")]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    subprocess.run(command, env=environment, check=False, cwd=Path(__file__).parents[2])
    left = [path for path in (stack / "repos/incoming").iterdir() if path.is_dir()]

    with incoming.fetched(stack, source=site.url("shop.git"), base=None, reach=person(home)) as found:
        beside = [path for path in (stack / "repos/incoming").iterdir() if path.is_dir()]
        found.keep("ours")

    assert len(left) == 1
    assert beside == [found.directory]
    assert [path.name for path in (stack / "repos").glob("*.git")] == ["ours.git"]


def test_two_that_fetch_at_once_do_not_disturb_each_other(site: Site, home: Path, tmp_path: Path) -> None:
    knows_by_helper(home, site)
    stack, source = tmp_path / "stack", site.url("shop.git")

    with incoming.fetched(stack, source=source, base=None, reach=person(home)) as first:
        with incoming.fetched(stack, source=source, base=None, reach=person(home)) as second:
            second.keep("second")
        first.keep("first")

    assert sorted(path.name for path in (stack / "repos").glob("*.git")) == ["first.git", "second.git"]
