"""What a `FileSource` is told of its files, and what a reader is told of one of them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from etl_assets.exceptions import ConfigError, DataError, did_you_mean
from etl_assets.model.refused import Refusals
from etl_assets.model.selection import column_selector
from etl_assets.model.stream import Stream
from etl_assets.sources.files.sheets.cell_range import range_of
from etl_assets.sources.files.text.notation import check_notation

if TYPE_CHECKING:
    import pyarrow as pa

MEBIBYTE = 2**20

FORMATS = (
    "csv",
    "jsonl",
    "json",
    "parquet",
    "xlsx",
    "xlsb",
    "xls",
    "ods",
    "fixed_width",
    "arrow",
    "avro",
    "orc",
)
COMPRESSIONS = ("gzip", "bz2", "xz", "zstd", "zip", "none", "infer")
INCREMENTAL = ("modified", "name")
ON_CHANGED = ("error", "read", "ignore")
TYPES = ("text", "infer")
SHORT_ROWS = ("error", "null")
INFER = "infer"
"""The delimiter that is to be found in each file."""
DETECT = "detect"
"""The encoding that is to be proved by the bytes of each file."""

_FORMAT_OF = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".fwf": "fixed_width",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".ipc": "arrow",
    ".feather": "arrow",
    ".avro": "avro",
    ".orc": "orc",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".xlsb": "xlsb",
    ".xls": "xls",
    ".ods": "ods",
}
_COMPRESSION_OF = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd", ".zip": "zip"}
_STEM = re.compile(r"(?P<stem>.*?[^/])(?P<ending>\.[^./]+)", re.DOTALL)


_ALLOWED: dict[str, tuple[str | None, ...]] = {
    "format": (None, *FORMATS),
    "compression": COMPRESSIONS,
    "incremental": (None, *INCREMENTAL),
    "on_changed": (None, *ON_CHANGED),
    "types": TYPES,
    "short_rows": SHORT_ROWS,
}
_LEAST = {
    "header_rows": 1,
    "skip_rows": 0,
    "skip_footer": 0,
    "batch_rows": 1,
    "batch_bytes": 1,
    "max_row_bytes": 1,
    "max_file_bytes": 1,
    "max_ratio": 1,
}


_LIST = (bool, Sequence)
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "header": (_LIST, "It is True, False, or a list of names."),
    "null_values": (_LIST, 'It is a list of texts, such as ["", "NA"].'),
    "hive_partitions": (
        (bool, Mapping, type(None)),
        'Use True, False, or types: {"year": "integer"}.',
    ),
    "columns": ((Mapping, type(None)), 'For example {"id": [0, 5], "name": [5, 25]}.'),
    "record_path": ((str, Sequence, type(None)), 'For example "data.items".'),
    "sheet": ((int, str, Sequence), 'For example 0, "Orders", "20*", or a list of these.'),
    "members": ((str, Sequence, type(None)), 'For example "*.csv".'),
}


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """How the files of one stream are found and read.

    `docs/files.md` says what each option means.
    """

    path: Any = None
    format: str | None = None
    primary_key: Sequence[str] | str = ()
    schema: Mapping[str, Any] | None = None
    incremental: str | None = None
    on_changed: str | None = None
    min_age: float = 0
    allow_empty: bool = False
    with_origin: bool = False
    hive_partitions: bool | Mapping[str, Any] | None = None
    encoding: str | Sequence[str] = "utf-8"
    compression: str = "infer"
    delimiter: str | None = None
    quote: str | None = '"'
    escape: str | None = None
    comment: str | None = None
    header: bool | Sequence[str] = True
    header_rows: int = 1
    skip_rows: int = 0
    skip_footer: int = 0
    short_rows: str = "error"
    skip_blank_lines: bool = False
    null_values: Sequence[str] = ()
    types: str = "text"
    decimal: str = "."
    thousands: str | None = None
    date_format: str | Sequence[str] | Mapping[str, Any] | None = None
    sheet: str | int | Sequence[str | int] = 0
    cells: str | None = None
    columns: Mapping[str, Any] | None = None
    record_path: str | Sequence[str] | None = None
    members: str | Sequence[str] | None = None
    batch_rows: int = 50_000
    batch_bytes: int = 8 * MEBIBYTE
    max_row_bytes: int = 64 * MEBIBYTE
    max_file_bytes: int = 100 * 1024 * MEBIBYTE
    max_ratio: int = 200

    def __post_init__(self) -> None:
        for name, allowed in _ALLOWED.items():
            value = getattr(self, name)
            if value not in allowed:
                known = ", ".join(repr(one) for one in allowed if one is not None)
                raise ConfigError(f"{name} is {value!r}.", hint=f"Use one of {known}.")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(
                    f"{name} is {value!r}.", hint=f"It is a number, at least {least}."
                )
        for name in ("delimiter", "quote", "escape", "comment"):
            value = getattr(self, name)
            if value is None or (name, value) == ("delimiter", INFER):
                continue
            if len(value) != 1:
                raise ConfigError(f"{name} is {value!r}.", hint="It is one character.")
        self._check_kinds()
        if self.header_rows > 1 and self.header is not True:
            raise ConfigError(
                f"header_rows is {self.header_rows}, but the header is not read.",
                hint="Leave header out; or leave header_rows out and pass the file's own header "
                "over with skip_rows.",
            )
        range_of(self.cells)
        check_notation(self)
        for encoding in [self.encoding] if isinstance(self.encoding, str) else self.encoding:
            _check_encoding(encoding)

    def _check_kinds(self) -> None:
        for name, (kinds, hint) in _KINDS.items():
            value = getattr(self, name)
            is_text_for_list = isinstance(value, str) and kinds is _LIST
            if not isinstance(value, kinds) or is_text_for_list:
                raise ConfigError(f"{name} is {value!r}.", hint=hint)
        several = [self.sheet] if isinstance(self.sheet, int | str) else self.sheet
        if not several or not all(isinstance(one, int | str) for one in several):
            raise ConfigError(f"sheet is {self.sheet!r}.", hint=_KINDS["sheet"][1])

    def replaced(self, changes: Mapping[str, Any], *, stream: str) -> Self:
        """Return a copy with other options.

        Raises:
            ConfigError: There is no such option.
        """
        for name in changes:
            if name not in OPTIONS:
                raise ConfigError(
                    f"stream {stream!r}: files have no option {name!r}.",
                    hint=nearest_option(name),
                )
        before = {name: getattr(self, name) for name in OPTIONS}
        return type(self)(**{**before, **changes})


def _check_encoding(encoding: Any) -> None:
    try:
        if encoding != DETECT:
            "".encode(encoding)
    except (LookupError, TypeError):
        raise ConfigError(
            f"There is no encoding {encoding!r}.",
            hint=f"For example utf-8, latin-1, or {DETECT!r}.",
        ) from None


OPTIONS = tuple(one.name for one in fields(FileOptions))


def nearest_option(name: str) -> str:
    """Return a sentence with the options whose names are near, or else with all of them."""
    return did_you_mean(name, OPTIONS, most=len(OPTIONS))


def endings(name: str) -> tuple[str, str | None, str | None]:
    """Return a file's name without its endings, and the format and the compression they tell."""
    compression = None
    match = _STEM.fullmatch(name)
    if match and match["ending"].lower() in _COMPRESSION_OF:
        compression = _COMPRESSION_OF[match["ending"].lower()]
        name = match["stem"]
        match = _STEM.fullmatch(name)
    format_ = _FORMAT_OF.get(match["ending"].lower()) if match else None
    if match and format_:
        name = match["stem"]
    return name, format_, compression


