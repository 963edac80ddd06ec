"""A cluster for the tests of a module: two machines that work and one that launches, and a shop of 21 tables."""

import shutil
import subprocess
import uuid
from collections.abc import Iterator

import pytest

from tests.scaling.machines import BROKER, ISOLATED, PROGRAMS, Cluster, Machine, Worker
from tests.servers import missing, postgres_server

STREAMS = [f"t{number:02}" for number in range(20)]
SPLIT = "orders"
COLUMNS = "id, name, amount, changed, updated_at"
NOW = "timestamptz '2026-01-01' + nextval('clock') * interval '1 second'"
"""A clock that all tables share and that never stands still."""
ASK_BROKER = """
import sys
from kombu import Connection
with Connection(sys.argv[1], connect_timeout=10) as connection:
    channel = connection.channel()
    for queue in sys.argv[2:]:
        channel.queue_delete(queue)
"""


@pytest.fixture(scope="session")
def services() -> None:
    """Skip the tests where something is missing, or fail them where it is required."""
    postgres_server()
    if not (PROGRAMS / "dagster-celery").exists():
        missing("no .venv-scaling: run `make .venv-scaling`")
    if subprocess.run([*ISOLATED, "true"], check=False, capture_output=True).returncode:
        missing("no mount namespaces, which keep the machines of these tests apart")
    asked = ask_broker()
    if asked.returncode:
        missing(f"no RabbitMQ server: {asked.stderr.strip().splitlines()[-1]}")


def ask_broker(*dropped: str) -> "subprocess.CompletedProcess[str]":
    """Connect to the broker, and drop queues."""
    command = [str(PROGRAMS / "python"), "-c", ASK_BROKER, BROKER, *dropped]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def cluster(services: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return a cluster whose machines have the project with its catalog."""
    own = Cluster(tmp_path_factory.mktemp("cluster"), f"t_{uuid.uuid4().hex[:12]}")
    own.create_databases()
    try:
        open_shop(own)
        builder = Machine(own, "builder")
        assert builder.run("etl-assets", "discover", "definitions.py") == 0, builder.log
        shutil.copytree(builder.project / "catalogs", own.image / "catalogs")
        yield own
    finally:
        own.stop()
        own.drop_databases()
        ask_broker(own.queue)


@pytest.fixture(scope="module")
def launcher(cluster: Cluster) -> Machine:
    return Machine(cluster, "launcher")


@pytest.fixture(scope="module")
def begun() -> list[Worker]:
    """Return the list of all workers of the module."""
    return []


@pytest.fixture
def workers(cluster: Cluster, begun: list[Worker]) -> list[Worker]:
    """Return two workers that run; a machine that another test has lost is replaced."""
    living = [worker for worker in begun if worker.process.poll() is None]
    while len(living) < 2:
        worker = Worker(cluster, f"worker{len(begun)}")
        begun.append(worker)
        living.append(worker)
    for worker in living:
        worker.wait_until_ready()
    return living


def open_shop(cluster: Cluster) -> None:
    """Make the tables of the source, each with other rows."""
    with cluster.connect("shop") as shop:
        shop.execute("CREATE SEQUENCE clock")
        for number, table in enumerate([*STREAMS, SPLIT]):
            shop.execute(
                f"CREATE TABLE {table} (id int PRIMARY KEY, name text, amount numeric(12, 2),"
                f" changed boolean DEFAULT false, updated_at timestamptz DEFAULT {NOW})".encode()
            )
            add_rows(cluster, table, 1, 4000 if table == SPLIT else 50 + number)


def add_rows(cluster: Cluster, table: str, first: int, last: int) -> None:
    with cluster.connect("shop") as shop:
        shop.execute(
            f"INSERT INTO {table} (id, name, amount)"
            f" SELECT n, '{table} ' || n, n * 1.25 FROM generate_series({first}, {last}) n".encode()
        )


def change_rows(cluster: Cluster, table: str, last: int) -> None:
    with cluster.connect("shop") as shop:
        shop.execute(
            f"UPDATE {table} SET changed = NOT changed, updated_at = {NOW} WHERE id <= {last}".encode()
        )


def rows_of(cluster: Cluster, database: str, table: str) -> list[tuple[object, ...]]:
    """Return the rows of a table by a client of the test's own."""
    with cluster.connect(database) as connection:
        asked = f"SELECT {COLUMNS} FROM {table} ORDER BY id, {COLUMNS}"
        return connection.execute(asked.encode()).fetchall()


def assert_every_row_is_there_once(cluster: Cluster) -> None:
    for table in [*STREAMS, SPLIT]:
        source = rows_of(cluster, "shop", table)
        assert len(source) >= 50
        assert rows_of(cluster, "warehouse", f"shop.{table}") == source, table
