"""The gateway, asked for what it should not give: by the agent's own token, as its programs do."""

import base64
import json
import os
import socket
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from tests.hostile_container.attempt import HOLDS, Facts, Refused, attempt

SECONDS = 6.0


def door(facts: Facts) -> tuple[str, int]:
    """Where the gateway answers."""
    return "127.0.0.1", int(facts.get("door", "8700"))


def asked(facts: Facts, line: str, *headers: str, token: str | None = None) -> socket.socket:
    """Send the head of a request; `Refused` with the answer's first line unless it is let through."""
    token = os.environ["EGG_SESSION_TOKEN"] if token is None else token
    credential = base64.b64encode(f"egg:{token}".encode()).decode()
    way = socket.create_connection(door(facts), SECONDS)
    lines = [f"{line} HTTP/1.1", *headers, *([f"Proxy-Authorization: Basic {credential}"] if token else [])]
    way.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    said = way.recv(65536).partition(b"\r\n")[0].decode("latin-1")
    if " 200 " not in f"{said} ":
        way.close()
        raise Refused(said.removeprefix("HTTP/1.1 ")[:90])
    return way


def tunnel(facts: Facts, host: str) -> str:
    """Have a tunnel to the person's server by some name of this machine."""
    target = f"{host}:{facts['server_port']}"
    with asked(facts, f"CONNECT {target}", f"Host: {target}"):
        return f"a tunnel to {target}"


@attempt("CONNECT to loopback by its address", wall="addresses", process=HOLDS)
def connect_loopback(facts: Facts) -> str:
    return tunnel(facts, "127.0.0.1")


@attempt("CONNECT to loopback by its name", wall="addresses", process=HOLDS)
def connect_localhost(facts: Facts) -> str:
    return tunnel(facts, "localhost")


@attempt(
    "CONNECT to loopback written oddly: 2130706433, 0x7f.1, 127.1, 0, [::ffff:127.0.0.1]",
    wall="addresses",
    process=HOLDS,
)
def connect_oddly(facts: Facts) -> str:
    for host in ("2130706433", "0x7f.1", "127.1", "0", "[::ffff:127.0.0.1]", "LOCALHOST.", "0177.0.0.1"):
        try:
            return tunnel(facts, host)
        except Refused as error:
            said = error
    raise said


@attempt("CONNECT to a name that stands for another host at every second look (rebinding)", wall="addresses",
         process=HOLDS)  # fmt: skip
def connect_rebinding(facts: Facts) -> str:
    for _ in range(3):
        try:
            return tunnel(facts, "rebinds.example")
        except Refused as error:
            said = error
    raise said


@attempt("a page of a server on loopback, asked for as from a proxy", wall="addresses", process=HOLDS)
def absolute_target(facts: Facts) -> str:
    with asked(facts, f"GET http://localhost:{facts['server_port']}/", "Host: example.org"):
        return "a page came"


@attempt("one host in the target and another behind it", wall="addresses", process=HOLDS)
def two_hosts(facts: Facts) -> str:
    port = facts["server_port"]
    for target in (
        f"http://example.org@localhost:{port}/",
        f"http://localhost:{port}#@example.org/",
        f"http://localhost:{port}/",
        f"HTTP://LOCALHOST:{port}/",
    ):
        try:
            with asked(facts, f"GET {target}", "Host: example.org", f"X-Forwarded-Host: localhost:{port}"):
                return f"a page of {target}"
        except Refused as error:
            said = error
    raise said


@attempt("the API by way of the proxy, where it would look like the gateway itself", wall="addresses",
         process=HOLDS)  # fmt: skip
def api_by_proxy(facts: Facts) -> str:
    with asked(facts, f"GET http://localhost:{facts['api_port']}/api/v1/health", "Host: localhost"):
        return "the API answered"


@attempt("the gateway by way of itself", wall="addresses", process=HOLDS)
def gateway_by_itself(facts: Facts) -> str:
    target = f"localhost:{facts['gateway_port']}"
    with asked(facts, f"CONNECT {target}", f"Host: {target}"):
        return "a tunnel to the gateway"


@attempt("out by the gateway without a token, or with a word in its place", wall="tokens", process=HOLDS)
def no_token(facts: Facts) -> str:
    target = f"127.0.0.1:{facts['listed_port']}"
    said: Exception = Refused("")
    for token in facts["tokens"].split():
        try:
            with asked(facts, f"CONNECT {target}", f"Host: {target}", token=token.strip("-")):
                return f"a tunnel to {target}"
        except Refused as error:
            said = error
    raise said


def api(facts: Facts, method: str, path: str, body: object = None, token: str = "") -> str:
    """Ask the API by the gateway; `Refused` unless it does what is asked."""
    asked = urllib.request.Request(  # noqa: S310
        "http://{}:{}/api/v1{}".format(*door(facts), path),
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {token or os.environ['EGG_SESSION_TOKEN']}",
            "Content-Type": "application/json",
        },
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked, timeout=SECONDS) as answer:
            return f"{method} {urlsplit(path).path}: {answer.status}"
    except urllib.error.HTTPError as error:
        raise Refused(f"{error.code} {error.reason[:80]}") from error


@attempt("another pipeline's messages", wall="tokens", process=HOLDS)
def other_pipeline(facts: Facts) -> str:
    return api(facts, "GET", f"/pipelines/{facts['other_pipeline']}/messages", token=facts["other_token"])


@attempt("a message in another role's name", wall="tokens", process=HOLDS)
def other_role(facts: Facts) -> str:
    token, body = facts["testers_token"], {"message_type": "PROGRESS", "subject": "half way"}
    said = api(
        facts, "POST", f"/pipelines/{facts['pipeline']}/messages", body | {"from_role": "tester"}, token
    )
    return f"{said} as tester"


@attempt("operator's routes by the gateway, with the operator's own token", wall="operator", process=HOLDS)
def operators_route(facts: Facts) -> str:
    return api(facts, "GET", f"/pipelines/{facts['pipeline']}/egress", token=facts["operator_token"])


@attempt("operator's routes, written so that a gateway reads another path than the API", wall="operator",
         process=HOLDS)  # fmt: skip
def odd_paths(facts: Facts) -> str:
    name, said = facts["pipeline"], Refused("")
    for path in (
        f"/decisions/..%2fpipelines%2f{name}%2fegress",
        f"/pipelines/{name}/messages/../egress",
        f"/pipelines/{name}%2fegress%3f/messages",
        f"/pipelines/{name}/messages/..;/egress",
        f"//pipelines/{name}/egress",
        f"/pipelines/{name}/egress",
    ):
        try:
            return api(facts, "GET", path, token=facts["operator_token"])
        except Refused as error:
            said = error
    raise said
