"""Rows at a bookmark are recognised when they come again, whatever has become of their fields."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.model.bookmarks.boundary import MAX_CELLS, Boundary, UndecidableError
from etl_assets.model.bookmarks.row_cells import row_hash

WEST = timezone(timedelta(hours=-5))
ROWS: list[dict[str, Any]] = [
    {"at": 5, "id": 1, "name": "a", "n": 7},
    {"at": 5, "id": 2, "name": "b", "n": 8},
]


def boundary(stored: Any, key: tuple[str, ...] = (), **options: Any) -> Boundary:
    return Boundary(stored, primary_key=key, cursor=("at",), selects=lambda _: True, **options)


def stored(rows: list[dict[str, Any]], key: tuple[str, ...] = ()) -> Any:
    loaded = boundary(None, key)
    loaded.load(rows)
    return loaded.to_json()


def recognised(
    before: list[dict[str, Any]], now: list[dict[str, Any]], key: tuple[str, ...] = ()
) -> list[bool]:
    return boundary(stored(before, key), key).recognise(now)


CHANGES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "a column with a default": lambda row: {**row, "more": "x"},
    "a column that is filled": lambda row: {**row, "more": f"of {row['id']}"},
    "a dropped column": lambda row: {name: value for name, value in row.items() if name != "n"},
    "a renamed column": lambda row: {
        {"n": "number"}.get(name, name): value for name, value in row.items()
    },
    "a number that is text": lambda row: {**row, "n": str(row["n"])},
    "a number that is a decimal": lambda row: {
        **row,
        "n": Decimal(row["n"]).quantize(Decimal("1.000")),
    },
    "a number that is a double": lambda row: {**row, "n": float(row["n"])},
    "a number as other text": lambda row: {**row, "n": f"{row['n']}.00"},
    "text that is a list": lambda row: {**row, "name": [row["name"]]},
    "a date that is an instant": lambda row: {
        **row,
        "name": datetime(2026, 1, row["id"], tzinfo=UTC),
    },
    "everything but one column": lambda row: {"at": row["at"], "id": row["id"], "other": 1},
}


@pytest.mark.parametrize("key", [(), ("id",)], ids=["keyless", "keyed"])
@pytest.mark.parametrize("change", CHANGES)
def test_loaded_rows_are_known_and_new_ones_are_not(change: str, key: tuple[str, ...]) -> None:
    before = (
        [{**row, "name": date(2026, 1, row["id"])} for row in ROWS] if "instant" in change else ROWS
    )
    new = {"at": 5, "id": 3, "name": "c", "n": 9}
    if "instant" in change:
        new["name"] = date(2026, 1, 3)
    now = [CHANGES[change](row) for row in (*before, new)]
    assert recognised(before, now, key) == [True, True, False]
    assert recognised(before, now[::-1], key) == [False, True, True]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_recognised_is_stored_as_it_was_first_loaded(change: str) -> None:
    first = boundary(stored([{**row, "more": None} for row in ROWS]))
    assert all(first.recognise([{**row, "more": None} for row in ROWS]))
    again = boundary(first.to_json())
    if "instant" not in change:
        assert again.recognise([CHANGES[change](row) for row in ROWS]) == [True, True]


def test_equal_rows_are_counted() -> None:
    row = {"at": 5, "name": "a"}
    assert recognised([row, row], [row, row, row]) == [True, True, False]
    assert recognised([row, row], [{**row, "x": 1}] * 3) == [True, True, False]


def test_a_change_without_a_new_replication_key_is_another_row_unless_there_is_a_primary_key() -> (
    None
):
    now = [{**ROWS[0], "name": "other"}, ROWS[1]]
    assert recognised(ROWS, now) == [False, True]
    keyed = boundary(stored(ROWS, ("id",)), ("id",))
    assert keyed.recognise(now) == [True, True]
    assert keyed.changed == 1


def test_a_row_that_fills_a_null_is_told_from_one_that_had_it() -> None:
    before = [{"at": 5, "name": "a", "n": None}]
    assert recognised(
        before, [{"at": 5, "name": "a", "n": 1}, {"at": 5, "name": "a", "n": None}]
    ) == [False, True]
    assert recognised(before, [{"at": 5, "name": "a", "n": 1}]) == [True]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"at": 5, "name": "a"}, [{"at": 5, "title": "a"}]),
        ({"at": 5}, [{"at": 5, "n": 1}]),
        ({"at": 5, "name": "a"}, [{"at": 5, "name": "a", "n": 1}, {"at": 5, "name": "a", "n": 2}]),
        ({"at": 5, "name": "a", "n": 1}, [{"at": 5, "name": "a"}, {"at": 5, "name": "a", "m": 2}]),
    ],
    ids=["renamed", "only the cursor", "which of two", "which of two, dropped"],
)
def test_what_nothing_tells_is_an_error(before: dict[str, Any], now: list[dict[str, Any]]) -> None:
    with pytest.raises(UndecidableError):
        recognised([before], now)
    known = boundary(stored([before]))
    *first, last = now
    for row in first:  # also where they come in batches
        known.recognise([row])
    with pytest.raises(UndecidableError):
        known.recognise([last])


def test_another_type_of_the_primary_key_is_an_error_unless_its_text_is_the_same() -> None:
    assert recognised(ROWS, [{**row, "id": str(row["id"])} for row in ROWS], ("id",)) == [
        True,
        True,
    ]
    with pytest.raises(UndecidableError, match="primary key"):
        recognised(ROWS, [{**row, "id": f"u{row['id']}"} for row in ROWS], ("id",))
    with pytest.raises(UndecidableError, match="primary key"):
        recognised(
            ROWS, [{"at": 5, "name": row["name"], "uid": row["id"]} for row in ROWS], ("id",)
        )


def many(count: int) -> list[dict[str, Any]]:
    return [{"at": 5, "id": number, "name": f"n{number}"} for number in range(count)]


@pytest.mark.parametrize("key", [(), ("id",)], ids=["keyless", "keyed"])
def test_of_many_rows_a_hash_is_kept(key: tuple[str, ...]) -> None:
    rows = many(MAX_CELLS)
    kept = stored(rows, key)
    assert kept[0]["whole"]
    new = {"at": 5, "id": -1, "name": "new"}
    assert boundary(kept, key).recognise([*rows, new]) == [True] * len(rows) + [False]
    wider = [{**row, "more": "x"} for row in (*rows, new)]
    assert boundary(kept, key).recognise(wider) == [True] * len(rows) + [False]
    renamed = [{"at": 5, "id": row["id"], "title": row["name"]} for row in rows]
    if key:
        assert all(boundary(kept, key).recognise(renamed))
    else:
        known = boundary(kept, key)
        known.recognise(renamed)
        with pytest.raises(UndecidableError, match="too many rows"):
            known.settle()


def test_many_batches_at_one_key_make_few_groups() -> None:
    loaded = boundary(None)
    rows = many(3 * MAX_CELLS)
    for start in range(0, len(rows), MAX_CELLS):
        loaded.load(rows[start : start + MAX_CELLS])
        loaded.to_json()
    assert len(loaded.to_json()) == 1
    assert all(boundary(loaded.to_json()).recognise(rows))


class TestEarlierVersions:
    """Their bookmarks hold a hash of each row's values."""

    def test_rows_are_known(self) -> None:
        old = dict(Counter(map(row_hash, [*ROWS, ROWS[0]])))
        known = boundary(old)
        assert known.recognise([*ROWS, ROWS[0], {"at": 5, "id": 3}]) == [True, True, True, False]
        known.settle()
        again = boundary(known.to_json())
        assert again.recognise([{**row, "x": 1} for row in (*ROWS, ROWS[0])]) == [True, True, True]

    def test_a_column_that_came_later_is_left_out(self) -> None:
        known = boundary(
            dict(Counter(map(row_hash, ROWS))), fields_before={"at", "id", "name", "n"}
        )
        assert known.recognise([{**row, "more": "x"} for row in ROWS]) == [True, True]

    def test_other_changes_are_an_error(self) -> None:
        known = boundary(
            dict(Counter(map(row_hash, ROWS))), fields_before={"at", "id", "name", "n"}
        )
        assert known.recognise([{**row, "n": str(row["n"])} for row in ROWS]) == [False, False]
        assert known.undecided
        with pytest.raises(UndecidableError, match="earlier version"):
            known.settle()

    def test_those_that_do_not_come_are_kept(self) -> None:
        old = dict(Counter(map(row_hash, ROWS)))
        known = boundary(old)
        assert known.recognise([ROWS[0]]) == [True]
        assert boundary(known.to_json()).recognise([*ROWS]) == [True, True]


