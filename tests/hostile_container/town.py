"""A neighbour with a network in which every address answers: the whole outside, in a container that has none.

Run as its first process; the test then has the kernel take each address for the neighbour's own.
"""

import contextlib
import http.server
import socket
import struct
import threading

PORTS = (80, 443, 5432)
"""Where it answers by TCP; on the first with HTTP."""
DATAGRAMS = (53, 443)


def listening(family: socket.AddressFamily, port: int) -> None:
    """Take connections and say nothing."""
    with socket.create_server(("::" if family == socket.AF_INET6 else "", port), family=family) as door:
        held = []
        while True:
            held.append(door.accept())


def named(question: bytes) -> bytes:
    """The answer of a name server that knows every name."""
    end = question.index(b"\0", 12) + 5
    head = question[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0)
    return head + question[12:end] + struct.pack("!3HIH4B", 0xC00C, 1, 1, 60, 4, 198, 51, 100, 9)


def answering(port: int) -> None:
    """Answer each datagram; a question for a name with an address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("", port))
        # An answer must come from the address that was asked, and here each is one's own.
        door.setsockopt(socket.IPPROTO_IP, 8, 1)
        while True:
            said, ancillary, _, who = door.recvmsg(2000, 100)
            answer = named(said) if port == 53 else said
            door.sendmsg([answer], [(level, kind, to) for level, kind, to in ancillary], 0, who)


class Metadata(http.server.BaseHTTPRequestHandler):
    """Serves whatever is asked for."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"role/of-this-machine")

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def main() -> None:
    """Be there until the end."""
    for port in PORTS[1:]:
        threading.Thread(target=listening, args=(socket.AF_INET, port)).start()
    with contextlib.suppress(OSError):
        threading.Thread(target=listening, args=(socket.AF_INET6, 443)).start()
    for port in DATAGRAMS:
        threading.Thread(target=answering, args=(port,)).start()
    http.server.ThreadingHTTPServer(("", PORTS[0]), Metadata).serve_forever()


if __name__ == "__main__":
    main()
