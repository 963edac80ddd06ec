"""What a `FileSource` is told of its files, and what a reader is told of one of them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from etl_assets.exceptions import ConfigError, DataError, did_you_mean
from etl_assets.protocol.selection import is_column_selected
from etl_assets.protocol.stream import Stream

if TYPE_CHECKING:
    import pyarrow as pa

MEBIBYTE = 2**20

FORMATS = ("csv", "jsonl", "parquet", "xlsx")
COMPRESSIONS = ("gzip", "bz2", "xz", "zstd", "zip", "none", "infer")
INCREMENTAL = ("modified", "name")
ON_CHANGED = ("error", "read", "ignore")
TYPES = ("text", "infer")

_FORMAT_OF = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
}
_COMPRESSION_OF = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd", ".zip": "zip"}
_STEM = re.compile(r"(?P<stem>.*?[^/])(?P<ending>\.[^./]+)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """How the files of one stream are found and read; `docs/files.md` says what each option means."""

    path: Any = None
    format: str | None = None
    primary_key: Sequence[str] | str = ()
    schema: Mapping[str, Any] | None = None
    incremental: str | None = None
    on_changed: str | None = None
    min_age: float = 0
    allow_empty: bool = False
    with_origin: bool = False
    encoding: str = "utf-8"
    compression: str = "infer"
    delimiter: str | None = None
    quote: str | None = '"'
    header: bool | Sequence[str] = True
    null_values: Sequence[str] = ()
    types: str = "text"
    sheet: str | int = 0
    batch_rows: int = 50_000
    batch_bytes: int = 8 * MEBIBYTE
    max_row_bytes: int = 64 * MEBIBYTE
    max_file_bytes: int = 100 * 1024 * MEBIBYTE
    max_ratio: int = 200

    def __post_init__(self) -> None:
        for name, allowed in (
            ("format", (None, *FORMATS)),
            ("compression", COMPRESSIONS),
            ("incremental", (None, *INCREMENTAL)),
            ("on_changed", (None, *ON_CHANGED)),
            ("types", TYPES),
        ):
            value = getattr(self, name)
            if value not in allowed:
                known = ", ".join(repr(one) for one in allowed if one is not None)
                raise ConfigError(f"{name} is {value!r}.", hint=f"Use one of {known}.")
        for name in ("batch_rows", "batch_bytes", "max_row_bytes", "max_file_bytes", "max_ratio"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}.", hint="It is at least 1.")
        for name in ("delimiter", "quote"):
            value = getattr(self, name)
            if value is not None and len(value) != 1:
                raise ConfigError(f"{name} is {value!r}.", hint="It is one character.")
        if isinstance(self.null_values, str) or isinstance(self.header, str):
            raise ConfigError("null_values and header are lists of texts, not one text.")
        try:
            "".encode(self.encoding)
        except LookupError:
            raise ConfigError(f"There is no encoding {self.encoding!r}.", hint="For example utf-8, latin-1.") from None

    def replaced(self, changes: Mapping[str, Any], *, stream: str) -> Self:
        """Give a copy with other options.

        Raises:
            ConfigError: There is no such option.
        """
        for name in changes:
            if name not in OPTIONS:
                raise ConfigError(
                    f"stream {stream!r}: files have no option {name!r}.", hint=did_you_mean(name, OPTIONS)
                )
        return type(self)(**{**{name: getattr(self, name) for name in OPTIONS}, **changes})


OPTIONS = tuple(one.name for one in fields(FileOptions))


def endings(name: str) -> tuple[str, str | None, str | None]:
    """Give a file's name without its endings, its format, and its compression, as far as the endings tell."""
    compression = None
    match = _STEM.fullmatch(name)
    if match and match["ending"].lower() in _COMPRESSION_OF:
        compression = _COMPRESSION_OF[match["ending"].lower()]
        name = match["stem"]
        match = _STEM.fullmatch(name)
    format_ = _FORMAT_OF.get(match["ending"].lower()) if match else None
    return (match["stem"] if match and format_ else name), format_, compression


@dataclass(frozen=True)
class Inferred:
    """The types that were inferred for the columns of a stream's files.

    Args:
        types: By column; text is one of them.
        held: Columns whose type may not change, so that what does not fit is for the schema contract.
    """

    types: "Mapping[str, pa.DataType]" = field(default_factory=dict)
    held: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Reading:
    """One file on its way to be read.

    Args:
        file: Its name, from the root on, with `/`.
        size: Its bytes as they are stored, if known.
        stream: The stream it belongs to.
        options: How to read it.
        open: Opens it for reading from the start; may be called more than once. A reader closes what it opened.
        inferred: The types that were inferred for its columns.
    """

    file: str
    size: int | None
    stream: Stream
    options: FileOptions
    open: Callable[[], BinaryIO] = field(repr=False)
    inferred: Inferred = field(default_factory=Inferred, repr=False, compare=False)

    @property
    def format(self) -> str:
        """The format: the one that was asked for, or the ending's.

        Raises:
            ConfigError: Neither tells.
        """
        found = self.options.format or endings(self.file)[1]
        if found is None:
            raise ConfigError(
                f"stream {self.stream.name!r}: the ending of {self.file!r} tells no format.",
                hint=f"Say it with format=, one of {', '.join(FORMATS)} (jsonl: one JSON object per line).",
                stream=self.stream.name,
            )
        return found

    @property
    def compression(self) -> str | None:
        """What the file is packed with, or None."""
        asked = self.options.compression
        if asked == "infer":
            return endings(self.file)[2]
        return None if asked == "none" else asked

    @property
    def delimiter(self) -> str:
        """What stands between the cells of a CSV file."""
        tabs = re.search(r"\.tsv(\.[^./]+)?$", self.file, re.IGNORECASE)
        return self.options.delimiter or ("\t" if tabs else ",")

    def reads(self, column: str) -> bool:
        """Tell whether a column is worth reading; what is not selected of the others, the batch leaves out."""
        # A catalog in Mage's words picks its columns one by one, and would leave out those that it does not know.
        unknown = column not in ((self.stream.schema or {}).get("properties") or {})
        return (unknown and self.stream.columns is None) or is_column_selected(self.stream, column)

    def error(
        self,
        message: str,
        line: int | None = None,
        *,
        field: str | None = None,
        value: object = None,
        hint: str | None = None,
    ) -> DataError:
        """Give an error that names the file, and the line (of a sheet or Parquet file: the row) if there is one."""
        where = self.file if line is None else f"{self.file}, line {line}"
        return DataError(f"{where}: {message}", stream=self.stream.name, field=field, value=value, hint=hint)