@pytest.mark.parametrize(
    "damaged", [5, "x", [5], [{"fields": 3}], [{"fields": {"a": "text"}, "rows": {"short": 1}}]]
)
def test_what_is_damaged_is_an_error(damaged: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        boundary(damaged)


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from(["", "a", "b"]),
    st.floats(allow_nan=False),
)
rows_with_fields = st.lists(
    st.fixed_dictionaries({"at": st.just(5), "a": values, "b": values}), max_size=12
)


@given(rows_with_fields, rows_with_fields, st.randoms())
def test_counts_come_out_for_any_rows(
    before: list[dict[str, Any]], new: list[dict[str, Any]], chance: Any
) -> None:
    now = [*before, *new]
    chance.shuffle(now)
    known = recognised(before, now)
    taken = [row_hash(row) for row, is_known in zip(now, known, strict=True) if is_known]
    if all(row_hash(row) not in map(row_hash, before) for row in new):
        assert len(taken) >= len(before)
    assert not Counter(map(row_hash, before)) - Counter(taken), "each loaded row is found"


@pytest.mark.parametrize("many_rows", [False, True])
@pytest.mark.parametrize("key", [(), ("id",), ("id", "name"), ("at", "id")], ids=str)
def test_unchanged_rows_are_no_change_however_many(key: tuple[str, ...], many_rows: bool) -> None:
    rows = many(MAX_CELLS) if many_rows else ROWS
    again = boundary(stored(rows, key), key)
    assert all(again.recognise(rows))
    again.settle()
    assert (again.told_by, again.changed, again.replaced) == ([], 0, (0, 0))


