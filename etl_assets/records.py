"""Records one by one, as a case-insensitive dict: what `Source.get_records` gives."""

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import repeat
from typing import Any, Self
from uuid import UUID

from typing_extensions import override

from etl_assets.constants import (
    AB_EXTRACTED_AT_COLUMN,
    AB_INTERNAL_COLUMNS,
    AB_META_COLUMN,
    AB_RAW_ID_COLUMN,
)
from etl_assets.exceptions import DataError
from etl_assets.model.values.scalars import to_json
from etl_assets.naming import normalise

_MISSING: Any = object()
_OWN_KEYS = (AB_RAW_ID_COLUMN, AB_EXTRACTED_AT_COLUMN, AB_META_COLUMN)
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
"""The variant of RFC 9562 for each digit of chance."""


def new_record_id() -> str:
    """Return a version 7 UUID (RFC 9562): ids made later sort later."""
    milliseconds = time.time_ns() // 1_000_000
    chance = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | (chance >> 68) << 64 | 0b10 << 62
    return str(UUID(int=value | chance & (1 << 62) - 1))


def new_record_ids(count: int) -> list[str]:
    """Return as many as `new_record_id` would give one after the other in one millisecond."""
    first = f"{time.time_ns() // 1_000_000:012x}"
    first = f"{first[:8]}-{first[8:]}-7"
    chance = os.urandom(count * 10).hex()
    return [
        f"{first}{chance[at : at + 3]}-{_VARIANTS[chance[at + 3]]}"
        f"{chance[at + 4 : at + 7]}-{chance[at + 7 : at + 19]}"
        for at in range(0, count * 20, 20)
    ]


class StreamRecordHandler:
    """How the keys of a stream's records are told apart.

    Args:
        json_schema: The stream's JSON Schema; its properties' names are the keys.
        prune_extra_fields: Leave fields out that the schema does not declare.
        normalize_keys: Use the names that columns have in a table (`Order-ID` is `order_id`).
        stream: The stream's name, for errors.

    Raises:
        DataError: Two of its fields have one key.
    """

    def __init__(
        self,
        *,
        json_schema: Mapping[str, Any],
        prune_extra_fields: bool,
        normalize_keys: bool = False,
        stream: str = "",
    ) -> None:
        self.stream = stream
        self.prune_extra_fields = prune_extra_fields
        self.normalize_keys = normalize_keys
        self.index_keys: list[str] = []
        self._keys: dict[str, str] = {}
        for name in json_schema.get("properties") or {}:
            key = normalise(name) if normalize_keys else name
            if self._keys.setdefault(key.lower(), key) in self.index_keys:
                raise DataError(
                    "two declared fields have one name where case does not count"
                    f"{' and names are normalised' if normalize_keys else ''}.",
                    stream=stream,
                    field=name,
                    value=key,
                    hint="Read it with rows or Arrow: `source.read()`.",
                )
            self.index_keys.append(key)

    def to_display_case(self, key: str) -> str:
        """Return a key as the records show it."""
        return self.to_index_case(key)

    def to_index_case(self, key: str) -> str:
        """Return a key as the records have it."""
        if key in AB_INTERNAL_COLUMNS:
            return key
        if self.normalize_keys:
            key = normalise(key)
        return self._keys.get(key.lower(), key)

    def keys_of(self, names: Iterable[str]) -> dict[str, str] | None:
        """Return the keys that fields have in every record, by name, without those left out.

        It is None where two fields have one key.
        """
        declared = set(self.index_keys)
        keys: dict[str, str] = {}
        for name in names:
            key = self.to_index_case(name)
            if key in declared:
                keys[name] = key
            elif not self.prune_extra_fields:
                # Where it may be another one in another case or other words, each record tells.
                return None
        return keys if len(set(keys.values())) == len(keys) else None


