"""Text of a source, where Dagster's UI reads Markdown."""

import re

from etl_assets.redaction import redact

_ACTIVE = re.compile(
    r"[\\`*\[\]<>!|~]"
    r"|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"  # within a word it stands for itself
    r"|&(?=#?[A-Za-z0-9]+;)"
)


def as_markdown(text: str) -> str:
    """Return Markdown that shows a source's text as it is.

    A description may come from anybody who can comment on a table. Without this it could hold a
    link that says one thing and leads to another, or an image that is fetched from elsewhere by
    everyone who looks at the asset.
    """
    return _ACTIVE.sub(r"\\\g<0>", text)


def as_cell(text: str) -> str:
    """Return Markdown that shows a text in a cell of a table.

    It is masked first: a secret could not be found between the backslashes.
    """
    return as_markdown(" ".join(redact(text).split()))


def as_description(text: str) -> str:
    """Return a source's text as the description of an asset.

    The page of an asset shows it as Markdown, the list of all assets as plain text. Backticks are
    turned into apostrophes, which read well in both.
    """
    return as_markdown(text.replace("`", "'"))


def fenced(text: str, language: str = "text") -> str:
    """Return Markdown that shows a text line by line, in a fixed-width font.

    The fence is longer than any run of backticks in the text, so that nothing in it can end it.
    """
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
