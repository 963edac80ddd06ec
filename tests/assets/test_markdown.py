"""What a source says of its tables is shown as text: a comment is no link, no image and no HTML in Dagster's UI."""

import html
import re

import dagster as dg
import pytest

from etl_assets import DuckDBDestination, Source, Stream, stream_assets

NASTY = [
    "![pixel](https://tracker.example/p.png)",
    "[Sign in](https://phishing.example)",
    "<img src=x onerror=alert(1)>",
    "[a]: javascript:alert(1)",
    "`code` **bold** ~|~ \\[x\\](y)",
    "_soft_ __hard__ ~~gone~~ &lt;b&gt; &#60; order_id & co",
]


def shown(markdown: str) -> str:
    """Return the text that remains of Markdown whose active characters are all escaped."""
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*\[\]<>!|~]", markdown), markdown
    assert not re.search(r"(?<![\\\w])_|(?<!\\)_(?!\w)", markdown), markdown
    assert html.unescape(markdown.replace("\\&", "")) == markdown.replace("\\&", ""), markdown
    return re.sub(r"\\([\\`*\[\]<>!|~_&])", r"\1", markdown)


@pytest.mark.parametrize("text", NASTY)
def test_descriptions_of_a_source_are_text(text: str) -> None:
    schema = {"type": "object", "properties": {"id": {"type": "integer", "description": text}}}
    source = Source(name="shop")
    source.streams = [Stream("orders", schema=schema, description=text)]
    (asset,) = stream_assets(source, destination=DuckDBDestination("w.duckdb"))
    spec = asset.get_asset_spec()
    columns = spec.metadata["dagster/column_schema"]
    assert isinstance(columns, dg.TableSchema)
    # The list of assets shows a description as plain text, where an escaped backtick is no better.
    assert shown(spec.description or "") == text.replace("`", "'")
    assert shown(columns.columns[0].description or "") == text


def test_a_name_is_text_too() -> None:
    source = Source(name="shop")
    source.streams = [Stream("[a](b)")]
    (asset,) = stream_assets(source, destination=DuckDBDestination("w.duckdb"))
    assert shown(asset.get_asset_spec().description or "") == "Stream [a](b) of shop."
