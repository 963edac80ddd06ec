"""Keys inside of other fields, such as `[["m", "k"]]` of an Airbyte stream.

The key is a column `m.k` beside the field `m`: no database has a key inside of a JSON column, so
the value is a column of its own too, by which rows are merged. A key is such a one where its name
is no field, and is that of a path to one, joined by dots.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import ConfigError, DataError
from etl_assets.model.batch import Batch
from etl_assets.model.schema.json_schema import to_arrow
from etl_assets.model.schema.references import References
from etl_assets.model.selection import is_column_selected, selected_columns
from etl_assets.model.stream import Stream
from etl_assets.model.values.columns import to_array
from etl_assets.naming import normalise

if TYPE_CHECKING:
    import pyarrow as pa

Path = tuple[str, ...]


def name_of(path: Sequence[str]) -> str:
    """Return the name of the column for a path."""
    return ".".join(path)


def cannot_be_key(schema: Mapping[str, Any] | None, path: Sequence[str]) -> str | None:
    """Return why rows cannot be merged by what is at a path, as the end of a sentence, or None.

    Args:
        schema: The stream's.
        path: At least two names.
    """
    properties = (schema or {}).get("properties") or {}
    name = name_of(path)
    taken = next((one for one in properties if normalise(one) == normalise(name)), None)
    if taken is not None:
        return f"the column for it would be called as the field {taken!r} is"
    found = _property_at(schema or {}, path)
    if found is not None and {"object", "array"} & _types(found):
        return "it is an object or an array, of which one value has several texts"
    return None


class KeyPaths:
    """The keys of one stream that are inside of other fields.

    Args:
        stream: As it was asked for.
        known: Paths that its source says, to be found by their names; any other is looked for in
            its schema.
    """

    def __init__(self, stream: Stream, known: Sequence[Sequence[str]] = ()) -> None:
        self.asked = stream
        properties = (stream.schema or {}).get("properties") or {}
        keys = dict.fromkeys((*stream.primary_key, *stream.unique_constraints))
        said = {name_of(path): tuple(path) for path in known if len(path) > 1}
        self.paths: dict[str, Path] = {}
        """By the names of their columns; none where all keys are fields."""
        for key in keys:
            may_be_inside = properties and key not in properties and "." in key
            path = said.get(key) or path_in(stream.schema or {}, key) if may_be_inside else None
            if path is not None:
                self.paths[key] = path
        for key, path in self.paths.items():
            why = cannot_be_key(stream.schema, path)
            if why is not None:
                raise ConfigError(
                    f"stream {stream.name!r}: rows cannot be merged by {key!r}: {why}.",
                    hint="Give it another primary_key, a field of its own, or append.",
                    stream=stream.name,
                )
        self.stream = self._described()
        self.reading = self._whole()

    def _described(self) -> Stream:
        """Return the stream with the columns for its keys, where their types are declared."""
        schema = self.asked.schema or {}
        declared: dict[str, Any] = {}
        for key, path in self.paths.items():
            prop = _property_at(schema, path)
            if prop is not None and _types(prop):
                declared[key] = _nullable(prop)
        if not declared:
            return self.asked
        properties = {**schema["properties"], **declared}
        return self.asked.replace(schema={**schema, "properties": properties})

    def _whole(self) -> Stream:
        """Return the stream as it is read: with the fields that hold the keys, selected or not."""
        around = {path[0] for path in self.paths.values()}
        if all(is_column_selected(self.asked, field) for field in around):
            return self.asked
        selected = selected_columns(self.asked) or ()
        return self.asked.replace(columns=[*dict.fromkeys((*selected, *around))])

    def with_columns(self, batch: Batch) -> Batch:
        """Return a batch with the columns for the keys.

        Raises:
            DataError: A value cannot be a key, or the records have a field of the name of such a
                column.
        """
        if batch.rows is not None:
            made = Batch(self._keyed_rows(batch.rows), bookmark=batch.bookmark)
        else:
            table = self._keyed_table(batch.to_arrow(self.reading))
            made = Batch(table, bookmark=batch.bookmark)
            made.texts_are_known = True  # `to_arrow` has looked at them
        made.emitted, made.meta = batch.emitted, batch.meta
        return made

    def _keyed_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        values = self._values(rows)
        keyed = [dict(row) for row in rows]
        for key, column in values.items():
            for row, value in zip(keyed, column, strict=True):
                if key in row:
                    raise self._taken(key, row[key])
                row[key] = value
        return keyed

    def _keyed_table(self, table: "pa.Table") -> "pa.Table":
        name = self.asked.name
        around = dict.fromkeys(path[0] for path in self.paths.values())
        there = [field for field in around if field in table.column_names]
        rows: Sequence[Mapping[str, Any]] = [{}] * table.num_rows
        if there:
            around_keys = Batch(table.select(there))
            around_keys.texts_are_known = True
            rows = around_keys.to_rows(Stream(name), native_types=True)
        declared = to_arrow(self.stream.schema or {})
        types = {field.name: field.type for field in declared if field.name in self.paths}
        for key, column in self._values(rows).items():
            if key in table.column_names:
                raise self._taken(key)
            array = to_array(column, types.get(key), stream=name, field=key)
            table = table.append_column(key, array)
        return table

    def _values(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
        paths = self.paths.items()
        return {key: [self._value(row, key, path) for row in rows] for key, path in paths}

    def _value(self, row: Mapping[str, Any], key: str, path: Path) -> Any:
        value: Any = row
        for part in path:
            if value is None:
                return None
            if not isinstance(value, Mapping):
                raise self._no_key(key, value, "is inside of a value that is no object")
            value = value.get(part)
        if isinstance(value, Mapping | list | tuple):
            raise self._no_key(
                key, value, "is an object or an array, of which one value has several texts"
            )
        return value

    def _no_key(self, key: str, value: Any, what: str) -> DataError:
        return DataError(
            f"a primary key {what}, so its row could be told from no other.",
            stream=self.asked.name,
            field=key,
            value=value,
            hint="Correct the source, choose another primary_key, or append.",
        )

    def _taken(self, key: str, value: Any = None) -> DataError:
        where = " > ".join(self.paths[key])
        return DataError(
            f"the column for the primary key at {where} has the name of a field.",
            stream=self.asked.name,
            field=key,
            value=value,
            hint="Choose another primary_key, or append.",
        )


def _property_at(schema: Mapping[str, Any], path: Sequence[str]) -> Mapping[str, Any] | None:
    """Return the schema at a path, its reference followed; None where none is declared there."""
    references = References(schema)
    found: Mapping[str, Any] = schema
    for part in path:
        for one in references.alternatives(found, part):
            inside = (one.get("properties") or {}).get(part)
            if isinstance(inside, Mapping):
                found = references.resolve(inside, part)
                break
        else:
            return None
    return found


def path_in(schema: Mapping[str, Any], name: str) -> Path | None:
    """Return the path to a declared field inside of another one, by its name, or None."""
    for path in _cuts(name.split(".")):
        if len(path) > 1 and _property_at(schema, path) is not None:
            return path
    return None


def _cuts(parts: Sequence[str]) -> Iterator[Path]:
    """Yield the paths that a name may stand for: `a.b.c` may be a > b > c, or a.b > c, etc."""
    yield (".".join(parts),)
    for cut in range(1, len(parts)):
        for rest in _cuts(parts[cut:]):
            yield (".".join(parts[:cut]), *rest)


def _types(prop: Mapping[str, Any]) -> set[str]:
    said = prop.get("type")
    types = {said} if isinstance(said, str) else set(said or ())
    return types - {"null"}


def _nullable(prop: Mapping[str, Any]) -> dict[str, Any]:
    return {**prop, "type": ["null", *sorted(_types(prop))]}
