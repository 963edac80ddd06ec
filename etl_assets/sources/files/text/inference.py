"""What texts of a column are written as, summed up so that any two summaries can be joined.

A text is taken for a value only where what it says is kept by it. How it says it (`.5` for `0.5`,
`1e3` for `1000`) is not kept, but for what tells apart texts that are no numbers: leading zeros are
those of a code (`007`), and zeros at the end that differ from text to text are those of a version
(`1.1`, `1.10`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any

from etl_assets.model.values.arrays import array_of, integer_scalar, text_scalar
from etl_assets.model.values.exact_numbers import EXACT_DOUBLE

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBER = r"^[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"
_EXPONENT = r"^-?(?P<whole>[0-9]*)\.?(?P<decimals>[0-9]*)[eE]\+?(?P<exponent>-?[0-9]+)$"
_WHOLE = r"^[+-]?[0-9]*(\.0*)?$"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_MOMENT = rf"{_DAY}[T ][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\.[0-9]{{1,6}})?"
_FORMS = {
    "boolean": "^(true|false)$",
    "date": f"^{_DAY}$",
    "moment": f"^{_MOMENT}$",
    # An instant has no place for an offset: of those that have one, only UTC's comes back.
    "instant": rf"^{_MOMENT}(Z|\+00:00)$",
}
_NUMBERS = ("integer", "number")

SURE_DIGITS = 15
"""Any number of so many digits is the shortest text of its double."""
SURE_EXPONENT = 290
"""And of such an exponent: no double is that near to the ends of what doubles can say."""
LONGEST = 2**63
"""What is beyond 64 bits is counted as this."""


@dataclass(frozen=True)
class Seen:
    """What is known of some texts of one column.

    Args:
        kind: `integer`, `number`, `boolean`, `date`, `moment` (no zone), `instant`, or `text`; None
            where there was no text but empty ones.
        low: The smallest integer, where the kind is one; what is beyond 64 bits is only known to
            be.
        high: The largest.
        whole: The most digits that a number has before its point.
        scale: The most digits behind it, without an exponent.
        integral: No number has a fraction.
        exact: Each number is that of the shortest text of a double.
        fewest: The fewest decimals that a number is written with.
        most: The most.
        padded: A number is written with zeros at its end, which are more than the `.0` of a whole
            one.
    """

    kind: str | None = None
    low: int = 0
    high: int = 0
    whole: int = 0
    scale: int = 0
    integral: bool = True
    exact: bool = True
    fewest: int = 0
    most: int = 0
    padded: bool = False

    @property
    def is_number(self) -> bool:
        """Whether all texts are numbers."""
        return self.kind in _NUMBERS

    def joined(self, other: "Seen") -> "Seen":
        """Return what is known of the texts of both."""
        if self.kind is None or other.kind == "text":
            return other
        if other.kind is None or self.kind == "text":
            return self
        if not (self.is_number and other.is_number):
            return self if self.kind == other.kind else TEXT
        integers = self.kind == other.kind == "integer"
        return _told(
            Seen(
                kind="integer" if integers else "number",
                low=min(self.low, other.low) if integers else 0,
                high=max(self.high, other.high) if integers else 0,
                whole=max(self.whole, other.whole),
                scale=max(self.scale, other.scale),
                integral=self.integral and other.integral,
                exact=self.exact and other.exact,
                fewest=min(self.fewest, other.fewest),
                most=max(self.most, other.most),
                padded=self.padded or other.padded,
            )
        )

    def to_json(self) -> dict[str, Any]:
        """Return what is to be remembered; `of_json` reads it."""
        return {
            name: value for name, value in vars(self).items() if value != getattr(_NOTHING, name)
        }

    @classmethod
    def of_json(cls, known: Any) -> "Seen":
        """Read what was remembered; of what nobody here has written, nothing is known."""
        if not isinstance(known, Mapping):
            return _NOTHING
        kinds = {"kind": (str,), "integral": (bool,), "exact": (bool,), "padded": (bool,)}
        right = {
            name: value for name, value in known.items() if type(value) in kinds.get(name, (int,))
        }
        made = cls(**{name: value for name, value in right.items() if name in vars(_NOTHING)})
        return made if made.kind in {*_FORMS, *_NUMBERS, "text"} else _NOTHING


_NOTHING = Seen()
TEXT = Seen("text")


def _told(seen: Seen) -> Seen:
    """Take for texts what is no number by the zeros at its end."""
    return TEXT if seen.padded and seen.fewest != seen.most else seen


def look(texts: "pa.Array | pa.ChunkedArray") -> Seen:
    """Return what texts are written as.

    NULL and empty ones are passed over, as they may be of any kind.
    """
    import pyarrow.compute as pc

    # An empty text is the only one that is not greater than it.
    texts = texts.filter(pc.greater(pc.binary_length(texts), integer_scalar(0)))
    if not len(texts):
        return _NOTHING
    first = texts[0].as_py()
    if re.match(_NUMBER, first, re.ASCII):
        return _integers(texts) or _numbers(texts)
    kind = next((kind for kind, form in _FORMS.items() if re.match(form, first, re.ASCII)), None)
    return Seen(kind) if kind is not None and _all_are(texts, kind) else TEXT


def first_to_differ(before: Seen, texts: "pa.Array | pa.ChunkedArray") -> int:
    """Return the place of the first text with which a column, seen `before`, becomes text."""
    low, high = 0, len(texts)
    while high - low > 1:
        middle = (low + high) // 2
        if before.joined(look(texts.slice(0, middle))).kind == "text":
            high = middle
        else:
            low = middle
    return high - 1


def without_plus(texts: "pa.Array | pa.ChunkedArray") -> "pa.Array | pa.ChunkedArray":
    """Return numbers without the sign that Arrow does not read."""
    import pyarrow.compute as pc

    signed = pc.starts_with(texts, "+")
    return pc.replace_substring_regex(texts, r"^\+", "") if pc.any(signed).as_py() else texts


def temporal_type(kind: str | None) -> "pa.DataType | None":
    """Return the type of dates and times; None for what is none."""
    import pyarrow as pa

    types: dict[str | None, pa.DataType] = {
        "date": pa.date32(),
        "moment": pa.timestamp("us"),
        "instant": pa.timestamp("us", "UTC"),
    }
    return types.get(kind)


def _all_are(texts: "pa.Array | pa.ChunkedArray", kind: str) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pc.all(pc.match_substring_regex(texts, _FORMS[kind])).as_py():
        return False
    type_ = temporal_type(kind)
    if type_ is None:
        return True
    try:
        texts.cast(type_)  # there is no 30th of February
    except pa.ArrowInvalid:
        return False
    # The year 0, which Arrow has, is one that neither Python nor any of the databases has.
    return not pc.any(pc.starts_with(texts, "0000")).as_py()


def _integers(texts: "pa.Array | pa.ChunkedArray") -> Seen | None:
    """Return what integers are, by the shortest way: written out, they are the same texts.

    None if they are not.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pc.any(pc.match_substring(texts, ".")).as_py():
        return None  # Arrow takes ten times as long to find that out
    try:
        integers = texts.cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    come_back = pc.all(pc.equal(integers.cast(pa.string()), texts)).as_py()
    return _of_integers(integers) if come_back else None


