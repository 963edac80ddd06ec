"""The answer to one request, and what its body says: JSON, lines of JSON, or CSV."""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urljoin, urlsplit

from etl_assets.exceptions import ProtocolError, SourceError, shorten
from etl_assets.model.json.lines import exact_decoder, exact_json
from etl_assets.model.json.repeated_keys import refuse_repeats
from etl_assets.model.stream import Stream

FORMATS = ("json", "jsonl", "csv")
SHOWN_BODY = 300
"""How many characters of a body an error shows."""

_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
_LINK = re.compile(
    r"<(?P<url>[^>]*)>(?P<words>(?:\s*;\s*[^\s=;,]+\s*(?:=\s*(?:\"[^\"]*\"|[^;,]*))?)*)"
)
_REL = re.compile(r";\s*rel\s*=\s*(?:\"(?P<quoted>[^\"]*)\"|(?P<bare>[^;,\s]*))", re.IGNORECASE)
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Answer:
    """One answer, whole.

    Args:
        method: Of the request.
        url: Of the request, or where it was led to.
        status: The status code.
        headers: Header fields, by their names in lower case.
        content: The body, decompressed.
        is_delimited: The connection said where the body ends, so that it is known to be whole.
    """

    method: str
    url: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    is_delimited: bool = True

    def __str__(self) -> str:
        return f"{self.method} {urlsplit(self.url).path or '/'}"

    @property
    def text(self) -> str:
        """The body as text, for people."""
        return self.content.decode(self._charset or "utf-8", "replace")

    @cached_property
    def document(self) -> Any:
        """The JSON document, with every number exact.

        Raises:
            ProtocolError: The body is no JSON.
            DataError: An object has a key twice.
        """
        return _document(self._utf8, str(self))

    @cached_property
    def lines(self) -> list[Any]:
        """The JSON documents of the lines.

        Raises:
            ProtocolError: A line is no JSON.
            DataError: An object has a key twice.
        """
        lines = self._utf8.split(b"\n")
        return [_document(line, str(self)) for line in lines if line.strip()]

    def rows_of_csv(self, stream: Stream, options: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the rows of a CSV file, read as `FileSource` reads it.

        Raises:
            DataError: It is not what it should be; names the line.
        """
        from etl_assets.sources.files.formats import pieces
        from etl_assets.sources.files.options import FileOptions, Reading

        wanted = FileOptions(**{"format": "csv", "compression": "none", **options})
        reading = Reading(
            str(self), len(self.content), stream, wanted, lambda: io.BytesIO(self.content)
        )
        rows: list[dict[str, Any]] = []
        for piece in pieces(reading):
            if piece.refused:
                raise piece.refused[min(piece.refused)][0].error()
            table = piece.table
            rows += table if isinstance(table, list) else table.to_pylist()
        return rows

    def format(self, asked: str | None) -> str:
        """Return the format of the body: the one asked for, else what its type says."""
        if asked is not None:
            return asked
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in {"text/csv", "application/csv"}:
            return "csv"
        if kind.endswith(("ndjson", "jsonl", "jsonlines", "json-lines", "json-seq")):
            return "jsonl"
        return "json"

    def link(self, rel: str) -> str | None:
        """Return the URL that the header `Link` has under a relation, or None."""
        for found in _LINK.finditer(self.headers.get("link", "")):
            relation = _REL.search(found["words"])
            if relation is None:
                continue
            names = (relation["quoted"] or relation["bare"] or "").lower().split()
            if rel.lower() in names:
                return str(urljoin(self.url, found["url"]))
        return None

    def error(self, why: str, *, hint: str | None = None) -> SourceError:
        """Return the error of an answer that is not what it should be."""
        return SourceError(f"{self} {why} It answered: {self.shown}", hint=hint)

    @property
    def shown(self) -> str:
        """The body, shortened and masked."""
        return shorten(self.text, SHOWN_BODY) if self.content else "nothing."

    @property
    def _charset(self) -> str | None:
        found = _CHARSET.search(self.headers.get("content-type", ""))
        if found is None:
            return None
        name = str(found[1])
        try:
            "".encode(name)
        except LookupError:
            return None
        return name

    @property
    def _utf8(self) -> bytes:
        """The body in UTF-8, without a mark of its order of bytes.

        Raises:
            ProtocolError: It is not of the charset that it is said to be.
        """
        charset = self._charset
        if charset is None or charset.lower().replace("-", "") in {"utf8", "usascii", "ascii"}:
            return self.content.removeprefix(_BOM)
        try:
            return self.content.decode(charset).removeprefix("\ufeff").encode()
        except UnicodeError as error:
            raise ProtocolError(f"{self}: the body is not {charset}, as its type says.") from error


def _document(body: bytes, name: str) -> Any:
    try:
        value = exact_decoder.decode(body)
    except (ValueError, RecursionError):
        value = exact_json(body)
    refuse_repeats(body.decode(), value, name)
    return value