def is_tabbed(name: str) -> bool:
    """Return whether a CSV file's ending says that tabs stand between its cells."""
    return re.search(r"\.tsv(\.[^./]+)?$", name, re.IGNORECASE) is not None


@dataclass(frozen=True)
class Inferred:
    """The types that were inferred for the columns of a stream's files.

    Args:
        types: By column; text is one of them.
        held: Columns whose type may not change, so that what does not fit is for the schema
            contract.
        signs_zeros: The destination keeps -0.0; where it does not, that text is a 0, as it is in a
            column of integers.
    """

    types: "Mapping[str, pa.DataType]" = field(default_factory=dict)
    held: frozenset[str] = frozenset()
    signs_zeros: bool = True


@dataclass(frozen=True)
class Reading:
    """One file on its way to be read.

    Args:
        file: Its name, from the root on, with `/`.
        size: Its bytes as they are stored, if known.
        stream: The stream it belongs to.
        options: How to read it.
        open: Opens it for reading from the start; may be called more than once. A reader closes
            what it opened.
        remarks: What people should know of how the stream's files were read, each under a word for
            its kind.
        folders: Those it is in, as far as they are written or matched; ends in `/`.
        archive: The archive that it is a file of.
        inferred: The types that were inferred for its columns.
        refusals: Takes values that are none of their column's type, or cannot be read: NULL stands
            in their places.
    """

    file: str
    size: int | None
    stream: Stream
    options: FileOptions
    open: Callable[[], BinaryIO] = field(repr=False)
    remarks: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    folders: str = ""
    archive: str | None = None
    inferred: Inferred = field(default_factory=Inferred, repr=False, compare=False)
    refusals: Refusals = field(default_factory=Refusals, repr=False, compare=False)

    @property
    def format(self) -> str:
        """The format: the one that was asked for, or the ending's.

        Raises:
            ConfigError: Neither tells.
        """
        found = self.options.format or endings(self.file)[1]
        if found is None:
            leave = ""
            if self.archive:
                leave = 'members= names the files of the archive to read, for example "*.csv". Or: '
            raise ConfigError(
                f"stream {self.stream.name!r}: the ending of {self.file!r} tells no format.",
                hint=f"{leave}Say it with format=, one of {', '.join(FORMATS)} (jsonl: one JSON "
                "object per line).",
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

    def remark(self, kind: str, text: str) -> None:
        """Note what people should know; once of each kind, for there may be thousands of files."""
        self.remarks.setdefault(kind, text)

    def reads(self, column: str) -> bool:
        """Return whether a column is worth reading; the batch leaves out what is not selected."""
        # A catalog in Mage's words picks its columns one by one, and would leave out those that it
        # does not know.
        is_unknown = column not in ((self.stream.schema or {}).get("properties") or {})
        if is_unknown and self.stream.columns is None:
            return True
        return column_selector(self.stream)(column)

    def error(
        self,
        message: str,
        line: int | None = None,
        *,
        field: str | None = None,
        value: object = None,
        hint: str | None = None,
    ) -> DataError:
        """Return an error that names the file, and the line if there is one.

        Rows of sheets and of Parquet files are lines here.
        """
        where = self.file if line is None else f"{self.file}, line {line}"
        return DataError(
            f"{where}: {message}", stream=self.stream.name, field=field, value=value, hint=hint
        )