def _of_integers(integers: "pa.Array | pa.ChunkedArray") -> Seen:
    import pyarrow.compute as pc

    bounds = pc.min_max(integers)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    largest = max(-low, high, 0)
    return Seen(
        "integer", low=low, high=high, whole=len(str(largest or "")), exact=largest <= EXACT_DOUBLE
    )


def _numbers(texts: "pa.Array | pa.ChunkedArray") -> Seen:
    import pyarrow.compute as pc

    raised = pc.or_(pc.match_substring(texts, "e"), pc.match_substring(texts, "E"))
    if not _all_are_numbers(texts, raised):
        return TEXT
    texts = without_plus(texts)
    if not pc.any(raised).as_py():
        return _told(_plain(texts))
    seen = _raised(texts.filter(raised))
    plain = texts.filter(pc.invert(raised))
    return seen.joined(_plain(plain)) if len(plain) else _told(seen)


def _all_are_numbers(
    texts: "pa.Array | pa.ChunkedArray", raised: "pa.Array | pa.ChunkedArray"
) -> bool:
    """Return whether all texts have the form of a number, as Arrow's reader of doubles knows it.

    It also reads leading zeros, words (`nan`), and any exponent (`raised`).
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        doubtful = pc.or_(raised, pc.invert(pc.is_finite(texts.cast(pa.float64()))))
    except pa.ArrowInvalid:
        return False
    for zero in ("0", "-0", "+0"):
        doubtful = pc.or_(doubtful, pc.starts_with(texts, zero))
    return bool(
        pc.all(pc.match_substring_regex(texts.filter(doubtful), _NUMBER), min_count=0).as_py()
    )


def _plain(texts: "pa.Array | pa.ChunkedArray") -> Seen:
    """Return what numbers without an exponent are."""
    import pyarrow.compute as pc

    length, point = pc.binary_length(texts), pc.find_substring(texts, ".")
    pointed = pc.greater_equal(point, integer_scalar(0))
    if (
        not pc.any(pointed).as_py() and not pc.any(pc.equal(texts, text_scalar("-0"))).as_py()
    ):  # an integer has no such zero
        return _wide_integers(texts)
    decimals = pc.if_else(
        pointed, pc.subtract(pc.subtract(length, point), integer_scalar(1)), integer_scalar(0)
    )
    signs = pc.cast(pc.starts_with(texts, "-"), decimals.type)
    whole = pc.subtract(
        pc.subtract(length, decimals), pc.add(signs, pc.cast(pointed, decimals.type))
    )
    zero = pc.or_(
        pc.starts_with(texts, "0"), pc.starts_with(texts, "-0")
    )  # no other digit follows it
    whole = pc.if_else(zero, integer_scalar(0), whole)
    return Seen(
        "number",
        whole=pc.max(whole).as_py(),
        scale=pc.max(decimals).as_py(),
        integral=_integral(texts),
        exact=_exact(
            texts.filter(pc.greater(pc.add(whole, decimals), integer_scalar(SURE_DIGITS)))
        ),
        padded=_padded(pc.and_(pointed, pc.ends_with(texts, "0")), decimals),
        fewest=pc.min(decimals).as_py(),
        most=pc.max(decimals).as_py(),
    )


def _wide_integers(texts: "pa.Array | pa.ChunkedArray") -> Seen:
    """Return what integers are of which some are beyond 64 bits, or were written with a plus."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return _of_integers(texts.cast(pa.int64()))
    except pa.ArrowInvalid:
        longest = pc.max(pc.binary_length(pc.utf8_ltrim(texts, "-"))).as_py()
        return Seen("integer", low=-LONGEST - 1, high=LONGEST, whole=longest, exact=False)


