"""Where a line of a file ends, held against readers that are not ours: no row more, none less, no text changed."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.exceptions import DataError
from etl_assets.sources.files.source import FileSource
from tests.sources.test_files_values import rows_of, written

NO_ENDS = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e"
"""What `str.splitlines` takes for the end of a line, and no file format does."""
ENDS = ["\n", "\r\n", "\r", "\r\r\n"]


def by_another(text: str) -> list[dict[str, str]]:
    """Read CSV by Python's own reader, of lines that end once each."""
    once = re.sub('\r\r\n(?=(?:[^"]*"[^"]*")*[^"]*$)', "\n", text)
    return [dict(row) for row in csv.DictReader(io.StringIO(once, newline=""))]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("width", [1, 2])
def test_each_line_is_one_row_however_it_ends(end: str, width: int, tmp_path: Path) -> None:
    names = ["a", "b"][:width]
    lines = [",".join(names), *(",".join([str(number)] * width) for number in range(5))]
    path = written(tmp_path / "a.csv", end.join([*lines, ""]))
    wanted: list[dict[str, Any]] = [dict.fromkeys(names, str(number)) for number in range(5)]
    assert (
        rows_of(FileSource("shop", str(path))) == wanted == by_another(path.read_bytes().decode())
    )
    origins = rows_of(FileSource("shop", str(path), with_origin=True))
    assert [row["_line"] for row in origins] == [2, 3, 4, 5, 6]
    objects = written(
        tmp_path / "a.jsonl", end.join([*(json.dumps({"n": number}) for number in range(5)), ""])
    )
    assert rows_of(FileSource("shop", str(objects))) == [{"n": number} for number in range(5)]


def test_inside_of_quotes_an_end_is_text(tmp_path: Path) -> None:
    cells = [*ENDS, "x\r\r\ny", *NO_ENDS]
    text = "a,b\r\r\n" + "".join(f'"{cell}",{place}\r\r\n' for place, cell in enumerate(cells))
    found = rows_of(FileSource("shop", str(written(tmp_path / "a.csv", text))))
    assert [row["a"] for row in found] == cells


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(["", "x", "a b", *NO_ENDS, '"\r"', '"\r\n"', '"\r\r\n"', '"\n"', '""']),
                     min_size=2, max_size=2),
            st.sampled_from(ENDS),
        ),
        max_size=8,
    )
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_any_mixture_is_what_another_reader_gives(lines: list[tuple[list[str], str]]) -> None:
    from tempfile import TemporaryDirectory

    text = "a,b\n" + "".join(",".join(cells) + end for cells, end in lines)
    with TemporaryDirectory() as folder:
        path = written(Path(folder, "a.csv"), text)
        source = FileSource("shop", str(path))
        if not lines:
            return
        assert rows_of(source) == by_another(text)


def test_what_only_unicode_calls_an_end_is_no_end_of_a_json_line(tmp_path: Path) -> None:
    rows = [{"x": one} for one in "\u2028\u2029\x85"]
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    assert rows_of(FileSource("shop", str(written(tmp_path / "a.jsonl", text)))) == rows
    for odd in "\u2028\x0b":
        with pytest.raises(DataError, match=r"line 2"):
            rows_of(
                FileSource(
                    "shop", str(written(tmp_path / "b.jsonl", f'{{"x": 1}}\n{odd}\n{{"x": 2}}\n'))
                )
            )
