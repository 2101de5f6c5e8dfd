"""A git server over HTTP that lets in who knows the password, as a company's does."""

import base64
import contextlib
import http.server
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

USER, PASSWORD = "ada", "se/cr@t-7f3a"
ENCODED = "se%2Fcr%40t-7f3a"
PEM = Path(__file__).with_suffix(".pem")
"""A key and a certificate nobody has signed, for tests alone."""
WANTED = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@dataclass
class Site:
    """The directory it serves, where it answers, and what was asked."""

    directory: Path
    port: int
    scheme: str = "http"
    asked: list[str] = field(default_factory=list)

    def url(self, name: str, *, credential: str = "") -> str:
        """The URL of a repository in the directory, with a credential in it if one is given."""
        return f"{self.scheme}://{credential and credential + '@'}127.0.0.1:{self.port}/{name}"


class Door(http.server.SimpleHTTPRequestHandler):
    """Asks for a name and a password, then gives what is there."""

    site: ClassVar[Site]

    def do_GET(self) -> None:
        """Give it to who has the password."""
        self.site.asked.append(self.path)
        if self.headers.get("Authorization") != WANTED:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="private"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path.startswith("/plain/"):
            super().do_GET()
        else:
            self._git()

    do_POST = do_GET  # noqa: N815 - the standard library's name

    def translate_path(self, path: str) -> str:
        """Where a plain file is."""
        return str(self.site.directory / path.partition("?")[0].removeprefix("/plain/"))

    def _git(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.site.directory),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, capture_output=True, check=False
        )
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served(directory: Path, *, scheme: str = "http") -> Iterator[Site]:
    """Serve the bare repositories in a directory: in git's own protocol, and as plain files below /plain/."""
    site = Site(directory, 0, scheme)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Door", (Door,), {"site": site}))
    site.port = server.server_port
    if scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(PEM)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield site
    server.shutdown()
    server.server_close()
    thread.join()
