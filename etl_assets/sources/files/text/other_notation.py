"""Texts that stay texts because no option says how they are written, and which option would.

What is told here is proved with the option itself on all texts of the column, so that it helps when
it is followed.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from etl_assets.sources.files.text.inference import Seen, as_texts, look
from etl_assets.sources.files.text.notation import inferred_rewrite

if TYPE_CHECKING:
    import pyarrow as pa

    from etl_assets.sources.files.options import FileOptions

_NUMBERS: tuple[Mapping[str, str], ...] = (
    {"decimal": ","},
    {"decimal": ",", "thousands": "."},
    {"thousands": ","},
)
_DAYS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y.%m.%d")
_CLOCKS = ("", " %H:%M", " %H:%M:%S")
_DATES = tuple(f"{day}{clock}" for day in _DAYS for clock in _CLOCKS)
_GO_ON = {None, "integer"}
"""What a column may be before its first text of another form: all notations write these alike."""


class Notations:
    """The options that still fit the columns that are texts."""

    def __init__(self) -> None:
        self._fitting: dict[str, dict[str, Seen]] = {}

    def is_open(self, name: str) -> bool:
        """Return whether an option may still fit a column."""
        return bool(self._fitting.get(name))

    def look_at(
        self, name: str, before: Seen, texts: "pa.Array | pa.ChunkedArray", options: "FileOptions"
    ) -> None:
        """Take the next texts of a column that is text: what does not fit all of them is left out.

        Args:
            name: The column.
            before: What was seen before these texts.
            texts: As they are written.
            options: How they were read.
        """
        import pyarrow.compute as pc

        if name in self._fitting:
            fitting = self._fitting[name]
        else:
            fitting = (
                dict.fromkeys(_possible(options, name), before) if before.kind in _GO_ON else {}
            )
        if fitting:
            written = pc.unique(texts).to_pylist()
            first = [next((text for text in written if text), None)]
            possible = _possible(options, name)
            fitting = {
                told: seen
                for told, one in fitting.items()
                if _read(possible[told], first, options, name, Seen()).kind != "text"
                and (seen := _read(possible[told], written, options, name, one)).kind != "text"
            }
        self._fitting[name] = fitting

    def remark(self, name: str, seen: Mapping[str, Seen]) -> str | None:
        """Return which option would make values of a column that is text; None if there is none.

        Args:
            name: The column.
            seen: What was seen of all columns: an option for numbers holds for each of them.
        """
        has_points = any(one.kind == "number" for one in seen.values())
        fitting = {
            told: found
            for told, found in self._fitting.get(name, {}).items()
            if found.kind is not None and not (found.is_number and "decimal" in told and has_points)
        }
        if _told(_NUMBERS[0]) in fitting:
            fitting.pop(
                _told(_NUMBERS[1]), None
            )  # no text has a point that would be between thousands
        if not fitting:
            return None
        kinds = " or ".join(
            dict.fromkeys("numbers" if one.is_number else "dates" for one in fitting.values())
        )
        return (
            f"the column {name!r} is text, and would be {kinds} with {' or '.join(fitting)}: if it "
            "is written so, say that to the source, and load the stream anew with full_refresh"
        )


def _possible(options: "FileOptions", name: str) -> dict[str, Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    if options.decimal == "." and options.thousands is None:
        found += _NUMBERS
    if options.date_format is None:
        found += [{"date_format": {name: one}} for one in _DATES]
    return {_told(one): one for one in found}


def _told(options: Mapping[str, Any]) -> str:
    """Write options as they are given to the source."""
    return ", ".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in options.items()
    )


def _read(
    added: Mapping[str, Any], texts: list[Any], options: "FileOptions", name: str, before: Seen
) -> Seen:
    rewrite = inferred_rewrite(replace(options, **added), name)
    rewritten = texts if rewrite is None else rewrite(texts)
    return before.joined(look(as_texts(rewritten)))
