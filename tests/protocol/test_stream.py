"""A stream says what it is in few words, keeps what it was given, and refuses what makes no sense."""

import dataclasses
import pickle
from typing import Any

import pytest

from etl_assets.exceptions import ConfigError
from etl_assets.model.stream import Stream

SCHEMA = {
    "type": "object",
    "properties": {"id": {"type": "integer"}, "name": {"type": ["null", "string"]}},
}


def root(**metadata: Any) -> list[dict[str, Any]]:
    return [
        {
            "breadcrumb": [],
            "metadata": {key.replace("_", "-"): value for key, value in metadata.items()},
        }
    ]


def test_few_words_are_enough() -> None:
    stream = Stream("users", primary_key=["id"], replication_key="updated_at")
    assert stream.key == ("", "users")
    assert stream.primary_key == ("id",)
    assert stream.cursor == ("updated_at",)
    assert stream.method == stream.replication_method == "INCREMENTAL"
    assert (stream.tap_stream_id, stream.stream, stream.key_properties) == (
        "users",
        "users",
        ["id"],
    )
    assert (stream.schema, stream.json_schema, stream.table, stream.selected) == (
        None,
        {},
        None,
        None,
    )
    assert Stream("logs").method == "FULL_TABLE"


def test_one_name_may_be_a_text() -> None:
    one = Stream(
        "s", primary_key="id", unique_constraints="code", partition_keys="day", columns="id"
    )
    assert one == Stream(
        "s",
        primary_key=["id"],
        unique_constraints=("code",),
        partition_keys=["day"],
        columns=["id"],
    )


@pytest.mark.parametrize(
    ("arguments", "cursor"),
    [
        ({}, ()),
        ({"replication_key": "a"}, ("a",)),
        ({"replication_key": ("a", "b")}, ("a", "b")),
        ({"replication_key": "b", "bookmark_properties": ["a", "b", "c"]}, ("b", "a", "c")),
        ({"bookmark_properties": ["a", "b"]}, ("a", "b")),
        ({"replication_key": "a", "replication_method": "FULL_TABLE"}, ()),
        ({"replication_key": "a", "replication_method": "LOG_BASED"}, ("a",)),
        ({"replication_method": "LOG_BASED"}, ()),
        ({"metadata": root(replication_key="a")}, ("a",)),
        (
            {"replication_method": "INCREMENTAL", "metadata": root(valid_replication_keys=["a"])},
            ("a",),
        ),
        ({"metadata": root(replication_key="a", replication_method="FULL_TABLE")}, ()),
        (
            {
                "metadata": root(
                    forced_replication_method="INCREMENTAL", valid_replication_keys=["a", "b"]
                )
            },
            (),
        ),
        ({"metadata": root(forced_replication_method={"replication-method": "FULL_TABLE"})}, ()),
    ],
)
def test_the_cursor_keeps_all_its_columns_in_order(
    arguments: dict[str, Any], cursor: tuple[str, ...]
) -> None:
    assert Stream("s", **arguments).cursor == cursor


