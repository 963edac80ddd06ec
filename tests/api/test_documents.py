"""Records as documents."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
import yaml

from etl_assets.documents import Document, DocumentRenderer, check_properties
from etl_assets.exceptions import InputError

ISSUE = {
    "id": 7,
    "title": "It breaks",
    "body": "When I *push*.",
    "steps": "1. push",
    "labels": ["bug"],
}


def test_one_content_is_the_text_itself() -> None:
    document = DocumentRenderer(
        title_property="title", content_properties=["body"]
    ).render_document(ISSUE)
    assert document.content == "# It breaks\n\nWhen I *push*."
    assert str(document) == document.page_content == document.content
    assert document.metadata == {"id": 7, "steps": "1. push", "labels": ["bug"]}
    assert (document.id, document.last_modified) == (None, None)


def test_several_contents_have_headings() -> None:
    document = DocumentRenderer(
        content_properties=["body", "steps"], metadata_properties=["id"]
    ).render_document(ISSUE)
    assert document.content == "## Body\n\nWhen I *push*.\n\n## Steps\n\n1. push\n\n"
    assert document.metadata == {"id": 7}


def test_without_a_content_the_metadata_are_the_text() -> None:
    document = DocumentRenderer(title_property="title").render_document(
        {**ISSUE, "price": Decimal("1.10")}
    )
    head, fence, rest = document.content.partition("```yaml\n")
    assert (head, fence) == ("# It breaks\n\n", "```yaml\n")
    assert yaml.safe_load(rest.removesuffix("```\n")) == {
        "id": 7, "body": "When I *push*.", "steps": "1. push", "labels": ["bug"], "price": "1.10"
    }  # fmt: skip
    assert document.metadata["price"] == Decimal("1.10")


def test_ragged_records_have_metadata_of_their_own() -> None:
    renderer = DocumentRenderer(content_properties=["body"])
    first, second = renderer.render_documents([{"body": "x", "a": 1}, {"body": None, "b": 2}])
    assert (first.metadata, second.metadata) == ({"a": 1}, {"b": 2})
    assert second.content == ""


def test_the_key_and_the_time_of_a_record() -> None:
    renderer = DocumentRenderer(
        content_properties=["body"], primary_key=["id"], replication_key="updated"
    )
    document = renderer.render_document({**ISSUE, "updated": "2024-01-02T03:04:05Z"})
    assert document.id == "7"
    assert document.last_modified == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert renderer.render_document({"body": "", "id": None, "updated": 5}) == Document(
        content="", metadata={"id": None, "updated": 5}
    )


def test_an_unknown_field_is_an_error() -> None:
    check_properties(ISSUE, "title", ["body"], None)
    with pytest.raises(InputError, match=r"'titel'.*'title'"):
        check_properties(ISSUE, "titel")
