"""What databases have in common as destinations: names, sessions, and the stored state."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from etl_assets.arguments import refuse_positional
from etl_assets.destinations.base import Destination, parse_options
from etl_assets.destinations.database.ledger import Ledger
from etl_assets.destinations.database.options import DatabaseOptions
from etl_assets.destinations.database.ownership import (
    loaded_columns,
    look_up,
    look_up_partitions,
    look_up_source,
    own_table,
)
from etl_assets.destinations.database.record_columns import NAMES
from etl_assets.destinations.database.reserved import ReservedNames, reserved_names
from etl_assets.engine.staging_folder import default_roots, sweep
from etl_assets.engine.start import new_load_id
from etl_assets.exceptions import DestinationError, StateError
from etl_assets.model.load import Capabilities, Load, Session
from etl_assets.model.stored import (
    Bookmark,
    Stored,
    StoredPartitions,
    StoredSource,
    StreamState,
    TableName,
)
from etl_assets.naming import identifiers, quote, refuse_surrogates, style
from etl_assets.strategies import WriteStrategy

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds

    from etl_assets.destinations.database.transaction import Transaction
    from etl_assets.model.encoded import Format
    from etl_assets.model.events import StreamKey
    from etl_assets.model.partitions import Partitions
    from etl_assets.model.stream import Stream

STAGING = ".etl_assets/staging"
"""Where a database that is no file stages what does not fit in memory, in the working directory."""


def database_capabilities(
    *, max_identifier_bytes: int = 255, max_columns: int | None = None
) -> Capabilities:
    """Return the capabilities of a database: every strategy, with state, in columns."""
    return Capabilities(
        strategies=frozenset({WriteStrategy.APPEND, WriteStrategy.MERGE, WriteStrategy.REPLACE}),
        keeps_state=True,
        partitions=True,
        encoding="arrow",
        max_identifier_bytes=max_identifier_bytes,
        max_columns=max_columns,
        checks=True,
    )


class DatabaseDestination(Destination):
    """A database that keeps the state row beside the rows, so that each is loaded exactly once.

    A subclass gives `Options` and `transaction`. Its `Transaction` says what differs between
    databases.

    Args:
        options: The options of the class's `Options`.
    """

    Options: ClassVar[type[DatabaseOptions]] = DatabaseOptions
    capabilities = database_capabilities()
    rolls_back: ClassVar[bool] = False
    """Whether a transaction that fails undoes changes of tables, too.

    Each of its loads can then be tried again by itself.
    """
    has_schemas: ClassVar[bool] = True
    """Whether the database has schemas; without them a table is called `<schema>__<table>`."""
    can_split: ClassVar[bool] = False
    """Whether all ranges of a split can be published by one transaction, which needs `copy`."""
    encoded_as: ClassVar["Format | None"] = None
    """The format in which it takes rows as they come, if there is one."""

    def __init__(self, *args: Any, **options: Any) -> None:
        refuse_positional(type(self).__name__, args, self.Options.model_fields)
        super().__init__(config=None)
        self.options: Any = parse_options(self.Options, type(self).__name__, options)
        self.load_id_column: str | None = self.options.load_id_column
        self.loaded_at_column: str | None = self.options.loaded_at_column
        self.load_columns: Sequence[str] = [
            name for name in (self.load_id_column, self.loaded_at_column) if name
        ]
        """The columns that say by which load a row came, and when."""
        self._naming = style(self.options.naming)

    @property
    @override
    def own_columns(self) -> Sequence[str]:
        return [*self.load_columns, *self.record_columns]

    @property
    def record_columns(self) -> Sequence[str]:
        """The columns about each record: PyAirbyte's, if they are asked for."""
        return NAMES if self.options.airbyte_columns else ()

    @override
    def get_config(self) -> dict[str, Any]:
        """Return the options as they were given, each `SecretString` masked."""
        found: dict[str, Any] = self.options.model_dump(mode="json")
        return found

    # What a database says for itself

    def transaction(self) -> AbstractContextManager["Transaction"]:
        """Open a transaction: COMMIT at the end, ROLLBACK on any exception, also on a cancel."""
        raise NotImplementedError(f"{type(self).__name__} must override transaction.")

    def short_transaction(self, size: int = 0) -> AbstractContextManager["Transaction"]:
        """Open a transaction in which none of the user's code runs.

        Args:
            size: About how many bytes of rows are written.
        """
        del size
        return self.transaction()

    def ledger(self, transaction: "Transaction") -> Ledger:
        """Return the ledger in a transaction.

        By default its two tables are where a name without a schema leads.
        """
        return Ledger(transaction)

    def exists(self) -> bool:
        """Return whether there is anything to connect to; a file may not be made yet."""
        return True

    def staging_roots(self) -> Sequence[Path]:
        """Return where batches wait that do not fit in memory.

        They go into the first of these that can be written to.
        """
        given = self.options.staging_dir
        return (Path(given),) if given else default_roots(self.default_staging())

    def default_staging(self) -> str:
        """Return the folder for batches that do not fit in memory, unless another one is given."""
        return STAGING

    @override
    def test_connection(self) -> None:
        """Connect, and say what is wrong if that fails: host, port, login or database."""
        with self.transaction() as tx:
            self.ledger(tx).exists()

    # Names

    @override
    def table_for(self, source: str, stream: "Stream") -> TableName:
        """Return the default place of a stream.

        The table is named after the stream; the schema after the source, or by `schema_name`.
        """
        full_name = f"{stream.namespace}_{stream.name}" if stream.namespace else stream.name
        name = self.identifier(f"{self.options.table_prefix}{stream.stream_alias or full_name}")
        schema = self.options.schema_name or self.identifier(source)
        if self.has_schemas:
            return TableName(name, schema)
        return TableName(self.identifier(f"{schema}__{name}"))

    def identifier(self, name: str) -> str:
        """Return the name in the database of one thing."""
        most = self.capabilities.max_identifier_bytes
        return identifiers([name], naming=self.spell, max_bytes=most)[name]

    def spell(self, name: str) -> str:
        """Return a name as `naming` has it, and as the database can."""
        return self._naming(name)

    def reserved_names(self) -> ReservedNames:
        """Return the names that none of its columns can have."""
        return reserved_names(self.storage_kind)

    def column_identifiers(
        self, names: Sequence[str], known: Mapping[str, str], reserved: Sequence[str]
    ) -> dict[str, str]:
        """Return a unique column name for each field, none of them reserved.

        A field that has a column already keeps its name.
        """
        return identifiers(
            names,
            known=known,
            reserved=reserved,
            naming=self.spell,
            max_bytes=self.capabilities.max_identifier_bytes,
            usable=self.reserved_names().usable,
        )

    # Sessions

    @override
    def session(self, loads: Sequence[Load]) -> AbstractContextManager[Session]:
        """Open a session, which opens the database only to look something up and to publish."""
        return self._session(loads)

    @contextmanager
    def _session(self, loads: Sequence[Load]) -> Iterator[Session]:
        roots = self.staging_roots()
        sweep(roots)
        from etl_assets.destinations.database.session import DatabaseSession

        session = DatabaseSession(self, loads, roots, self.options.staging_memory_bytes)
        try:
            yield session
        finally:
            try:
                session.close()
            finally:
                sweep(roots)

    @override
    def stored(
        self, source: str, stream: "Stream", *, table: TableName | None = None, partition: str = ""
    ) -> Stored:
        """Return what is known of a stream.

        Raises:
            ConfigError: The name of the source or of the table is no Unicode text.
        """
        refuse_surrogates(source)
        if table is not None:
            refuse_surrogates(table.schema)
            refuse_surrogates(table.name)
        if not self.exists():
            return Stored()
        with self.short_transaction() as tx:
            ledger = self.ledger(tx)
            with ledger.reading():
                place = self._table(ledger, source, stream, table)
                return look_up(tx, ledger, source, stream, place, partition)

    def stored_partitions(
        self,
        source: str,
        stream: "Stream",
        *,
        names: Sequence[str],
        table: TableName | None = None,
    ) -> StoredPartitions:
        """Return what is known of a stream that is loaded by partition, and of some of these.

        Raises:
            ConfigError: The source's name, or the table's, is no Unicode text.
        """
        for name in (source, *((table.schema, table.name) if table else ())):
            refuse_surrogates(name)
        if not self.exists():
            return StoredPartitions(Stored(), {})
        with self.short_transaction() as tx:
            ledger = self.ledger(tx)
            place = self._table(ledger, source, stream, table)
            return look_up_partitions(tx, ledger, source, stream, place, names)

    @override
    def settled_table(self, source: str, stream: "Stream", table: TableName) -> TableName:
        """Return the table that a stream has by the ledger, unless somebody has named it."""
        if not self.exists():
            return table
        # A damaged state row does not tell the table; it is an error when the sync begins.
        with self.short_transaction() as tx, suppress(StateError):
            return self._table(self.ledger(tx), source, stream, table)
        return table

    def _table(
        self, ledger: Ledger, source: str, stream: "Stream", table: TableName | None
    ) -> TableName:
        if ledger.exists():
            return own_table(ledger, self, source, stream, table)
        return table or self.table_for(source, stream)

    @override
    def stored_many(
        self,
        source: str,
        streams: Sequence[tuple["Stream", TableName | None]],
        *,
        partition: str = "",
    ) -> list[Stored]:
        """Look up streams in one transaction, because it may take long to open a database."""
        if not self.exists():
            return [Stored() for _ in streams]
        found = []
        with self.short_transaction() as tx:
            ledger = self.ledger(tx)
            with ledger.reading():
                for stream, table in streams:
                    place = self._table(ledger, source, stream, table)
                    found.append(look_up(tx, ledger, source, stream, place, partition))
        return found

    @override
    def stored_source(self, source: str, *, partition: str = "") -> StoredSource:
        """Return what is known of a whole source."""
        if not self.exists():
            return StoredSource()
        with self.short_transaction() as tx:
            return look_up_source(self.ledger(tx), source, partition)

    @override
    def read_table(
        self,
        table: TableName,
        *,
        columns: Sequence[str] | None = None,
        partitions: "Partitions | None" = None,
    ) -> "pa.Table":
        """Read a table back as Arrow; no connection outlives the call.

        Args:
            table: The table.
            columns: Some of the columns; by default all.
            partitions: Those whose rows are read; by default all rows are.

        Raises:
            DestinationError: There is no such table. Of no partitions, it need not be there: the
                first one of an asset that reads those before has none.
        """
        import pyarrow as pa

        with self.transaction() as tx:
            if partitions is not None and not partitions.each and tx.schema(table) is None:
                return pa.table({})
            self._require(tx, table)
            where = "" if partitions is None else self._condition(tx, table, partitions)
            return tx.read(table, columns, where)

    def first_rows(
        self, table: TableName, columns: Sequence[str], rows: int, *, load_id: str
    ) -> list[tuple[Any, ...]]:
        """Return at most so many rows that a load has written, as the driver gives them.

        There are none where the engine has no word for the first rows of a query.
        """
        import pyarrow as pa

        with self.transaction() as tx:
            if not tx.first_row:
                return []
            of_load = ""
            if self.load_id_column:
                of_load = f" WHERE {tx.among(self.load_id_column, pa.string(), [load_id])}"
            names = ", ".join(map(quote, columns))
            first = tx.first_row.replace("1", str(rows))
            return tx.ask(table, lambda place: f"SELECT {names} FROM {place}{of_load} {first}")

    def partition_condition(self, table: TableName, partitions: "Partitions") -> str:
        """Return the condition, as SQL, that a row of a table is in one of some partitions.

        Raises:
            DestinationError: There is no such table.
        """
        with self.transaction() as tx:
            self._require(tx, table)
            return self._condition(tx, table, partitions)

    def _condition(self, tx: "Transaction", table: TableName, partitions: "Partitions") -> str:
        from etl_assets.destinations.database.partition_rows import PartitionRows

        columns = loaded_columns(self.ledger(tx), table)
        unknown = [name for name in partitions.fields if name not in columns]
        columns |= self.column_identifiers(unknown, {}, self.own_columns)
        return PartitionRows(tx, table, partitions, columns, {}, table.name).condition()

    def snapshot(
        self,
        table: TableName,
        *,
        where: Sequence[str] = (),
        columns: Sequence[str] | None = None,
        without: Collection[str] = (),
        chunk_rows: int = 100_000,
        directory: Path | None = None,
    ) -> "ds.Dataset":
        """Copy a table into an Arrow file, and return it as a dataset without a connection.

        Args:
            table: The table.
            where: Conditions as SQL; a row has to meet all of them.
            columns: Some of the columns; by default all.
            without: Columns that are left out.
            chunk_rows: The rows of a batch.
            directory: The folder of the file.

        Raises:
            DestinationError: There is no such table.
        """
        from etl_assets.frames import to_dataset

        with self.transaction() as tx:
            self._require(tx, table)
            if without:
                columns = [name for name in columns or tx.type_names(table) if name not in without]
            found = tx.scan(table, _all_of(where), chunk_rows, columns)
            return to_dataset(found, chunk_rows=chunk_rows, directory=directory)

    def count(self, table: TableName, *, where: Sequence[str] = ()) -> int:
        """Count the rows of a table that meet all conditions.

        Raises:
            DestinationError: There is no such table.
        """
        with self.transaction() as tx:
            self._require(tx, table)
            return tx.count(table, _all_of(where))

    def _require(self, tx: "Transaction", table: TableName) -> None:
        if tx.schema(table) is None:
            raise DestinationError(
                f"There is no table {table} in {self!r}.", hint="Materialize it first."
            )

    # The stored state

    @override
    def states(self) -> list[StreamState]:
        if not self.exists():
            return []
        with self.transaction() as tx:
            ledger = self.ledger(tx)
            return ledger.states() if ledger.exists() else []

    @override
    def stored_under(
        self, source: str, streams: Collection["StreamKey"], *, hashed: bool = False
    ) -> str:
        from etl_assets.destinations.database.places import stored_under

        return stored_under(self, source, streams, hashed=hashed)

    @override
    def noted_config(self, source: str, document: Mapping[str, Any] | None = None) -> Any:
        if not self.exists():
            return None
        with self.transaction() as tx:
            ledger = self.ledger(tx)
            known = ledger.known_config(source) if ledger.exists() else None
            if document is not None:
                ledger.note_config(source, document)
        return known

    @override
    def set_bookmark(self, state: StreamState, bookmark: Bookmark | None) -> None:
        with self.transaction() as tx:
            self.ledger(tx).set_bookmark(state, bookmark, new_load_id())

    @override
    def delete_state(self, state: StreamState) -> None:
        with self.transaction() as tx:
            self.ledger(tx).delete(state)

    @override
    def rename_source(self, old: str, new: str) -> int:
        with self.transaction() as tx:
            return self.ledger(tx).rename_source(old, new)

    @override
    def rewind(self, state: StreamState, load_id: str) -> int:
        with self.transaction() as tx:
            return self.ledger(tx).rewind(state, load_id, self.load_id_column)


def _all_of(conditions: Sequence[str]) -> str:
    return " AND ".join(f"({condition})" for condition in conditions)
