"""The write plans: how staged rows meet the table that is there.

Each is a few lines over the engine's primitives.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from etl_assets.destinations.database.column_types import merged as merged_type
from etl_assets.destinations.database.column_types import narrowed
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
    """Write a plan by its load's strategy; gives how many rows were loaded.

    Raises:
        DataError: The engine cannot hold a value; names stream and field.
    """
    with _named(plan):
        return _write(tx, plan)


def prepare(tx: Transaction, plan: Plan) -> None:
    """Make the table as the rows of a plan need it, and stage these, where that cannot be part of the transaction.

    Raises:
        DataError: The engine cannot hold a value; names stream and field.
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
    """Name the stream and the field of a value that is refused."""
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
    rows = _load(tx, plan, table, types) if plan.staging.rows or plan.tables else 0
    if replaced is not None:
        tx.end_replace(plan.table, table)
    return rows


def _prepared(
    tx: Transaction, plan: Plan, existing: "pa.Schema | None", wanted: "pa.Schema"
) -> "dict[str, pa.DataType]":
    """Make the table, or have the one that is there hold the staged rows; gives its types."""
    if existing is not None:
        return _evolve(tx, plan, existing, wanted)
    tx.create_table(plan.table, wanted, plan.stamp)
    return _as_made(tx, plan, wanted)


def _as_made(tx: Transaction, plan: Plan, wanted: "pa.Schema") -> "dict[str, pa.DataType]":
    """Return the types of a table that is made for a plan."""
    types = {f.name: f.type for f in wanted}
    if plan.stamp.about:
        types |= {name: tx.stored_type(type_) for name, type_ in types_of(plan.stamp.about).items()}
    return types


def _load(tx: Transaction, plan: Plan, table: TableName, types: "Mapping[str, pa.DataType]") -> int:
    if plan.tables:
        return sum(tx.copy(one, table, plan.copied, plan.stamp) for one in plan.tables)
    rows = plan.parts(types) if tx.takes_encoded else plan.reader(types)
    if plan.load.strategy is not WriteStrategy.MERGE:
        if plan.load.strategy is WriteStrategy.APPEND:
            keyed = plan.load.stream.unique_constraints or plan.load.stream.primary_key
            tx.allow_repeats(table, [plan.physical[key] for key in keyed if key in plan.physical])
        return tx.insert(table, rows, plan.stamp)
    keys = merge_keys(plan)
    _refuse_null_keys(plan, keys)
    columns = [plan.physical[key] for key in keys]
    update = plan.load.on_conflict == "update"
    return tx.merge(table, rows, plan.stamp, columns, update=update, unique=plan.unique)


def merge_keys(plan: Plan) -> Sequence[str]:
    """Return the fields a merge goes by: the unique constraints where there are some, else the primary key.

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
    """Return the schema of what is written, by physical names.

    An empty read that has none keeps the table's.
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
        fields.append(
            pa.field(name, tx.stored_type(narrowed(tx, plan, f.name, type_, there.get(name))))
        )
    return pa.schema(fields)


def _not_ours(plan: Plan, existing: "pa.Schema") -> "dict[str, pa.DataType]":
    """Return the types of a table's columns, but for our own."""
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
    """Return whether a column that the table does not have is to be added.

    False leaves it out, which loses no value.

    Raises:
        SchemaConflictError: The contract does not let it.
    """
    contract = plan.load.contract
    if contract.columns is ContractMode.EVOLVE:
        return True
    if contract.columns.discards and not plan.staging.rows:
        return False
    raise _changed_meanwhile(plan, physical, "not there")


def _changed_meanwhile(plan: Plan, physical: str, what: str) -> SchemaConflictError:
    # Batches were held against the table before: it was another one then, or no row has come to
    # tell.
    return SchemaConflictError(
        f"its column in the table {plan.table} is {what}, and schema_contract lets no column or type change.",
        hint='Accept the change with schema_contract="evolve" for one sync.',
        stream=plan.load.stream.name,
        field=plan.field_of(physical),
        column=physical,
    )


