"""In which encoding a text file is: what its signature says, what is proved, what else reads it.

Which one of the many encodings of a byte per character was meant, nothing in a file proves; the
libraries that guess it were wrong about half of the short files that they were tried with. So those
are never guessed: they are named by a hint, with what the file would then say.
"""

import codecs
from collections.abc import Iterator, Sequence

from etl_assets.exceptions import DataError, shorten
from etl_assets.sources.files.content import content
from etl_assets.sources.files.options import DETECT, MEBIBYTE, Reading

_SIGNATURES = (  # the longer ones first: that of UTF-32 begins as that of UTF-16 does
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SIGNATURE_BYTES = 4

_PROVABLE = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_COMMON = ("cp1252", "cp1250", "cp1251", "cp932", "gb18030", "cp949", "big5", "latin-1")
"""What a hint may name; the last one has a character for each byte."""
_NAMED = 4
_AROUND = 12
"""Bytes that are shown on both sides of the one that could not be read."""

_CHUNK = MEBIBYTE
PROVED_UP_TO = 1024 * MEBIBYTE
"""For a hint no more than this is read."""


def encoding_of(first: bytes, reading: Reading) -> str:
    """Return the encoding to read a file by.

    Args:
        first: Its first bytes.
        reading: The file, and which encoding was asked for. A signature wins over it: in no other
            encoding would a file begin so.

    Raises:
        DataError: It is not proved to be of one of those that were asked for.
    """
    signed = next((encoding for bytes_, encoding in _SIGNATURES if first.startswith(bytes_)), None)
    asked = reading.options.encoding
    if signed is not None:
        if not isinstance(asked, str) or asked == DETECT or not _is_same(asked, signed):
            reading.remark(
                f"encoding {signed}",
                f"{reading.file!r} is read as {signed}: its signature (BOM) says so",
            )
        return signed
    if isinstance(asked, str) and asked != DETECT:
        return asked
    candidates = _PROVABLE if asked == DETECT else tuple(asked)
    found = next(iter(_proved(reading, candidates)), None)
    if found is None:
        tried = f"any of the encodings {', '.join(candidates)}"
        if asked == DETECT:
            tried = "one of Unicode's encodings"
        raise reading.error(f"is not in {tried}.", hint=encoding_hint(reading))
    if found != candidates[0]:
        reading.remark(
            f"encoding {found}", f"{reading.file!r} is read as {found}, as all of its bytes allow"
        )
    return found


def _is_same(asked: str, signed: str) -> bool:
    return codecs.lookup(asked).name in {signed, signed.removesuffix("-sig")}


def encoding_hint(
    reading: Reading, error: UnicodeDecodeError | None = None, *, nul: bool = False
) -> str:
    """Name encodings that read the whole file, and how each reads the place of an error.

    Args:
        reading: The file.
        error: What the decoder says.
        nul: A NUL was read; no error of the decoder.
    """
    asked = reading.options.encoding
    refused = {asked} if isinstance(asked, str) else set(asked)
    found = [
        one
        for one in _proved(reading, (*_PROVABLE, *_COMMON), up_to=PROVED_UP_TO)
        if one not in refused
    ]
    if not found:
        return "Is it text?" if nul else "Say which it is with encoding=."
    shown = [f"encoding={one!r}{_as_read(one, error)}" for one in found[:_NAMED]]
    return f"Say which it is; these read the whole file: {', '.join(shown)}."


def _as_read(encoding: str, error: UnicodeDecodeError | None) -> str:
    if error is None or encoding.startswith("utf-"):
        return ""
    # Up to the ends of the words: a part of a character would be read as another one.
    start = max(error.object.rfind(b"\n", 0, error.start) + 1, error.start - _AROUND, 0)
    while start and error.object[start - 1] > 127:  # noqa: PLR2004 - beyond ASCII
        start -= 1
    bytes_ = error.object[start : error.start + _AROUND].partition(b"\n")[0]
    return f" ({shorten(bytes_.decode(encoding, 'ignore').strip())})"


def _proved(reading: Reading, candidates: Sequence[str], *, up_to: int | None = None) -> list[str]:
    """Return those of some encodings that all bytes of the file fit, and that see no NUL in it."""
    decoders = {one: codecs.getincrementaldecoder(one)("strict") for one in candidates}
    for chunk, is_last in _chunks(reading, up_to):
        for name in list(decoders):
            try:
                text = decoders[name].decode(chunk, final=is_last)
            except UnicodeError:
                del decoders[name]
                continue
            # Of the others Python tells the errors; any two bytes that are no surrogates are
            # UTF-16.
            if "\0" in text or (name.startswith("utf-16") and not _is_plausible(text)):
                del decoders[name]
        if not decoders:
            break
    return list(decoders)


def _is_plausible(text: str) -> bool:
    """Return whether a text may be meant: ASCII read as UTF-16 has no space and no line's end."""
    return not text or any(character in text for character in " \n\r\t,;0123456789")


def _chunks(reading: Reading, up_to: int | None) -> Iterator[tuple[bytes, bool]]:
    with content(reading) as binary:
        read = 0
        chunk = binary.read(_CHUNK)
        while chunk:
            read += len(chunk)
            following = binary.read(_CHUNK)
            if up_to is not None and read > up_to:
                return
            yield chunk, not following
            chunk = following


def undecodable(reading: Reading, encoding: str, error: UnicodeError, line: int) -> DataError:
    """Return the error of bytes that are not of the encoding.

    Args:
        reading: The file.
        encoding: By which it was read.
        error: What the decoder says.
        line: On which the bytes begin that the decoder got.
    """
    said = "is not in the encoding"
    if not isinstance(error, UnicodeDecodeError):
        return reading.error(f"{said} {encoding}: {error}.", line, hint=encoding_hint(reading))
    good = error.object[: error.start].decode(error.encoding, "ignore")
    line += good.count("\n") or good.count("\r")
    byte = error.object[error.start]
    return reading.error(
        f"{said} {encoding}: {error.reason}, byte {byte:#04x}.",
        line,
        hint=encoding_hint(reading, error),
    )
