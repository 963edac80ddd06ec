"""How staged rows meet the table that is there: a few lines for each write strategy.

All of it is made of the primitives of a `Transaction`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from etl_assets.destinations.database.bookkeeping import is_bookkeeping, relax
from etl_assets.destinations.database.column_types import merged as merged_type
from etl_assets.destinations.database.column_types import narrowed
from etl_assets.destinations.database.partition_rows import PartitionRows
from etl_assets.destinations.database.plan import Plan
from etl_assets.destinations.database.record_columns import types_of
from etl_assets.destinations.database.transaction import Transaction
from etl_assets.engine.casting import RefusedValueError
from etl_assets.exceptions import DataError, DestinationError, SchemaConflictError
from etl_assets.faults import fault
from etl_assets.model.contract import ContractMode
from etl_assets.model.schema.types import is_json
from etl_assets.model.stored import TableName
from etl_assets.naming import quote
from etl_assets.strategies import WriteStrategy

if TYPE_CHECKING:
    import pyarrow as pa

LARGEST_DOUBLE = "1.7976931348623157e308"


def write(tx: Transaction, plan: Plan) -> int:
    """Write a plan by its load's strategy, and return how many rows were loaded.

    Raises:
        DataError: The engine cannot hold a value. The error names stream and field.
    """
    with _named(plan):
        return _write(tx, plan)


def prepare(tx: Transaction, plan: Plan) -> None:
    """Make the table as the rows of a plan need it, and stage these in the database.

    This is for engines where it cannot be part of the transaction.

    Raises:
        DataError: The engine cannot hold a value. The error names stream and field.
    """
    with _named(plan):
        existing = tx.schema(plan.table)
        types = _prepared(tx, plan, existing, _wanted(tx, plan, existing))
        if plan.staging.rows and plan.load.strategy is WriteStrategy.MERGE:
            tx.index(plan.table, [plan.physical[key] for key in merge_keys(plan)])
        fault("altered")
        if plan.staging.rows:
            tx.stage(plan.table, plan.reader(types))


@contextmanager
def _named(plan: Plan) -> Iterator[None]:
    """Turn the refusal of a value into an error that names its stream and field."""
    try:
        yield
    except (RefusedValueError, DestinationError) as error:
        refused = plan.refused or error
        if not isinstance(refused, RefusedValueError):
            raise
        name = refused.column
        if plan.refused is None and name:
            name = plan.field_of(name)
        value, hint = refused.value, None
        if refused.character is not None:
            hint = "The database's own encoding lacks it: load into one whose encoding is UTF-8."
            name, value = plan.staging.holding(refused.character, name) or (name, value)
        raise DataError(
            refused.message, stream=plan.load.stream.name, field=name, value=value, hint=hint
        ) from error


def _write(tx: Transaction, plan: Plan) -> int:
    existing = tx.schema(plan.table)
    wanted = _wanted(tx, plan, existing)
    table = plan.table
    replaced = existing if plan.load.strategy is WriteStrategy.REPLACE else None
    if replaced is not None and not tx.alters_at_once:
        wanted = _replacing(plan, replaced, wanted)
        _note_replaced(plan, replaced, wanted)
        table = tx.begin_replace(table, wanted, plan.stamp)
        types = _as_made(tx, plan, wanted)
    else:
        types = _prepared(tx, plan, existing, wanted)
        if replaced is not None:
            table = tx.begin_replace(table, replaced, plan.stamp)
    if not tx.alters_at_once:
        fault("altered")
    if plan.load.partitions is not None and existing is not None:
        merges = plan.load.strategy is WriteStrategy.MERGE and bool(plan.staging.rows)
        if merges and not tx.alters_at_once:
            # Where an index is made by a session of its own, this one may not have read a row yet.
            tx.index(table, [plan.physical[key] for key in merge_keys(plan)])
        rows_of_partitions(tx, plan).delete()
    rows = _load(tx, plan, table, types) if plan.staging.rows or plan.tables else 0
    if replaced is not None:
        tx.end_replace(plan.table, table)
    return rows


def _prepared(
    tx: Transaction, plan: Plan, existing: "pa.Schema | None", wanted: "pa.Schema"
) -> "dict[str, pa.DataType]":
    """Make the table, or change it so that it holds the staged rows, and return its types."""
    if existing is not None:
        return _evolve(tx, plan, existing, wanted)
    tx.create_table(plan.table, wanted, plan.stamp)
    return _as_made(tx, plan, wanted)


def _as_made(tx: Transaction, plan: Plan, wanted: "pa.Schema") -> "dict[str, pa.DataType]":
    """Return the types of a table that is made for a plan."""
    return {f.name: f.type for f in wanted} | _types_about(tx, plan)


def _types_about(tx: Transaction, plan: Plan) -> "dict[str, pa.DataType]":
    """Return the types of the columns about each record that the rows have."""
    if not plan.stamp.about:
        return {}
    return {name: tx.stored_type(type_) for name, type_ in types_of(plan.stamp.about).items()}


def _load(tx: Transaction, plan: Plan, table: TableName, types: "Mapping[str, pa.DataType]") -> int:
    if plan.tables:
        return sum(tx.copy(one, table, plan.copied, plan.stamp) for one in plan.tables)
    rows = plan.mixed_batches(types) if tx.takes_encoded else plan.reader(types)
    if plan.load.strategy is not WriteStrategy.MERGE:
        if plan.load.strategy is WriteStrategy.APPEND:
            keyed = plan.load.stream.unique_constraints or plan.load.stream.primary_key
            tx.allow_repeats(table, [plan.physical[key] for key in keyed if key in plan.physical])
        return tx.insert(table, rows, plan.stamp)
    keys = merge_keys(plan)
    _refuse_null_keys(plan, keys)
    columns = [plan.physical[key] for key in keys]
    update = plan.load.on_conflict == "update"
    newer = _newer_by(plan)
    return tx.merge(
        table, rows, plan.stamp, columns, update=update, unique=plan.unique, newer=newer
    )


def rows_of_partitions(tx: Transaction, plan: Plan) -> PartitionRows:
    """Return the rows of the partitions that a plan brings, in their table."""
    partitions = plan.load.partitions
    if partitions is None:
        raise DestinationError(f"No partitions of {plan.table} are loaded.")
    staged = {f.name: f.type for f in (*(plan.declared or ()), *plan.schema)}
    columns = {name: plan.physical[name] for name in partitions.fields}
    return PartitionRows(tx, plan.table, partitions, columns, staged, plan.load.stream.name)


def _newer_by(plan: Plan) -> str | None:
    """Return the column that tells which of two rows with one key is newer, if there is one.

    A row elsewhere in the table may be newer than the one that came. The rows of the partitions are
    gone by then: a key that is still there has moved to another one.
    """
    cursor = plan.load.stream.cursor
    if plan.load.partitions is None or not cursor:
        return None
    return plan.physical.get(cursor[0])


def merge_keys(plan: Plan) -> Sequence[str]:
    """Return the fields a merge goes by: the unique constraints, or else the primary key.

    Raises:
        DataError: No row has one of them.
    """
    stream = plan.load.stream
    keys = stream.unique_constraints or stream.primary_key
    for key in keys:
        if key not in plan.schema.names:
            raise DataError(
                "the rows have no such field, which is part of the key.",
                stream=stream.name,
                field=key,
            )
    return keys


def _wanted(tx: Transaction, plan: Plan, existing: "pa.Schema | None") -> "pa.Schema":
    """Return the schema of what is written, by the names of the columns.

    It is the table's own if nothing was read and nothing is declared.
    """
    import pyarrow as pa

    if not plan.schema.names and existing is not None:
        return pa.schema(list(_not_ours(plan, existing).items()))
    there = {f.name: f.type for f in existing or ()}
    declared = {f.name: f.type for f in plan.declared or ()}
    fields = []
    for f in plan.schema:
        name, type_ = plan.physical[f.name], f.type
        if pa.types.is_null(type_):
            type_ = there.get(name) or declared.get(f.name, type_)
        if pa.types.is_null(type_):
            type_ = pa.string()
        type_ = narrowed(tx, plan, f.name, type_, there.get(name))
        fields.append(pa.field(name, tx.stored_type(type_)))
    return pa.schema(fields)


def _not_ours(plan: Plan, existing: "pa.Schema") -> "dict[str, pa.DataType]":
    """Return the types of a table's columns without our own."""
    return {f.name: f.type for f in existing if f.name not in plan.stamp.columns}


