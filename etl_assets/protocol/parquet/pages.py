"""What the pages of a Parquet file say of themselves, read without unpacking them.

A file's footer may say anything. The header of a page may not: Arrow refuses a page that unpacks to
another size.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

_HEADER_BYTES = 4 * 1024
"""How much is read for a header at first; statistics may make it longer."""
_LONGEST_HEADER = 16 * 1024 * 1024
"""Arrow reads no longer header."""
_DATA_PAGE, _DICTIONARY_PAGE, _DATA_PAGE_V2 = 0, 2, 3
_DICTIONARY_ENCODINGS = (2, 8)
_DELTA_BYTE_ARRAY = 7
_INTEGERS = (4, 5, 6)
_MORE = 0x80
"""A byte of an integer from here on has another one behind it."""


@dataclass
class Pages:
    """The pages of one column in one row group.

    Args:
        unpacked: Bytes of all pages together.
        values: Values in all pages together, NULLs and empty lists among them.
        by_reference: Of these, the values that refer to the dictionary.
        dictionary: Bytes of the dictionary's page: no value of it is longer.
        entries: Values in the dictionary.
        prefixed: Bytes of the largest page whose values share their beginnings: no value of it is
            longer.
    """

    unpacked: int = 0
    values: int = 0
    by_reference: int = 0
    dictionary: int = 0
    entries: int = 0
    prefixed: int = 0


def pages_of(file: BinaryIO, chunk: Any, *, only_first: bool = False) -> Pages:
    """Return what the pages of a column chunk say.

    Args:
        file: The Parquet file; its position is moved.
        chunk: The metadata of the column chunk.
        only_first: Read only the header of the first page, and believe the footer for the others.

    Raises:
        ValueError: A header cannot be read.
    """
    found = Pages()
    for header in _headers(file, chunk):
        kind, size = header.get(1), _size(header.get(2))
        data = header.get(8 if kind == _DATA_PAGE_V2 else 5) or {}
        found.unpacked += size
        if kind == _DICTIONARY_PAGE:
            found.dictionary = max(found.dictionary, size)
            found.entries = _size((header.get(7) or {}).get(1))
        elif kind in (_DATA_PAGE, _DATA_PAGE_V2):
            values = _size(data.get(1))
            found.values += values
            encoding = data.get(4 if kind == _DATA_PAGE_V2 else 2)
            if encoding in _DICTIONARY_ENCODINGS:
                found.by_reference += values
            elif encoding == _DELTA_BYTE_ARRAY:
                found.prefixed = max(found.prefixed, size)
        if only_first:
            return _believed(found, chunk)
        if found.values >= chunk.num_values:
            break
    return found


def _believed(first: Pages, chunk: Any) -> Pages:
    first.unpacked = max(first.unpacked, chunk.total_uncompressed_size)
    first.values = max(first.values, chunk.num_values)
    first.by_reference = first.values if first.dictionary else 0
    first.prefixed = chunk.total_uncompressed_size if "DELTA_BYTE_ARRAY" in chunk.encodings else 0
    return first


def _headers(file: BinaryIO, chunk: Any) -> Iterator[dict[int, Any]]:
    at = chunk.data_page_offset
    dictionary_at = chunk.dictionary_page_offset
    if dictionary_at and 0 < dictionary_at < at:  # as Arrow finds the first page
        at = dictionary_at
    size = file.seek(0, 2)
    while 0 <= at < size:
        header, length = _header(file, at)
        yield header
        at += length + _size(header.get(3))


def _header(file: BinaryIO, at: int) -> tuple[dict[int, Any], int]:
    wanted = _HEADER_BYTES
    while True:
        file.seek(at)
        data = file.read(wanted)
        compact = _Compact(data)
        try:
            return compact.struct(), compact.at
        except IndexError:
            if len(data) < wanted or wanted >= _LONGEST_HEADER:
                raise ValueError("the header of a page is cut off") from None
            wanted *= 16


def _size(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError("the header of a page says no size")
    return value


class _Compact:
    """A reader of Thrift's compact protocol: structs become dicts by the numbers of their fields.

    Raises:
        IndexError: The data ends too early.
        ValueError: It is nothing of this kind.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        data, at = self._data, self.at
        fields: dict[int, Any] = {}
        number = 0
        # A file of many columns has many headers, so what most of them consist of is read here.
        while head := data[at]:
            at += 1
            kind, step = head & 0x0F, head >> 4
            if step:
                number += step
            else:
                self.at = at
                number, at = self._integer(), self.at
            if kind in _INTEGERS and data[at] < _MORE:
                fields[number] = (data[at] >> 1) ^ -(data[at] & 1)
                at += 1
            else:
                self.at = at
                fields[number], at = self._value(kind, depth), self.at
        self.at = at + 1
        return fields

    def _value(self, kind: int, depth: int, *, in_list: bool = False) -> Any:
        if depth > 16:  # noqa: PLR2004
            raise ValueError("the header of a page is nested too deep")
        match kind:
            case 1 | 2:
                return self._byte() == 1 if in_list else kind == 1
            case 3:
                return self._byte()
            case 4 | 5 | 6:
                return self._integer()
            case 7:
                return self._skip(8)
            case 8:
                return self._skip(self._varint())
            case 9 | 10:
                head = self._byte()
                count = head >> 4 if head >> 4 < 15 else self._varint()  # noqa: PLR2004
                for _ in range(count):
                    self._value(head & 0x0F, depth + 1, in_list=True)
                return None
            case 12:
                return self.struct(depth + 1)
        raise ValueError("the header of a page is none")

    def _byte(self) -> int:
        value = self._data[self.at]
        self.at += 1
        return value

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004
                return value
            shift += 7
            if shift > 63:  # noqa: PLR2004
                raise ValueError("the header of a page has a number that is too long")

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _skip(self, count: int) -> None:
        if self.at + count > len(self._data):
            raise IndexError
        self.at += count
