"""A catalog comes back as it was, is found by name, and knows what is selected."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.exceptions import ConfigError
from etl_assets.model.catalog import Catalog
from etl_assets.model.catalog_entries import copied
from etl_assets.model.selection import is_column_selected
from etl_assets.model.stream import Stream

TEXT = st.text(max_size=6)
NAME = st.text("abAB_-.é ", min_size=1, max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
NAMES = st.none() | st.lists(NAME, max_size=3)
FLAG = st.none() | st.booleans()
SELECTION = st.fixed_dictionaries(
    {},
    optional={
        "selected": FLAG,
        "selected-by-default": FLAG,
        "inclusion": st.sampled_from(["available", "automatic", "unsupported"]),
        "replication-method": st.sampled_from(["FULL_TABLE", "LOG_BASED"]),
        "table-key-properties": NAMES,
        "view-key-properties": NAMES,
        "valid-replication-keys": NAMES,
        "replication-key": st.none() | NAME,
        "forced-replication-method": st.sampled_from(["FULL_TABLE", "INCREMENTAL"])
        | st.just({"replication-method": "FULL_TABLE", "reason": "small"}),
        "schema-name": NAME,
        "row-count": st.integers(),
        "x": JSON,
    },
)
BREADCRUMB: st.SearchStrategy[list[str]] = (
    st.just([])
    | NAME.map(lambda name: ["properties", name])
    | st.tuples(NAME, NAME).map(lambda names: ["properties", names[0], "properties", names[1]])
)
METADATA = st.lists(
    st.fixed_dictionaries({"breadcrumb": BREADCRUMB, "metadata": SELECTION}), max_size=4
)
SCHEMA = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["object", ["null", "object"]]),
        "properties": st.dictionaries(NAME, JSON),
    },
)
ENTRY = st.fixed_dictionaries(
    {"tap_stream_id": NAME},
    optional={
        "stream": NAME,
        "schema": st.none() | SCHEMA,
        "metadata": st.none() | METADATA,
        "namespace": st.none() | st.sampled_from(["", "a", "b"]),
        "key_properties": NAMES,
        "replication_method": st.sampled_from([None, "", "FULL_TABLE", "LOG_BASED", "full_table"]),
        "replication_key": st.none() | NAME | st.lists(NAME, max_size=3),
        "bookmark_properties": NAMES,
        "bookmark_property_operators": st.none()
        | st.dictionaries(NAME, st.sampled_from([">", ">="])),
        "unique_constraints": NAMES,
        "unique_conflict_method": st.sampled_from([None, "", "UPDATE", "IGNORE"]),
        "auto_add_new_fields": FLAG,
        "disable_column_type_check": FLAG,
        "partition_keys": NAMES,
        "run_in_parallel": FLAG,
        "stream_alias": st.none() | NAME,
        "description": st.none() | TEXT,
        "columns": JSON | st.lists(NAME),
        "selected": FLAG,
        "table_name": JSON,
        "is_view": FLAG,
        "x": JSON,
    },
)


def unique(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(
        {
            (entry.get("namespace") or "", entry["tap_stream_id"]): entry for entry in entries
        }.values()
    )


CATALOGS = st.fixed_dictionaries(
    {"streams": st.lists(ENTRY, max_size=4).map(unique)}, optional={"version": JSON, "x": JSON}
)


def root(**metadata: Any) -> dict[str, Any]:
    return {
        "breadcrumb": [],
        "metadata": {key.replace("_", "-"): value for key, value in metadata.items()},
    }


def column(name: str, **metadata: Any) -> dict[str, Any]:
    return {**root(**metadata), "breadcrumb": ["properties", name]}


def shop() -> Catalog:
    return Catalog(
        [
            Stream("users", namespace="shop"),
            Stream("orders", namespace="shop"),
            Stream("users", namespace="crm"),
            Stream("order.items"),
            Stream("a[b]"),
        ]
    )


@given(CATALOGS)
def test_any_catalog_comes_out_as_it_went_in(document: dict[str, Any]) -> None:
    before = copied(document)
    out = Catalog.from_dict(document).to_dict()
    assert out == before
    assert json.dumps(out, sort_keys=True) == json.dumps(
        before, sort_keys=True
    )  # 1 == True == 1.0 otherwise
    assert document == before
    assert Catalog.from_dict(out) == Catalog.from_dict(document)


@given(CATALOGS, st.sampled_from([True, False]), st.lists(NAME, max_size=2), SCHEMA)
def test_what_was_changed_comes_out_changed_and_the_rest_as_it_was(
    document: dict[str, Any],
    selected: bool,
    key: list[str],
    schema: dict[str, Any],
) -> None:
    catalog = Catalog.from_dict(document)
    touched = {"metadata", "key_properties", "schema", "description"}
    all_changes: list[tuple[str, Any, Any]] = [
        ("selected", selected, selected),
        ("primary_key", key, tuple(key)),
        ("schema", schema, schema or None),
        ("description", "new", "new"),
    ]
    for stream in catalog.streams:
        for name, value, expected in all_changes:
            changed = catalog.replace(stream.replace(**{name: value}))
            again = Catalog.from_dict(changed.to_dict())
            assert again == changed
            assert getattr(again[stream.key], name) == expected
            for entry, old in zip(changed.to_dict()["streams"], document["streams"], strict=True):
                assert {k: v for k, v in entry.items() if k not in touched} == {
                    k: v for k, v in old.items() if k not in touched
                }


@given(CATALOGS)
def test_a_file_gives_the_catalog_back(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("catalog") / "c.json"
    catalog = Catalog.from_dict(document)
    try:
        catalog.dump(path)
    except ValueError:
        assert "Infinity" in json.dumps(document)
        assert not path.exists()
        return
    assert Catalog.load(path) == catalog


def test_a_file_is_sorted_and_columns_keep_their_order(tmp_path: Path) -> None:
    schema: dict[str, Any] = {"properties": {"b": {}, "a": {}}}
    metadata = [column("b"), column("a"), root(selected=True)]
    one = Catalog([Stream("b"), Stream("é", schema=schema, metadata=metadata), Stream("a")])
    two = Catalog(reversed([*one.values()]))
    one.dump(tmp_path / "sub" / "one.json")
    two.dump(tmp_path / "two.json")
    text = (tmp_path / "sub" / "one.json").read_text("utf-8")
    assert text == (tmp_path / "two.json").read_text("utf-8")
    assert text.endswith("}\n")
    assert "é" in text
    document = json.loads(text)
    assert [entry["tap_stream_id"] for entry in document["streams"]] == ["a", "b", "é"]
    assert list(document["streams"][2]["schema"]["properties"]) == ["b", "a"]
    assert [item["breadcrumb"] for item in document["streams"][2]["metadata"]] == [
        [],
        ["properties", "a"],
        ["properties", "b"],
    ]


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.json"
    Catalog([Stream("a")]).dump(path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, f"no space for {descriptor}")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        Catalog([Stream("b")]).dump(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_may_be_read_by_others_as_the_umask_says(tmp_path: Path) -> None:
    previous = os.umask(0o022)
    try:
        Catalog().dump(tmp_path / "c.json")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "c.json").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        # How deep is too deep, and for whom, is up to the version of Python.
        (
            '{"streams": [{"stream": "s", "x": ' + "[" * 5_000 + "]" * 5_000 + "}]}",
            "nested too deep|not JSON",
        ),
        ("[]", "not an object"),
        ("{}", "`streams`"),
        ('{"streams": {}}', "`streams`"),
        ('{"streams": [1]}', "Entry 0"),
        ('{"streams": [{"schema": {}}]}', "no name"),
        (
            '{"streams": [{"stream": "s", "replication_method": "INCREMENTAL"}]}',
            "'s'.*replication key",
        ),
    ],
    ids=range(10),
)
def test_what_is_no_catalog_is_refused(tmp_path: Path, content: str | None, says: str) -> None:
    path = tmp_path / "c.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=says):
        Catalog.load(path)


def test_two_streams_of_one_key_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"two streams 'n\.s'"):
        Catalog([Stream("s", namespace="n"), Stream("s"), Stream("s", namespace="n")])


def test_it_is_like_a_mapping_by_namespace_and_name() -> None:
    catalog = shop()
    assert list(catalog) == list(catalog.keys()) == [stream.key for stream in catalog.streams]
    assert dict(catalog.items())["shop", "orders"] is catalog["shop", "orders"] is catalog["orders"]
    assert catalog["shop.orders"] is catalog.get("orders", "shop")
    assert catalog.get("order.items", "").name == "order.items"
    assert "orders" in catalog
    assert ("crm", "users") in catalog
    assert catalog["orders"] in catalog
    assert "nothing" not in catalog
    assert len(catalog) == 5
    assert not Catalog()
    assert repr(catalog) == "Catalog(shop.users, shop.orders, crm.users, order.items, a[b])"


def test_a_name_of_two_streams_is_an_error_that_names_both() -> None:
    with pytest.raises(ConfigError, match=r"\('shop', 'users'\) and \('crm', 'users'\)"):
        shop().get("users")


@pytest.mark.parametrize("name", ["oders", "shop.oders"])
def test_an_unknown_name_is_an_error_with_the_nearest(name: str) -> None:
    with pytest.raises(ConfigError, match=f"no stream '{name}'.*orders'"):
        shop().get(name)


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        ("orders", ["shop.orders"]),
        (["shop.orders", "orders"], ["shop.orders"]),
        ("users", ["shop.users", "crm.users"]),
        (["order.items", "crm.*"], ["crm.users", "order.items"]),
        ("shop.*", ["shop.users", "shop.orders"]),
        ("order*", ["shop.orders", "order.items"]),
        ("?sers", ["shop.users", "crm.users"]),
        ("a[b]", ["a[b]"]),
        ("*", ["shop.users", "shop.orders", "crm.users", "order.items", "a[b]"]),
        ([], []),
    ],
)
def test_streams_are_selected_by_name_and_glob_in_the_catalogs_order(
    patterns: Any, found: list[str]
) -> None:
    assert [stream.full_name for stream in shop().select(patterns)] == found


def test_a_pattern_that_matches_nothing_is_an_error_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'shop\.user' matches no stream.*'shop\.users'"):
        shop().select(["orders", "shop.user"])
    with pytest.raises(ConfigError, match="'Orders' matches no stream"):
        shop().select("Orders")


@pytest.mark.parametrize(
    ("metadata", "selected"),
    [
        ([], True),
        ([column("id", selected=True)], True),
        ([root()], False),
        ([root(inclusion="available")], False),
        ([root(selected=True)], True),
        ([root(selected=False)], False),
        ([root(selected=None, selected_by_default=True)], True),
        ([root(selected_by_default=True)], True),
        ([root(selected=False, selected_by_default=True)], False),
        ([root(selected=True, selected_by_default=False)], True),
        ([root(inclusion="unsupported", selected=True)], False),
        ([root(inclusion="automatic", selected=False)], True),
        ([root(selected="true")], False),
    ],
)
def test_streams_are_selected_by_singers_precedence(
    metadata: list[dict[str, Any]], selected: bool
) -> None:
    stream = Stream("s", metadata=metadata)
    assert Catalog([stream, Stream("other", selected=False)]).selected == (
        (stream,) if selected else ()
    )


ABCD: dict[str, Any] = {"properties": {"id": {}, "a": {}, "b": {}, "c": {}}}


@pytest.mark.parametrize(
    ("arguments", "columns"),
    [
        ({}, "id a b c"),
        ({"metadata": [root(selected=True), column("a", inclusion="available")]}, "id a b c"),
        ({"metadata": [column("a", selected=True)]}, "a"),
        (
            {"metadata": [column("a", selected=True)], "primary_key": "id", "replication_key": "c"},
            "id a c",
        ),
        ({"metadata": [column("a", selected=True)], "replication_key": ["c", "b"]}, "a b c"),
        (
            {
                "metadata": [column("a", selected=True)],
                "unique_constraints": "id",
                "partition_keys": "c",
            },
            "id a c",
        ),
        ({"metadata": [column("a", selected=False)]}, "id b c"),
        ({"metadata": [column("id", selected=False)], "primary_key": "id"}, "id a b c"),
        (
            {
                "metadata": [
                    column("a", selected_by_default=True),
                    column("b", selected_by_default=False),
                ]
            },
            "a",
        ),
        ({"metadata": [column("id", inclusion="automatic", selected=False)]}, "id a b c"),
        ({"metadata": [column("id", inclusion="automatic"), column("a", selected=True)]}, "id a"),
        ({"metadata": [column("a", inclusion="unsupported", selected=True)]}, "id b c"),
        (
            {
                "metadata": [
                    {
                        "breadcrumb": ["properties", "a", "properties", "x"],
                        "metadata": {"selected": True},
                    }
                ]
            },
            "id a b c",
        ),
        ({"columns": ["a"]}, "a"),
        ({"columns": ["[ab]"], "primary_key": "id"}, "id a b"),
        (
            {
                "columns": ["*"],
                "metadata": [column("a", selected=False), column("b", inclusion="unsupported")],
            },
            "id a c",
        ),
        ({"columns": []}, ""),
    ],
)
def test_columns_are_selected_by_the_same_precedence_and_keys_always(
    arguments: dict[str, Any], columns: str
) -> None:
    stream = Stream("s", schema=ABCD, **arguments)
    catalog = Catalog([stream])
    assert (
        catalog.selected_columns("s") == catalog.selected_columns(stream) == tuple(columns.split())
    )
    assert [
        name for name in ABCD["properties"] if is_column_selected(stream, name)
    ] == columns.split()


def test_columns_that_are_yet_to_be_found_are_not_guessed() -> None:
    assert Catalog([Stream("s", columns=["a*"])]).selected_columns("s") is None
    assert is_column_selected(Stream("s", columns=["a*"]), "ab")


def test_a_column_that_is_not_there_is_an_error_with_the_nearest() -> None:
    stream = Stream("s", schema={"properties": {"price": {}}}, columns=["prise"])
    with pytest.raises(ConfigError, match=r"'prise' in its columns matches none.*'price'"):
        Catalog([stream]).selected_columns(stream)


def test_a_difference_reads_like_a_sentence() -> None:
    old = Catalog(
        [
            Stream("gone"),
            Stream("same", schema={"properties": {"a": {"type": ["null", "string"]}}}),
            Stream(
                "users",
                namespace="shop",
                primary_key="id",
                schema={
                    "properties": {"id": {"type": "integer"}, "old": {}, "at": {"type": "string"}}
                },
            ),
        ]
    )
    new = Catalog(
        [
            Stream(
                "users",
                namespace="shop",
                primary_key=["id", "region"],
                replication_key="at",
                schema={
                    "properties": {
                        "id": {"type": "string"},
                        "at": {"type": ["null", "string"], "format": "date-time"},
                        "price": {"type": "number", "multipleOf": 0.01},
                        "size": {"x-arrow": "values"},
                    }
                },
            ),
            Stream("same", schema={"properties": {"a": {"type": ["string", "null"]}}}),
            Stream("added"),
        ]
    )
    changes = old.diff(new)
    assert [str(change) for change in changes] == [
        "stream 'gone' is gone.",
        "stream 'shop.users': its primary key was id, is id, region.",
        "stream 'shop.users': its replication key was none, is at.",
        "stream 'shop.users': its replication method was FULL_TABLE, is INCREMENTAL.",
        "stream 'shop.users': column 'old' is gone.",
        "stream 'shop.users': column 'id' was integer, is string.",
        "stream 'shop.users': column 'at' was string, is null or string, date-time.",
        "stream 'shop.users': column 'price' is new ({'type': 'number', 'multipleOf': 0.01}).",
        "stream 'shop.users': column 'size' is new (the type of its values).",
        "stream 'added' is new.",
    ]
    assert [change.kind for change in changes[:2]] == ["stream_removed", "key_changed"]
    assert old.diff(old) == []


def test_a_stream_takes_the_place_of_its_own_key_only() -> None:
    catalog = shop().replace(Stream("orders", namespace="shop", primary_key="id"))
    assert catalog["orders"].primary_key == ("id",)
    assert list(catalog) == list(shop())
    with pytest.raises(ConfigError, match="no stream"):
        catalog.replace(Stream("orders"))