def _refuse_null_keys(plan: Plan, keys: Sequence[str]) -> None:
    for key in keys:
        if plan.staging.has_nulls(key):
            raise DataError(
                "a key is NULL or missing, so its row could be told from no other.",
                stream=plan.load.stream.name,
                field=key,
                hint="Correct the source, choose another primary_key, or append.",
            )


def _may_add(plan: Plan, physical: str) -> bool:
    """Return whether a column that the table lacks is to be added.

    It is left out if the contract discards new columns and no value would be lost by it.

    Raises:
        SchemaConflictError: The contract does not allow the column.
    """
    contract = plan.load.contract
    if contract.columns is ContractMode.EVOLVE:
        return True
    if contract.columns.discards and not plan.staging.rows:
        return False
    raise _changed_meanwhile(plan, physical, "not there")


def _changed_meanwhile(plan: Plan, physical: str, what: str) -> SchemaConflictError:
    # Batches were screened by the table before they were staged. So the table has changed since
    # then, or no row has come that could have been screened.
    return SchemaConflictError(
        f"its column in the table {plan.table} is {what}, "
        "and schema_contract lets no column or type change.",
        hint='Accept the change with schema_contract="evolve" for one sync.',
        stream=plan.load.stream.name,
        field=plan.field_of(physical),
        column=physical,
    )


