"""A TCP proxy that cuts the line at a moment of the test's choice."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

BUFFER = 1 << 16


@dataclass
class Cut:
    """When to cut: at the n-th message of the client that holds a word; before it or once it is delivered."""

    word: bytes
    deliver: bool
    port: int = 0
    happened: threading.Event = field(default_factory=threading.Event)


@contextmanager
def cutting(host: str, port: int, word: bytes, *, deliver: bool) -> Iterator[Cut]:
    """Pass bytes on to a server until the client sends a word; then cut both lines, with or without delivering it."""
    cut = Cut(word, deliver)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        cut.port = listening.getsockname()[1]
        threading.Thread(target=_accept, args=(listening, (host, port), cut), daemon=True).start()
        yield cut


def _accept(listening: socket.socket, server: tuple[str, int], cut: Cut) -> None:
    with suppress(OSError):  # the test is over
        while True:
            client, _ = listening.accept()
            upstream = socket.create_connection(server)
            threading.Thread(target=_pass_on, args=(upstream, client), daemon=True).start()
            threading.Thread(target=_watch, args=(client, upstream, cut), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(BUFFER):
            sink.sendall(data)
    _close(source, sink)


def _watch(client: socket.socket, upstream: socket.socket, cut: Cut) -> None:
    with suppress(OSError):
        while data := client.recv(BUFFER):
            if cut.word in data and not cut.happened.is_set():
                cut.happened.set()
                _close(client)
                if cut.deliver:
                    upstream.sendall(data)
                    upstream.settimeout(5)
                    upstream.recv(BUFFER)  # the server has done it, and nobody hears of it
                break
            upstream.sendall(data)
    _close(client, upstream)


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
