"""The tree of errors: where its names are, how they are shown, and that `docs/errors.md` is complete."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from etl_assets import exceptions, redaction

PAGE = Path(__file__).resolve().parent.parent / "docs" / "errors.md"

_ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<cells>.+) \|$", re.MULTILINE)


def classes() -> dict[str, type[BaseException]]:
    """Return every class that `etl_assets.exceptions` offers, by its own name."""
    found = [getattr(exceptions, name) for name in exceptions.__all__]
    return {one.__name__: one for one in found if isinstance(one, type)}


def rows() -> dict[str, list[str]]:
    """Return the cells beside each name of an error or warning in the page's tables."""
    text = PAGE.read_text(encoding="utf-8")
    named = [(row["name"], row["cells"].split(" | ")) for row in _ROW.finditer(text)]
    return {name: cells for name, cells in named if name[0].isupper()}


ROWS: Mapping[str, list[str]] = rows()


def test_every_class_has_one_entry_and_the_base_is_explained() -> None:
    listed = re.findall(r"^\| `([A-Z]\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == set(classes()) - {"EtlAssetsError"}
    assert "Every error that the library raises on purpose is an `EtlAssetsError`" in (
        PAGE.read_text(encoding="utf-8")
    )


@pytest.mark.parametrize("name", sorted(ROWS))
def test_an_entry_says_the_meaning_what_to_do_and_whether_it_is_retried(name: str) -> None:
    cells = ROWS[name]
    assert all(cell.strip() for cell in cells)
    one: Any = classes()[name]
    if issubclass(one, Warning):
        assert len(cells) == 2
    else:
        assert len(cells) == 3
        assert cells[-1] == ("yes" if one.retryable else "no")


@pytest.mark.parametrize("name", sorted(ROWS))
def test_an_entry_names_only_the_bases_that_the_class_has(name: str) -> None:
    one = classes()[name]
    for base in re.findall(r"also an? `(\w+)`", " ".join(ROWS[name])):
        assert base in {parent.__name__ for parent in one.__mro__}


def test_every_class_of_the_package_is_public() -> None:
    """A class that is added to a module of the tree is importable from the top, and so on the page."""

    def below(one: type[BaseException]) -> set[type[BaseException]]:
        return {one}.union(*(below(child) for child in one.__subclasses__()))

    folder = Path(exceptions.__file__).parent
    defined = {
        name
        for module in folder.glob("*.py")
        for name in re.findall(r"^class (\w+)\(", module.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert defined == set(classes())
    tree = {one.__name__ for one in below(exceptions.EtlAssetsError)}
    assert {name for name in defined if not name.endswith("Warning")} <= tree


def test_an_error_is_named_by_the_module_it_is_imported_from() -> None:
    for name, one in classes().items():
        assert f"{one.__module__}.{one.__qualname__}" == f"etl_assets.exceptions.{name}"
    error = exceptions.ConfigError("There is none.", hint="Make one.")
    assert type(pickle.loads(pickle.dumps(error))) is exceptions.ConfigError  # noqa: S301


def test_the_message_hint_note_and_cause_are_masked() -> None:
    redaction.remember("hunter22-of-errors")
    try:
        Path("hunter22-of-errors").read_text(encoding="utf-8")
    except OSError as cause:
        error = exceptions.ConnectError("hunter22-of-errors", hint="Not hunter22-of-errors.")
        error.add_note("It was hunter22-of-errors.")
        told = f"{error} {error.__notes__} {error.message} {error.hint} {cause}"
    assert "hunter22" not in told
    log = exceptions.ConnectorError("It ended.", log_text="hunter22-of-errors", hint="Look.")
    assert "hunter22" not in f"{log} {log.log_text}"
    assert str(log).splitlines()[-1] == "Look."


def test_what_cannot_pass_by_itself_is_not_retried() -> None:
    assert not exceptions.StreamNotFoundError(stream="user", available_streams=["users"]).retryable
    assert not exceptions.StateNotFoundError(stream="users").retryable


def test_a_missing_stream_is_told_with_the_nearest_name_unless_a_hint_is_given() -> None:
    near = exceptions.StreamNotFoundError(stream="user", available_streams=["users", "orders"])
    assert near.hint == "Did you mean 'users'?"
    own = exceptions.StreamNotFoundError(stream="user", available_streams=["users"], hint="No.")
    assert own.hint == "No."


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a" * 100, "'" + "a" * 78 + "…"),
        (10**5000, "<an integer of 16610 bits>"),
        ([1, 2], "[1, 2]"),
    ],
    ids=["a long text", "an integer of thousands of digits", "a list"],
)
def test_a_value_is_shown_in_80_characters(value: object, shown: str) -> None:
    assert exceptions.shorten(value) == shown
