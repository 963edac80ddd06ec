"""A TCP proxy that loses a COMMIT or the answer to it; the client does not know which."""

import socket
import threading
from contextlib import suppress
from typing import Self

CHUNK_BYTES = 65_536
Address = tuple[str, int]


class LosingProxy:
    """Forwards connections to a server, up to a message that is lost or whose answer is lost.

    It is a context manager.

    Args:
        server: Host and port.
        word: What the message contains, in upper or lower case.
        nth: Which of these messages, counted from 1. The connection is closed instead of the
            answer, and other connections go on.
        deliver: Whether the server gets the message.
    """

    def __init__(
        self, server: Address, *, word: bytes = b"COMMIT", nth: int = 1, deliver: bool = True
    ) -> None:
        self._server = server
        self._word = word.upper()
        self._left = nth
        self._deliver = deliver
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: Address = self._listener.getsockname()[:2]
        self.lost = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        for one in [self._listener, *self._sockets]:
            _close(one)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
            except OSError:
                return  # closed
            self._sockets += [client, server]
            lose = threading.Event()
            threading.Thread(target=self._ask, args=(client, server, lose), daemon=True).start()
            threading.Thread(target=self._answer, args=(client, server, lose), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, lose: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(CHUNK_BYTES):
                if self._word in data.upper():
                    with self._lock:
                        self._left -= 1
                        if self._left == 0:
                            lose.set()
                if lose.is_set() and not self._deliver:
                    self.lost = True
                    break
                server.sendall(data)
        _close(server)

    def _answer(self, client: socket.socket, server: socket.socket, lose: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(CHUNK_BYTES):
                if lose.is_set():
                    self.lost = True
                    break
                client.sendall(data)
        _close(client)
        _close(server)


def _close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
