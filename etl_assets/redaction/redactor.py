"""The redactor: it knows the secrets, and masks them in texts."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from etl_assets.redaction.forms import forms, lines_of
from etl_assets.redaction.names import says_secret
from etl_assets.redaction.places import is_url, masked, secret_places, secrets_of_address
from etl_assets.redaction.search import ManyTexts

SHORTEST_SECRET = 6
"""Shorter values are not masked: masking every `on` or `1` would only make texts unreadable."""

BEYOND = 500
"""How many characters after a cut are searched for what is secret by its place."""


class Redactor:
    """Masks the secrets that it was told of, and what is secret by its place."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._forms = ManyTexts(SHORTEST_SECRET)
        self._first_lines: tuple[str, ...] = ()
        self._beginnings: dict[str, set[str]] = {}
        """For each line within a secret, the secret up to it."""
        self.most_lines = 1
        """The number of lines of the longest secret."""

    @property
    def longest(self) -> int:
        """The number of characters of the longest form of a secret."""
        return self._forms.longest

    # Told

    def remember(self, value: Any) -> None:
        """Have a secret masked from now on.

        Only the secret parts of a URL are masked, so that errors can still name the host.
        """
        if not isinstance(value, str):
            return
        text = str.__str__(value)
        if text in self._told:
            return
        self._told.add(text)
        parts = {*secrets_of_address(text), *_leaves(text)}
        if not is_url(text):
            parts.add(text)
        for secret in parts:
            if len(secret) >= SHORTEST_SECRET:
                self._forms.add(forms(secret))
                self._add_lines(lines_of(secret))

    def remember_config(self, value: Any, *, secret: bool = False) -> None:
        """Have every text of a config masked from now on whose name says that it is secret."""
        if isinstance(value, Mapping):
            for key, item in value.items():
                self.remember_config(item, secret=secret or says_secret(str(key)))
        elif isinstance(value, list | tuple):
            for item in value:
                self.remember_config(item, secret=secret)
        elif secret or (isinstance(value, str) and is_url(value)):
            self.remember(value)

    def _add_lines(self, secret: str) -> None:
        first, *others = secret.split("\n")
        if not others or len(secret) < SHORTEST_SECRET:
            return
        self._first_lines = tuple({*self._first_lines, first})
        self.most_lines = max(self.most_lines, 1 + len(others))
        beginning = first
        for line in others[:-1]:
            beginning = f"{beginning}\n{line}"
            self._beginnings.setdefault(line, set()).add(beginning)

    # Asked

    def goes_on(self, text: str) -> bool:
        """Return whether a text may end within a secret of many lines.

        Args:
            text: Lines, each stripped at the right end. The last one has no line break.
        """
        if not self._first_lines:
            return False
        if text.endswith(self._first_lines):
            return True
        last_line = text.rpartition("\n")[2]
        return text.endswith(tuple(self._beginnings.get(last_line, ())))

    def redact(self, text: str, *, begin: int = 0, end: int | None = None) -> str:
        """Return the text with every secret in it masked.

        Args:
            text: The text.
            begin: The first character of `text` that is returned. The text is cut after it is
                masked.
            end: The first character that is no longer returned.
        """
        if end is not None:
            # A long text is only searched as far as a secret that begins before the cut may reach.
            text = text[: end + BEYOND + self.longest]
        return masked(text, (*self._forms.find(text), *secret_places(text)), begin, end)


def _leaves(text: str) -> Iterator[str]:
    """Yield the secret parts of a JSON document, such as the private key of a service account.

    An error may show such a part alone.
    """
    if not text.lstrip().startswith(("{", "[")):
        return
    try:
        parts = [("", json.loads(text))]
    except (ValueError, RecursionError):
        return
    while parts:
        name, part = parts.pop()
        if isinstance(part, Mapping):
            parts.extend(part.items())
        elif isinstance(part, list):
            parts.extend((name, item) for item in part)
        elif isinstance(part, str) and ("key" in name.lower() or says_secret(name)):
            yield part
