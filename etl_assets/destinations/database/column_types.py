"""Which type a column gets by the values that are staged for it, and by those that it has."""

from typing import TYPE_CHECKING

from etl_assets.destinations.database.transaction import Transaction
from etl_assets.engine.casting import Side, merge_schemas
from etl_assets.model.contract import ContractMode
from etl_assets.model.schema.types import is_json, logical

if TYPE_CHECKING:
    import pyarrow as pa

    from etl_assets.destinations.database.plan import Plan


def narrowed(
    tx: Transaction, plan: "Plan", field: str, type_: "pa.DataType", there: "pa.DataType | None"
) -> "pa.DataType":
    """Return a narrower type than a field's own, if it holds all staged values and spares a text.

    Nanoseconds become microseconds if that loses nothing. Whole numbers that came as decimals
    become integers if the engine keeps decimals as texts, which do not sort as numbers do.

    Args:
        tx: Where the table is.
        plan: What is to be written.
        field: The field.
        type_: The type in which it is staged.
        there: The type of its column, if there is one.
    """
    import pyarrow as pa

    if pa.types.is_timestamp(type_) or pa.types.is_time64(type_):
        if type_.unit != "ns" or tx.stored_type(type_) == type_:
            return type_
        coarser = pa.timestamp("us", type_.tz) if pa.types.is_timestamp(type_) else pa.time64("us")
        return coarser if plan.staging.fits(field, coarser) else type_
    stored = tx.stored_type(type_)
    is_whole = pa.types.is_decimal(stored) and not stored.scale
    can_be_integers = there is None or pa.types.is_integer(there)
    if not is_whole or not tx.decimals_are_texts or not can_be_integers:
        return type_
    return pa.int64() if plan.staging.fits(field, pa.int64()) else type_


def merged(tx: Transaction, plan: "Plan", came: "pa.Field", there: "pa.DataType") -> "pa.DataType":
    """Return the type of a column that holds what is in the table and what is staged.

    A column that was NULL in every row so far got its type from no value, so the first values give
    it theirs. A key keeps the type that it has, and so does a column that a constraint, an index or
    a view rests on.

    Args:
        tx: Where the table is.
        plan: What is to be written.
        came: The column, with the type in which its field is staged.
        there: The type that the column has.

    Raises:
        SchemaConflictError: There is no such type. The error names the column.
    """
    import pyarrow as pa

    if _is_open(tx, plan, came, there):
        return came.type

    def fit(name: str, side: Side, type_: "pa.DataType") -> bool:
        if side == "new":
            return plan.staging.fits(plan.field_of(name), type_)
        if pa.types.is_floating(type_):
            return tx.integers_fit(plan.table, name)
        return tx.fits(plan.table, name, type_)

    found = merge_schemas(pa.schema([(came.name, there)]), pa.schema([(came.name, came.type)]), fit)
    return tx.stored_type(found.field(0).type)


def _is_open(tx: Transaction, plan: "Plan", came: "pa.Field", there: "pa.DataType") -> bool:
    """Return whether a column of text can take the type of the first values that come for it."""
    import pyarrow as pa

    is_text = pa.types.is_string(there) or is_json(there)
    if not is_text or pa.types.is_string(logical(came.type)):
        # A column of another type is widened, and only then looked at for values.
        return False
    if not plan.staging.rows or plan.load.contract.data_type is not ContractMode.EVOLVE:
        return False
    field = plan.field_of(came.name)
    if field not in plan.schema.names or pa.types.is_null(plan.schema.field(field).type):
        return False
    return tx.is_free(plan.table, came.name) and not tx.has_values(plan.table, came.name)
