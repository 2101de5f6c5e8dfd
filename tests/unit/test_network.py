"""What an agent may reach: entries of the list, and addresses that no list of names opens."""

from ipaddress import ip_address

import pytest

from egg_tasks.gateway.addresses import is_public, is_this_machines
from models.schemas.definition import Faulty, validate
from models.schemas.network import LISTS, Network, address_of
from tests.integration.api_scene import definition

PRIVATE = [
    "0.0.0.0",  # noqa: S104  nothing listens there
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.168.1.1",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:0:1::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "::7f00:1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "151.101.0.223", "2606:4700::1111", "::ffff:8.8.8.8"]


def test_addresses_of_this_machine_and_its_networks_are_told_from_those_of_the_internet() -> None:
    found = {text: is_public(address) for text in (*PRIVATE, *PUBLIC) if (address := address_of(text))}

    assert [text for text, public in found.items() if public] == PUBLIC
    assert len(found) == len(PRIVATE) + len(PUBLIC)


@pytest.mark.parametrize(
    ("entry", "host", "port", "is_allowed"),
    [
        ("pypi.org", "pypi.org", 443, True),
        ("pypi.org", "pypi.org", 80, True),
        ("pypi.org", "pypi.org", 22, False),
        ("pypi.org:22", "pypi.org", 22, True),
        ("pypi.org:22", "pypi.org", 443, False),
        ("pypi.org", "pypi.org.evil.example", 443, False),
        ("pypi.org", "evil-pypi.org", 443, False),
        ("PyPI.org", "pypi.org", 443, True),
        ("*.pypi.org", "files.pypi.org", 443, True),
        ("*.pypi.org", "a.b.pypi.org", 443, True),
        ("*.pypi.org", "pypi.org", 443, False),
        ("*.pypi.org", "evilpypi.org", 443, False),
        ("github", "codeload.github.com", 443, True),
        ("github", "github", 443, False),
        ("registry:5000", "registry", 5000, True),
        ("10.0.0.5:5432", "10.0.0.5", 5432, True),
        ("[::1]:80", "::1", 80, True),
        ("[::1]:80", "0:0:0:0:0:0:0:1", 80, True),
    ],
)
def test_an_entry_allows_what_it_names_and_no_more(
    entry: str, host: str, port: int, *, is_allowed: bool
) -> None:
    network = Network.model_validate({"allow": [entry]})

    assert network.allows(host, port) is is_allowed


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "localhost",
        "pythn-packages",
        "https://pypi.org",
        "pypi.org:0",
        "*",
        "*.",
        "a b.c",
        "pypi.org/x",
        7,
    ],
)
def test_an_entry_that_names_nothing_is_a_fault_with_what_it_may_be(entry: object) -> None:
    program = {"backend": "command", "command": ["true"], "isolation": {"network": {"allow": [entry]}}}
    document = {**definition(__file__), "agents": {"coder": program, "tester": program}}  # type: ignore[arg-type]

    with pytest.raises(Faulty) as refused:
        validate(document)

    assert refused.value.faults[0].path[:5] == (
        "agents",
        "coder",
        "isolation",
        "network",
        "allow",
    )


@pytest.mark.parametrize("name", LISTS)
def test_a_named_list_holds_plain_hosts(name: str) -> None:
    assert Network.model_validate({"allow": list(LISTS[name])}).allow == tuple(LISTS[name])


def test_an_address_of_this_machine_is_known_whatever_it_looks_like() -> None:
    """A server in the net has one that looks public, and all that listens there is behind it."""
    found = {text: is_this_machines(ip_address(text)) for text in ("127.0.0.1", "192.0.2.1")}

    assert found == {"127.0.0.1": True, "192.0.2.1": False}
