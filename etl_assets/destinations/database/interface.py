"""What a session needs of a destination that is a database."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar, Protocol

from etl_assets.destinations.database.ledger import Ledger
from etl_assets.destinations.database.transaction import Transaction
from etl_assets.model.encoded import Format
from etl_assets.model.load import Capabilities
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream


class Database(Protocol):
    """What the session needs of a destination that is a database."""

    encoded_as: ClassVar[Format | None]
    capabilities: Capabilities
    load_id_column: str | None
    loaded_at_column: str | None
    rolls_back: ClassVar[bool]

    @property
    def own_columns(self) -> Sequence[str]:
        """The columns that are added to those of the rows: of the load, and about each record."""
        ...

    @property
    def record_columns(self) -> Sequence[str]:
        """The columns about each record that its tables have; see `record_columns`."""
        ...

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Open a transaction: COMMIT at the end, ROLLBACK on any exception, also on a cancel."""
        ...

    def short_transaction(self, size: int = 0) -> AbstractContextManager[Transaction]:
        """Open one in which none of the user's code runs, for so many bytes of rows."""
        ...

    def ledger(self, transaction: Transaction) -> Ledger:
        """Return the ledger in a transaction."""
        ...

    def table_for(self, source: str, stream: Stream) -> TableName:
        """Return the default place of a stream."""
        ...

    def column_identifiers(
        self, names: Sequence[str], known: Mapping[str, str], reserved: Sequence[str]
    ) -> dict[str, str]:
        """Return a unique column name for each field."""
        ...