def _raised(texts: "pa.Array | pa.ChunkedArray") -> Seen:
    """Return what numbers with an exponent are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = pc.extract_regex(texts, _EXPONENT)
    before, after = (pc.struct_field(parts, name) for name in ("whole", "decimals"))
    exponent = pc.struct_field(parts, "exponent").cast(pa.int32())
    whole, decimals = pc.binary_length(before), pc.binary_length(after)
    most = pc.max(decimals).as_py()
    far = pc.greater(
        pc.abs(exponent), integer_scalar(SURE_EXPONENT - max(most, pc.max(whole).as_py()))
    )
    long = pc.greater(pc.add(whole, decimals), integer_scalar(SURE_DIGITS))
    scale = max(pc.max(pc.subtract(decimals, exponent)).as_py(), 0)
    return Seen(
        "number",
        whole=max(pc.max(pc.add(whole, exponent)).as_py(), 0),
        scale=scale,
        integral=scale == 0,
        exact=_exact(texts.filter(pc.or_(far, long))),
        padded=_padded(pc.ends_with(after, "0"), decimals),
        fewest=pc.min(decimals).as_py(),
        most=most,
    )


def _padded(zeros: "pa.Array | pa.ChunkedArray", decimals: "pa.Array | pa.ChunkedArray") -> bool:
    import pyarrow.compute as pc

    return bool(pc.any(pc.and_(zeros, pc.greater(decimals, integer_scalar(1)))).as_py())


def _integral(texts: "pa.Array | pa.ChunkedArray") -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    doubles = texts.cast(pa.float64())
    if not pc.all(pc.equal(doubles, pc.floor(doubles))).as_py():
        return False
    # A double of many digits has lost its fraction.
    return bool(pc.all(pc.match_substring_regex(texts, _WHOLE)).as_py())


def are_exact_doubles(texts: "pa.Array") -> bool:
    """Return whether each number, written without an exponent, is that of a double's shortest text.

    NULL is passed over.
    """
    import pyarrow.compute as pc

    return _exact(texts.filter(pc.greater(pc.binary_length(texts), integer_scalar(SURE_DIGITS))))


def _exact(texts: "pa.Array | pa.ChunkedArray") -> bool:
    """Return whether each number is that of the shortest text of a double."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not len(texts):
        return True
    shortest = texts.cast(pa.float64()).cast(pa.string())
    others = texts.filter(pc.not_equal(shortest, texts))
    return all(_is_shortest(text.as_py()) for text in others)


def _is_shortest(text: str) -> bool:
    double = float(text)
    shortest = repr(double)
    return shortest == text or (isfinite(double) and Decimal(shortest) == Decimal(text))


def as_texts(texts: Sequence[str | None]) -> "pa.Array | pa.ChunkedArray":
    """Return texts as a column."""
    import pyarrow as pa

    return array_of(texts, pa.string())