def _replacing(plan: Plan, existing: "pa.Schema", wanted: "pa.Schema") -> "pa.Schema":
    """Return the schema of a table that takes another's place, as far as the contract allows."""
    import pyarrow as pa

    contract = plan.load.contract
    if contract.evolves:
        return wanted
    there = _not_ours(plan, existing)
    types = {f.name: f.type for f in wanted if f.name in there or _may_add(plan, f.name)}
    if contract.data_type is not ContractMode.EVOLVE:
        types |= {name: type_ for name, type_ in there.items() if name in types}
    if contract.columns is not ContractMode.EVOLVE:
        types = {name: types.get(name, type_) for name, type_ in there.items()} | types
    return pa.schema(list(types.items()))


def _note_replaced(plan: Plan, existing: "pa.Schema", wanted: "pa.Schema") -> None:
    before = _not_ours(plan, existing)
    after = {f.name: f.type for f in wanted}
    plan.changes.extend(
        f'added column "{name}" {type_}' for name, type_ in after.items() if name not in before
    )
    plan.changes.extend(f'dropped column "{name}"' for name in before if name not in after)


def _add_own_columns(
    tx: Transaction, plan: Plan, existing: "pa.Schema"
) -> "dict[str, pa.DataType]":
    """Add our own columns to a table that was adopted, or made while they were left out.

    Returns:
        The types of the columns that were added.
    """
    import pyarrow as pa

    own: dict[str, pa.DataType] = dict(plan.stamp.named(pa.string(), pa.timestamp("us", "UTC")))
    own |= _types_about(tx, plan)
    missing = {name: type_ for name, type_ in own.items() if name not in existing.names}
    for name, type_ in missing.items():
        tx.add_column(plan.table, name, type_)
    return missing


def _evolve(
    tx: Transaction, plan: Plan, existing: "pa.Schema", wanted: "pa.Schema"
) -> "dict[str, pa.DataType]":
    """Have the table hold the staged rows, and return its types.

    New columns are added and types are widened, but never narrowed. A column whose field is gone
    stays.
    """
    types = {f.name: f.type for f in existing} | _add_own_columns(tx, plan, existing)
    if plan.load.adopt and any(map(is_bookkeeping, existing.names)):
        relax(tx, plan.table)
    has_rows = bool(plan.staging.rows or plan.tables)
    for f in wanted:
        old = types.get(f.name)
        if old is None:
            if _may_add(plan, f.name):
                tx.add_column(plan.table, f.name, f.type)
                plan.changes.append(f'added column "{f.name}" {tx.type_name(f.type)}')
                types[f.name] = f.type
        elif has_rows:  # Without rows, no value says that another type is needed.
            types[f.name] = _widen(tx, plan, f, old)
    return types


