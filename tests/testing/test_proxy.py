"""The proxy of the fault harness loses the answer it should, or what was asked; the server has done it, or not."""

import socket
import threading
from collections.abc import Iterator

import pytest

from etl_assets.testing.proxy import Address, LosingProxy

Asked = tuple[Address, list[bytes]]


@pytest.fixture
def server() -> Iterator[Asked]:
    """A server that answers everything with `done`; gives its address and what it was asked."""
    asked: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(1000):
                asked.append(data)
                connection.sendall(b"done")

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[:2], asked
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=10)


def ask(client: socket.socket, text: bytes) -> bytes:
    client.sendall(text)
    return client.recv(1000)


def test_the_nth_answer_is_lost_and_others_are_not(server: Asked) -> None:
    address, asked = server
    with LosingProxy(address, nth=2) as proxy:
        with socket.create_connection(proxy.address, timeout=10) as client:
            assert [ask(client, text) for text in (b"INSERT", b"commit", b"INSERT")] == [
                b"done"
            ] * 3
            assert not proxy.lost
            assert ask(client, b"COMMIT") == b"", "the connection was closed in place of an answer"
        assert proxy.lost
        with socket.create_connection(proxy.address, timeout=10) as client:
            assert ask(client, b"COMMIT") == b"done"
    assert asked == [b"INSERT", b"commit", b"INSERT", b"COMMIT", b"COMMIT"]


def test_what_is_not_delivered_never_reaches_the_server(server: Asked) -> None:
    address, asked = server
    with LosingProxy(address, deliver=False) as proxy:
        with socket.create_connection(proxy.address, timeout=10) as client:
            assert ask(client, b"INSERT") == b"done"
            assert ask(client, b"COMMIT") == b"", "the connection was closed in place of an answer"
        assert proxy.lost
    assert asked == [b"INSERT"]
