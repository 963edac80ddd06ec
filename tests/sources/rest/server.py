"""A small server that misbehaves as it is told, on a port of its own."""

import gzip
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Asked:
    """One request, as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """What is answered.

    Args:
        document: Its body, as JSON...
        body: ...or in bytes.
        cut: Close the connection after so many bytes of the body.
        bare: Send neither the length nor chunks: the end of the connection ends the body.
        wait: An event that is waited for before anything is sent.
    """

    document: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut: int | None = None
    bare: bool = False
    zipped: bool = False
    wait: threading.Event | None = None


Route = Callable[[Asked], Any]


class Server:
    """Answers by its routes: a path, and a function from what is asked to a `Reply` or a document."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.asked: list[Asked] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one write per answer

            def handle_one(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                parts = urlsplit(self.path)
                query = {
                    name: values[-1]
                    for name, values in parse_qs(parts.query, keep_blank_values=True).items()
                }
                asked = Asked(
                    self.command, parts.path, query, dict(self.headers), self.rfile.read(length)
                )
                server.asked.append(asked)
                self._reply(server.answer(asked))

            do_GET = do_POST = do_PUT = handle_one  # noqa: N815 - as the base class calls them

            def _reply(self, reply: Reply) -> None:
                if reply.wait is not None:
                    reply.wait.wait(5)
                body = reply.body
                if body is None:
                    body = b"" if reply.document is None else json.dumps(reply.document).encode()
                headers = {"Content-Type": "application/json", **reply.headers}
                if reply.zipped:
                    body = gzip.compress(body)
                    headers["Content-Encoding"] = "gzip"
                self.send_response(reply.status)
                for name, text in headers.items():
                    self.send_header(name, text)
                if reply.bare:
                    self.send_header("Connection", "close")
                    self.close_connection = True
                else:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if reply.cut is not None:
                    self.wfile.write(body[: reply.cut])
                    self.close_connection = True
                    return
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def answer(self, asked: Asked) -> Reply:
        route = self.routes.get(asked.path)
        found = Reply({"error": "no such path"}, 404) if route is None else route(asked)
        return found if isinstance(found, Reply) else Reply(found)

    def route(self, path: str, *replies: Any) -> None:
        """Answer a path with these, one after the other; the last one goes on."""
        left = list(replies)

        def next_reply(_: Asked) -> Any:
            return left.pop(0) if len(left) > 1 else left[0]

        self.routes[path] = next_reply

    def paths(self) -> list[str]:
        return [one.path for one in self.asked]

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