def _widen(tx: Transaction, plan: Plan, came: "pa.Field", old: "pa.DataType") -> "pa.DataType":
    """Widen a column if the staged rows need it, and return its type."""
    name = came.name
    try:
        merged = merged_type(tx, plan, came, old)
    except SchemaConflictError as error:
        stream, field = plan.load.stream.name, plan.field_of(name)
        raise error.named(stream=stream, field=field, column=name) from None
    _refuse_lost_keys(tx, plan, came, old, merged)
    if merged == old or tx.type_name(merged) == tx.type_name(old):
        return old
    if plan.load.contract.data_type is not ContractMode.EVOLVE:
        what = f"{tx.type_name(old)}, and {tx.type_name(came.type)} came"
        raise _changed_meanwhile(plan, name, what)
    if _is_text(merged) and not tx.has_values(plan.table, name):
        merged = came.type  # No value is there yet that would have to be kept.
    _refuse_lost_numbers(tx, plan, name, old, merged)
    tx.widen_column(plan.table, name, old, merged)
    plan.changes.append(f'widened column "{name}" {tx.type_name(old)} to {tx.type_name(merged)}')
    return merged


def _is_text(type_: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(type_) or is_json(type_))


def _refuse_lost_numbers(
    tx: Transaction, plan: Plan, name: str, old: "pa.DataType", merged: "pa.DataType"
) -> None:
    """Refuse to make JSON of a column of doubles that holds NaN or Infinity: JSON has neither.

    Raises:
        SchemaConflictError: The column holds one. The error names it.
    """
    import pyarrow as pa

    if not (pa.types.is_floating(old) and is_json(merged)):
        return
    column = quote(name)
    # NaN is above every number in most databases, and in the others not equal to itself.
    beyond = f"{column} > {LARGEST_DOUBLE} OR {column} < -{LARGEST_DOUBLE} OR {column} <> {column}"
    if not tx.count(plan.table, beyond):
        return
    raise SchemaConflictError(
        "the column holds NaN or Infinity, "
        f"and would have to become {tx.type_name(merged)}, which has neither.",
        hint=f"Correct these rows, or set them to NULL, in the table {tx.quoted(plan.table)} "
        f"(WHERE {beyond}); or have the source send numbers only; or do a full refresh.",
        stream=plan.load.stream.name,
        field=plan.field_of(name),
        column=name,
    )


def _refuse_lost_keys(
    tx: Transaction, plan: Plan, came: "pa.Field", old: "pa.DataType", merged: "pa.DataType"
) -> None:
    """Refuse to merge by a text that was of another type before.

    What was 1.5 may be written 1.50 at the next read, and would be another row.

    Raises:
        SchemaConflictError: That would be so. The error names the key.
    """
    stream = plan.load.stream
    keys = stream.unique_constraints or stream.primary_key
    is_key = plan.load.strategy is WriteStrategy.MERGE and plan.field_of(came.name) in keys
    if not is_key or old == came.type or not _is_text(merged):
        return
    has_one_text = _has_one_text(old) and _has_one_text(came.type)
    if has_one_text or not tx.has_values(plan.table, came.name):
        return
    raise SchemaConflictError(
        f"this part of the key is {tx.type_name(old)} in the table {plan.table}, "
        f"and {tx.type_name(came.type)} came: one value could be written as several texts, "
        "so rows would not be found by it.",
        hint="Give the key one type at the source (cast it in a view or a query), "
        "and run once with full_refresh.",
        stream=stream.name,
        field=plan.field_of(came.name),
        column=came.name,
    )


def _has_one_text(type_: "pa.DataType") -> bool:
    """Return whether there is only one way to write each value of a type as text."""
    import pyarrow as pa
    from pyarrow import types as t

    if t.is_decimal(type_):
        return bool(type_.scale == 0)
    is_text = t.is_string(type_) or is_json(type_) or isinstance(type_, pa.UuidType)
    return bool(is_text or t.is_integer(type_) or t.is_date(type_))
