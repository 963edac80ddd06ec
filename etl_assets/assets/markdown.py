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
