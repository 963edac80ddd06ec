"""What is known to be secret, and texts without it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from etl_assets.redaction.forms import forms, lines_of
from etl_assets.redaction.names import says_secret
from etl_assets.redaction.places import is_url, masked, secret_places, secrets_of_address
from etl_assets.redaction.search import ManyTexts

SHORTEST_SECRET = 6
"""Shorter values are not masked: replacing every `on` or `1` would hide the text and protect nothing."""

BEYOND = 500
"""How many characters behind a cut are looked at for what is secret by its place."""


class Redactor:
    """Masks the secrets it was told of, and what is secret by its place."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._forms = ManyTexts(SHORTEST_SECRET)
        self._first_lines: tuple[str, ...] = ()
        self._beginnings: dict[str, set[str]] = {}
        """By a line within a secret: the secret up to it."""
        self.most_lines = 1
        """Of any secret."""

    @property
    def longest(self) -> int:
        """How many characters the longest form of a secret has."""
        return self._forms.longest

    # Told

    def remember(self, value: Any) -> None:
        """Have a secret masked from now on.

        Of a URL only its secret parts, so that errors can still name the host.
        """
        if not isinstance(value, str):
            return
        text = str.__str__(value)
        if text in self._told:
            return
        self._told.add(text)
        for secret in {
            *secrets_of_address(text),
            *_leaves(text),
            *(() if is_url(text) else (text,)),
        }:
            if len(secret) >= SHORTEST_SECRET:
                self._forms.add(forms(secret))
                self._add_lines(lines_of(secret))

    def remember_config(self, value: Any, *, secret: bool = False) -> None:
        """Have every text of a config masked from now on that is under a name that says it is secret."""
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
        """Return whether a text ends within a secret of many lines, so that the next line may be a part of it.

        Args:
            text: Lines, each stripped at its right end, without the last one's end.
        """
        if not self._first_lines:
            return False
        if text.endswith(self._first_lines):
            return True
        return any(
            text.endswith(beginning)
            for beginning in self._beginnings.get(text.rpartition("\n")[2], ())
        )

    def redact(self, text: str, *, begin: int = 0, end: int | None = None) -> str:
        """Return the text with every secret in it masked.

        Args:
            text: What is to be shown.
            begin: Leave out what is before this character of `text`: it is masked first and cut
                then.
            end: Leave out what is from this character on.
        """
        if (
            end is not None
        ):  # of a long text, only what is shown, and what a secret in it may go on in
            text = text[: end + BEYOND + self.longest]
        return masked(text, (*self._forms.find(text), *secret_places(text)), begin, end)


def _leaves(text: str) -> Iterator[str]:
    """Yield the secret parts of a JSON document, such as a service account's private key: an error may show one."""
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
