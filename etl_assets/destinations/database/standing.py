"""The types of a table before the rows of a load come, for a source that chooses types by them."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Self

from etl_assets.destinations.contract import Shape
from etl_assets.destinations.database.transaction import Transaction
from etl_assets.model.contract import ContractMode
from etl_assets.model.load import Load
from etl_assets.model.stored import TableName
from etl_assets.strategies import WriteStrategy

if TYPE_CHECKING:
    import pyarrow as pa


class StandingTypes:
    """The types of one load's table; see `model.request.TableTypes`.

    Args:
        load: The load.
        table: Its table.
        transaction: Opens a transaction.
        shape: Returns what the load has to fit, given a transaction.
        anew: Whether the columns of a table that is replaced may change.
    """

    def __init__(
        self,
        load: Load,
        table: TableName,
        transaction: Callable[[], AbstractContextManager[Transaction]],
        shape: Callable[[Transaction], Shape | None],
        *,
        anew: bool,
    ) -> None:
        self.is_fixed = load.contract.data_type is not ContractMode.EVOLVE
        self.is_replaced = load.strategy is WriteStrategy.REPLACE
        self._table = table
        self._transaction = transaction
        self._shape_in = shape
        self._forgotten = anew and self.is_replaced and not self.is_fixed
        self._opened = ExitStack()
        self._tx: Transaction | None = None
        self._shape: Shape | None = None

    def __enter__(self) -> Self:
        """Look at the table as it is now, in one transaction."""
        self._tx = self._opened.enter_context(self._transaction())
        found = None if self._forgotten else self._shape_in(self._tx)
        self._shape = found if found is not None and found.exists else None
        return self

    def __exit__(self, *raised: object) -> None:
        """End the transaction."""
        self._tx = None
        self._opened.close()

    def type_of(self, field: str) -> "pa.DataType | None":
        """Return the type of a field's column, or None if there is no column."""
        return None if self._shape is None else self._shape.of_field([field]).get(field)

    def is_open(self, field: str) -> bool:
        """Return whether a field's column, of text, gets another type with its first values."""
        if self.is_fixed:
            return False
        column = self._column(field)
        if self._open.has_values(self._table, column):
            return False
        return self._open.is_free(self._table, column)

    def stored(self, type_: "pa.DataType") -> "pa.DataType":
        """Return the type in which the destination keeps the values of one."""
        return self._open.stored_type(type_)

    def integers_fit(self, field: str) -> bool:
        """Return whether all integers of a field's column are exact as doubles."""
        return self._open.integers_fit(self._table, self._column(field))

    @property
    def signs_zeros(self) -> bool:
        """Whether the destination keeps -0.0."""
        return self._open.signs_zeros

    @property
    def _open(self) -> Transaction:
        if self._tx is None:
            raise RuntimeError("The table is looked at in a with statement.")
        return self._tx

    def _column(self, field: str) -> str:
        return field if self._shape is None else self._shape.columns_of([field])[field]