def test_a_source_that_keeps_its_own_bookmark_is_incremental_without_a_key() -> None:
    assert (
        Stream("s", metadata=root(forced_replication_method="INCREMENTAL")).method == "INCREMENTAL"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            {"replication_method": "SOMETIMES"},
            "replication_method is 'SOMETIMES'.*FULL_TABLE, INCREMENTAL, LOG_BASED",
        ),
        ({"replication_method": "INCREMENTAL"}, "no replication key.*Give it a replication_key"),
        (
            {
                "replication_method": "INCREMENTAL",
                "metadata": root(valid_replication_keys=["a", "b"]),
            },
            "no replication key",
        ),
        ({"unique_conflict_method": "EXPLODE"}, "unique_conflict_method is 'EXPLODE'"),
        ({"primary_key": 1}, "primary_key is 1, not a list of names"),
        ({"primary_key": ["id", None]}, "primary_key"),
        ({"primary_key": {"id": 1}}, "primary_key"),
        ({"schema": ["id"]}, "schema"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"metadata": [{"breadcrumb": []}]}, "metadata"),
        ({"metadata": [{"breadcrumb": "properties", "metadata": {}}]}, "metadata"),
        ({"metadata": [{"breadcrumb": [1], "metadata": {}}]}, "metadata"),
        ({"extra": {"schema": {}}}, r"\['schema'\]"),
        ({"namespace": 1}, "namespace"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        Stream("users", **arguments)
    assert "'users'" in str(caught.value)
    assert caught.value.stream == "users"


@pytest.mark.parametrize("name", ["", None, 1])
def test_a_stream_has_a_name(name: Any) -> None:
    with pytest.raises(ConfigError, match="name"):
        Stream(name)


def test_it_cannot_be_changed_from_within_or_without() -> None:
    schema: dict[str, Any] = {"properties": {"id": {}}}
    stream = Stream("s", schema=schema)
    schema["properties"]["more"] = {}
    assert stream.schema == {"properties": {"id": {}}}
    stream.to_dict()["schema"]["properties"]["more"] = {}
    assert stream.schema == {"properties": {"id": {}}}
    with pytest.raises(dataclasses.FrozenInstanceError):
        stream.name = "t"  # type: ignore[misc]


def test_equal_by_value_and_hashed_by_key() -> None:
    one, same = (
        Stream("s", schema=SCHEMA, primary_key="id"),
        Stream("s", schema=SCHEMA, primary_key=["id"]),
    )
    assert one == same
    assert len({one, same, Stream("s", primary_key="id"), Stream("s", namespace="n")}) == 3
    assert hash(one) == hash(Stream("s"))
    assert one != Stream("s", schema=SCHEMA)
    assert one != "s"
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301 - our own bytes


def test_the_order_of_metadata_means_nothing() -> None:
    entries = [
        *root(selected=True),
        {"breadcrumb": ["properties", "id"], "metadata": {"selected": True}},
    ]
    assert Stream("s", metadata=entries) == Stream("s", metadata=entries[::-1])
    assert Stream("s", metadata=entries) != Stream("s", metadata=entries[:1])


def test_the_repr_says_what_is_not_usual() -> None:
    shown = repr(Stream("users", namespace="shop", primary_key="id", schema=SCHEMA, selected=False))
    assert shown == (
        "Stream('users', namespace='shop', primary_key=('id',), replication_method='FULL_TABLE', selected=False, "
        "schema=<2 columns>, metadata=<1 entries>)"
    )


def test_a_hand_written_stream_comes_back_from_its_entry() -> None:
    stream = Stream(
        "users",
        namespace="shop",
        schema=SCHEMA,
        primary_key="id",
        replication_key=["updated_at", "id"],
        bookmark_property_operators={"id": ">"},
        unique_constraints=["code"],
        unique_conflict_method="ignore",
        auto_add_new_fields=True,
        disable_column_type_check=False,
        partition_keys=["day"],
        run_in_parallel=True,
        stream_alias="people",
        selected=True,
        columns=["id", "n*"],
        metadata=[{"breadcrumb": ["properties", "id"], "metadata": {"inclusion": "automatic"}}],
        description="Who buys.",
        extra={"row_count": 3, "table_name": "t_users"},
    )
    again = Stream.from_dict(stream.to_dict())
    assert again == stream
    assert again.to_dict() == stream.to_dict()
    assert again.table == "t_users"
    assert Stream.from_dict(Stream("s").to_dict()) == Stream("s")


def test_replace_changes_what_is_named_only() -> None:
    stream = Stream(
        "users", schema=SCHEMA, primary_key="id", replication_key=["a", "b"], extra={"x": 1}
    )
    other = stream.replace(primary_key="code", replication_key="c")
    assert (other.primary_key, other.cursor, other.schema, other.extra) == (
        ("code",),
        ("c",),
        SCHEMA,
        {"x": 1},
    )
    assert stream.primary_key == ("id",)
    assert stream.replace() == stream
    assert stream.replace(replication_key=None).method == "FULL_TABLE"
    assert stream.replace(name="people").to_dict()["stream"] == "people"
    assert Stream.from_dict({"stream": "a"}).replace(name="b").to_dict() == {
        "stream": "b",
        "tap_stream_id": "b",
    }
    with pytest.raises(ConfigError, match=r"no 'primarykey'.*'primary_key'"):
        stream.replace(primarykey="id")


def test_replace_changes_what_the_metadata_says_of_the_same() -> None:
    metadata = root(
        table_key_properties=["id"],
        replication_key="a",
        replication_method="INCREMENTAL",
        row_count=3,
    )
    entry = {"tap_stream_id": "s", "schema": {}, "metadata": metadata}
    stream = Stream.from_dict(entry)
    assert (stream.primary_key, stream.cursor) == (("id",), ("a",))
    for changes in (
        {"primary_key": "code"},
        {"primary_key": ()},
        {"replication_key": "b"},
        {"replication_key": ("b", "c")},
        {"replication_key": None, "replication_method": None},
        {"replication_method": "FULL_TABLE"},
        {"selected": True},
        {"selected": False},
        {"schema": SCHEMA},
        {"description": "x"},
    ):
        changed = stream.replace(**changes)
        assert Stream.from_dict(changed.to_dict()) == changed, changes
        assert changed.replace(selected=None).metadata_of()["row-count"] == 3
    assert stream.replace(selected=True).replace(selected=None) == stream
    assert Stream("s", selected=True).replace(selected=None) == Stream("s")
    assert (
        stream.replace(primary_key="code").replace(primary_key="id").to_dict()["metadata"]
        == metadata
    )


def test_the_table_is_what_the_metadata_calls_it() -> None:
    assert Stream("public-users", metadata=root(table_name="users")).table == "users"


def test_two_names_of_one_entry_are_both_kept() -> None:
    stream = Stream.from_dict({"tap_stream_id": "public-users", "stream": "users"})
    assert (stream.name, stream.stream) == ("public-users", "users")
    assert stream.replace(primary_key="id").stream == "users"