def _replacing(plan: Plan, existing: "pa.Schema", wanted: "pa.Schema") -> "pa.Schema":
    """Return the schema of a table that takes the place of another: what the contract holds fast stays as it stands."""
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

    Returns those that were.
    """
    import pyarrow as pa

    own = dict(plan.stamp.named(pa.string(), pa.timestamp("us", "UTC")))
    if plan.stamp.about:
        own |= {name: tx.stored_type(type_) for name, type_ in types_of(plan.stamp.about).items()}
    missing = {name: type_ for name, type_ in own.items() if name not in existing.names}
    for name, type_ in missing.items():
        tx.add_column(plan.table, name, type_)
    return missing


def _evolve(
    tx: Transaction, plan: Plan, existing: "pa.Schema", wanted: "pa.Schema"
) -> "dict[str, pa.DataType]":
    """Make the table hold the staged rows: new columns added, types widened, never narrowed.

    Gone ones kept.
    """
    import pyarrow as pa

    types = {f.name: f.type for f in existing} | _add_own_columns(tx, plan, existing)

    contract = plan.load.contract
    for f in wanted:
        old = types.get(f.name)
        if old is None:
            if not _may_add(plan, f.name):
                continue
            tx.add_column(plan.table, f.name, f.type)
            plan.changes.append(f'added column "{f.name}" {tx.type_name(f.type)}')
            types[f.name] = f.type
            continue
        if not plan.staging.rows and not plan.tables:
            continue  # no value says that another type is needed
        try:
            merged = merged_type(tx, plan, f, old)
        except SchemaConflictError as error:
            raise error.named(
                stream=plan.load.stream.name, field=plan.field_of(f.name), column=f.name
            ) from None
        _refuse_lost_keys(tx, plan, f, old, merged)
        if merged == old or tx.type_name(merged) == tx.type_name(old):
            continue
        if contract.data_type is not ContractMode.EVOLVE:
            raise _changed_meanwhile(
                plan, f.name, f"{tx.type_name(old)}, and {tx.type_name(f.type)} came"
            )
        if (pa.types.is_string(merged) or is_json(merged)) and not tx.has_values(
            plan.table, f.name
        ):
            merged = f.type  # nothing is there yet that would have to be kept
        _refuse_lost_numbers(tx, plan, f.name, old, merged)
        tx.widen_column(plan.table, f.name, old, merged)
        plan.changes.append(
            f'widened column "{f.name}" {tx.type_name(old)} to {tx.type_name(merged)}'
        )
        types[f.name] = merged
    return types


def _refuse_lost_numbers(
    tx: Transaction, plan: Plan, name: str, old: "pa.DataType", merged: "pa.DataType"
) -> None:
    """Refuse to make JSON of a column of doubles that holds NaN or Infinity, for which JSON has no word.

    Raises:
        SchemaConflictError: It names the column.
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
        f"the column holds NaN or Infinity, and would have to become {tx.type_name(merged)}, which has neither.",
        hint=f"Correct these rows, or set them to NULL, in the table {tx.quoted(plan.table)} "
        f"(WHERE {beyond}); or have the source send numbers only; or do a full refresh.",
        stream=plan.load.stream.name,
        field=plan.field_of(name),
        column=name,
    )


def _refuse_lost_keys(
    tx: Transaction, plan: Plan, came: "pa.Field", old: "pa.DataType", merged: "pa.DataType"
) -> None:
    """Refuse to merge by a text that was another type: 1.5 may be written 1.50 at the next read, and be a new row.

    Raises:
        SchemaConflictError: It names the key.
    """
    import pyarrow as pa

    stream = plan.load.stream
    keys = stream.unique_constraints or stream.primary_key
    if (
        plan.load.strategy is not WriteStrategy.MERGE
        or plan.field_of(came.name) not in keys
        or old == came.type
    ):
        return
    becomes_text = pa.types.is_string(merged) or is_json(merged)
    if (
        not becomes_text
        or (_has_one_text(old) and _has_one_text(came.type))
        or not tx.has_values(plan.table, came.name)
    ):
        return
    raise SchemaConflictError(
        f"this part of the key is {tx.type_name(old)} in the table {plan.table}, and {tx.type_name(came.type)} came: "
        "one value could be written as several texts, so rows would not be found by it.",
        hint="Give the key one type at the source (cast it in a view or a query), and run once with full_refresh.",
        stream=stream.name,
        field=plan.field_of(came.name),
        column=came.name,
    )


def _has_one_text(type_: "pa.DataType") -> bool:
    import pyarrow as pa
    from pyarrow import types as t

    if t.is_decimal(type_):
        return bool(type_.scale == 0)
    is_text = t.is_string(type_) or is_json(type_) or isinstance(type_, pa.UuidType)
    return bool(is_text or t.is_integer(type_) or t.is_date(type_))
