"""A stand-in of Snowflake for tests: `fakesnow` as a server, asked by Snowflake's own connector."""

import logging
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest


@contextmanager
def fake_snowflake() -> Iterator[Mapping[str, Any]]:
    """Yield the arguments by which the connector reaches it."""
    import uvicorn

    pytest.importorskip("fakesnow", reason="its versions go with those of DuckDB")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(
            import_module("fakesnow.server").app, port=port, log_level="critical", access_log=False
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.05)
    logging.getLogger("snowflake").setLevel(logging.CRITICAL)
    try:
        yield {
            "account": "fakesnow", "username": "fake", "password": "the-password", "database": "DB",
            "connect_args": {"host": "127.0.0.1", "port": port, "protocol": "http", "network_timeout": 1},
        }  # fmt: skip
    finally:
        server.should_exit = True
        thread.join(10)