@pytest.mark.parametrize("key", [(), ("id",), ("at",), ("at", "id")], ids=str)
@pytest.mark.parametrize("many_rows", [False, True])
def test_a_replication_key_that_is_written_in_another_way_is_no_change(
    key: tuple[str, ...],
    many_rows: bool,
) -> None:
    rows = many(MAX_CELLS) if many_rows and key != ("at",) else ROWS[:1]
    before = [{**row, "at": "2026-01-01T00:00:00Z"} for row in rows]
    for at in ("2026-01-01T00:00:00+00:00", datetime(2026, 1, 1, tzinfo=UTC)):
        assert all(recognised(before, [{**row, "at": at} for row in rows], key))


def test_a_field_that_few_of_many_rows_have_is_not_gone_from_a_batch_without_it() -> None:
    rows = [
        {"at": 5, "id": number, **({"note": "x"} if number == 0 else {})}
        for number in range(MAX_CELLS)
    ]
    for batches in ([rows[:1], rows[1:]], [rows[1:], rows[:1]]):
        again = boundary(stored(rows))
        new = {"at": 5, "id": -1}
        assert not again.recognise([new])[0]
        assert again.undecided  # it may be one of them, without its note
        assert all(all(again.recognise(batch)) for batch in batches)
        assert not again.undecided
        again.settle()


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (memoryview(b"ab"), memoryview(bytearray(b"ab"))),
        (bytearray(b"ab"), b"ab"),
        ({"x": 1, "y": [{"a": 1, "b": 2}]}, {"y": [{"b": 2, "a": 1}], "x": 1}),
        (1.5, np.float64(1.5)),
        (datetime(9999, 12, 31, 23, tzinfo=WEST), datetime(9999, 12, 31, 23, tzinfo=WEST)),
    ],
    ids=["memoryview", "bytearray", "order of keys", "numpy", "last day"],
)
def test_equal_values_are_equal_in_each_form(before: Any, now: Any) -> None:
    assert recognised([{"at": 5, "value": before}], [{"at": 5, "value": now}]) == [True]
    assert recognised([{"at": 5, "value": before}], [{"at": 5, "value": None}]) == [False]


def test_rows_that_took_the_place_of_others_are_counted_where_no_key_tells() -> None:
    now = [{**ROWS[0], "n": 7.5}, ROWS[1]]
    keyless, keyed = boundary(stored(ROWS)), boundary(stored(ROWS, ("id",)), ("id",))
    assert (keyless.recognise(now), keyless.replaced) == ([False, True], (1, 1))
    assert (keyed.recognise(now), keyed.replaced) == ([True, True], (0, 0))
