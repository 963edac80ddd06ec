"""Text of a source, where Dagster's UI reads Markdown."""

import re

_ACTIVE = re.compile(r"([\\`*\[\]<>!|])")


def as_markdown(text: str) -> str:
    """Return Markdown that shows a source's text as it is.

    A description may come from anybody who can comment on a table. Without this it could hold a
    link that says one thing and leads to another, or an image that is fetched from elsewhere by
    everyone who looks at the asset.
    """
    return _ACTIVE.sub(r"\\\1", text)


def as_description(text: str) -> str:
    """Return a source's text as the description of an asset.

    The page of an asset shows it as Markdown, the list of all assets as plain text. Backticks are
    turned into apostrophes, which read well in both.
    """
    return as_markdown(text.replace("`", "'"))


def fenced(text: str) -> str:
    """Return Markdown that shows a text line by line, in a fixed-width font.

    The fence is longer than any run of backticks in the text, so that nothing in it can end it.
    """
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.rstrip()}\n{fence}"