class StreamRecord(dict[str, Any]):
    """A record: a dict whose keys are found in any case.

    Three columns tell about the record itself. Declared fields that are missing are None. Two keys
    that differ only in case are an error.

    Args:
        from_dict: The fields.
        stream_record_handler: The keys of the stream.
        with_internal_columns: Add `_airbyte_raw_id`, `_airbyte_extracted_at` (UTC) and
            `_airbyte_meta`.
        extracted_at: When it was read, by default now.
        meta: What the connector says about the record.

    Raises:
        DataError: Two of its keys differ only in case.
    """

    def __init__(
        self,
        from_dict: Mapping[str, Any],
        *,
        stream_record_handler: StreamRecordHandler,
        with_internal_columns: bool = True,
        extracted_at: datetime | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        self._handler = stream_record_handler
        super().__init__(dict.fromkeys(stream_record_handler.index_keys))
        self._fill(from_dict)
        if with_internal_columns:
            super().__setitem__(AB_RAW_ID_COLUMN, new_record_id())
            super().__setitem__(AB_EXTRACTED_AT_COLUMN, extracted_at or datetime.now(UTC))
            super().__setitem__(AB_META_COLUMN, dict(meta or {}))

    @classmethod
    def from_record_message(
        cls, record_message: Any, *, stream_record_handler: StreamRecordHandler
    ) -> Self:
        """Return the record of an Airbyte RECORD message.

        It has `data`, `emitted_at` (in milliseconds) and possibly `meta`.
        """
        meta: Any = getattr(record_message, "meta", None)
        if hasattr(meta, "model_dump"):
            meta = meta.model_dump(exclude_none=True)
        seconds, milliseconds = divmod(record_message.emitted_at, 1000)
        return cls(
            record_message.data,
            stream_record_handler=stream_record_handler,
            extracted_at=datetime.fromtimestamp(seconds, UTC).replace(
                microsecond=milliseconds * 1000
            ),
            meta=meta,
        )

    @classmethod
    def of_columns(
        cls,
        columns: Mapping[str, Sequence[Any]],
        count: int,
        *,
        stream_record_handler: StreamRecordHandler,
    ) -> Iterator[Self]:
        """Yield the records that columns of so many values hold, read now.

        Raises:
            DataError: Two of the keys of a record differ only in case.
        """
        handler = stream_record_handler
        keys = handler.keys_of(columns)
        if keys is None:
            for row in zip(*columns.values(), strict=True):
                fields = dict(zip(columns, row, strict=True))
                yield cls(fields, stream_record_handler=handler)
            return
        by_key = {key: columns[name] for name, key in keys.items()}
        missing = [None] * count
        values = [by_key.get(key, missing) for key in handler.index_keys]
        own: tuple[Iterable[Any], ...] = (
            new_record_ids(count),
            repeat(datetime.now(UTC), count),
            [{} for _ in range(count)],
        )
        names = (*handler.index_keys, *_OWN_KEYS)
        for row in zip(*values, *own, strict=True):
            record = cls.__new__(cls)
            record._handler = handler  # noqa: SLF001 - its own
            dict.update(record, zip(names, row, strict=True))
            yield record

    def _fill(self, fields: Mapping[str, Any]) -> None:
        handler = self._handler
        given: dict[str, str] = {}
        declared = set(handler.index_keys)
        for name, value in fields.items():
            key = handler.to_index_case(name)
            if key not in declared:
                if handler.prune_extra_fields:
                    continue
                key = self._found(key, key)
            if key in given:
                raise DataError(
                    f"a record has this field and {given[key]!r}, which are one where case does "
                    "not count.",
                    stream=handler.stream,
                    field=name,
                    value=value,
                    hint="Read it with rows or Arrow: `source.read()`.",
                )
            given[key] = name
            super().__setitem__(key, value)

    def _found(self, key: str, otherwise: Any = _MISSING) -> Any:
        """Return the key that is there for a key of any case."""
        if super().__contains__(key):
            return key
        wanted = self._handler.to_index_case(key)
        if super().__contains__(wanted):
            return wanted
        lowered, words = wanted.lower(), normalise(key)
        by_case = next((known for known in super().__iter__() if known.lower() == lowered), None)
        if by_case is not None:
            return by_case
        # By the name that the column has in a table: `full_name` for "Full Name", where one alone
        # has it.
        by_word = [known for known in super().__iter__() if normalise(known) == words]
        return by_word[0] if len(by_word) == 1 else otherwise

    @override
    def __getitem__(self, key: str) -> Any:
        found = self._found(key)
        if found is _MISSING:
            raise KeyError(key)
        return super().__getitem__(found)

    @override
    def __setitem__(self, key: str, value: Any) -> None:
        wanted = self._handler.to_index_case(key)
        if self._handler.prune_extra_fields and wanted not in {
            *self._handler.index_keys,
            *AB_INTERNAL_COLUMNS,
        }:
            return
        super().__setitem__(self._found(key, wanted), value)

    @override
    def __delitem__(self, key: str) -> None:
        found = self._found(key)
        if found is _MISSING:
            raise KeyError(key)
        super().__delitem__(found)

    @override
    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._found(key) is not _MISSING

    @override
    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key, or the default."""
        found = self._found(key)
        return default if found is _MISSING else super().__getitem__(found)

    @override
    def pop(self, key: str, *default: Any) -> Any:
        """Take a key out and give its value, or the default."""
        if key not in self and default:
            return default[0]
        value = self[key]
        del self[key]
        return value

    @override
    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return the value of a key, having set it where it was missing."""
        if key not in self:
            self[key] = default
        return self.get(key)

    @override
    def update(self, *others: Any, **fields: Any) -> None:
        """Set many keys."""
        for key, value in dict(*others, **fields).items():
            self[key] = value

    @override
    def copy(self) -> "StreamRecord":
        """Return another record with the same fields."""
        other = StreamRecord({}, stream_record_handler=self._handler, with_internal_columns=False)
        dict.update(other, self)
        return other

    @override
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return _lowered(self.items()) == _lowered(other.items())

    @override
    # Scripts keep records in sets, which is not possible with a dict.
    def __hash__(self) -> int:  # type: ignore[override]
        return hash(
            tuple(sorted((key, to_json(value)) for key, value in _lowered(self.items()).items()))
        )


def _lowered(items: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    return {key.lower() if isinstance(key, str) else key: value for key, value in items}
