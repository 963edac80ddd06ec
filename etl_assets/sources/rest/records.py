"""The records of a page: they are there, of the same shape as before, and none is lost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etl_assets.exceptions import ConfigError, shorten
from etl_assets.model.stream import Stream
from etl_assets.sources.rest.endpoint import Endpoint
from etl_assets.sources.rest.pages import whole_number
from etl_assets.sources.rest.responses import Answer
from etl_assets.sources.rest.selector import MISSING, Selected, Selector

Row = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """What a page has.

    Args:
        document: What its body says.
        rows: The records.
        count: How many the API has sent; more than `rows` where they are filtered.
        total: How many there are in all, where it says so.
    """

    document: Any
    rows: list[Row]
    count: int
    total: int | None = None


class Records:
    """Finds the records in the pages of one stream.

    Args:
        endpoint: The endpoint.
        stream: The stream.
    """

    def __init__(self, endpoint: Endpoint, stream: Stream) -> None:
        self._endpoint = endpoint
        self._stream = stream
        self._shape: str | None = None
        chosen = endpoint.records
        self._selector = Selector(chosen) if isinstance(chosen, str) else None
        self._total = None if endpoint.total is None else Selector(endpoint.total)
        self._errors = None if endpoint.errors is None else Selector(endpoint.errors)

    def check(self) -> None:
        """Refuse expressions that are none.

        Raises:
            ConfigError: One is none.
        """
        for selector in (self._selector, self._total, self._errors):
            if selector is not None:
                selector.check()

    def of(self, answer: Answer) -> Found:
        """Return the records of an answer.

        Raises:
            SourceError: It lacks them, is of another shape than the one before, or says itself that
                something went wrong.
            DataError: A file in it is not what it should be.
        """
        kind = answer.format(self._endpoint.format)
        if kind == "csv":
            rows = answer.rows_of_csv(self._stream, self._endpoint.csv)
            return Found(rows, rows, len(rows))
        if kind == "json" and not answer.content.strip() and self._endpoint.missing == "empty":
            return Found(None, [], 0)
        document = answer.lines if kind == "jsonl" else answer.document
        self._refuse_errors(document, answer)
        selected = self._selected(document, answer)
        rows = self._rows(selected, answer)
        return Found(document, rows, selected.count, self._total_of(document, answer))

    def _selected(self, document: Any, answer: Answer) -> Selected:
        choose = self._endpoint.records
        if callable(choose):
            rows = list(choose(document))
            return Selected(rows, len(rows))
        if self._selector is None:
            count = len(document) if isinstance(document, list) else 1
            return Selected(document, count)
        selected = self._selector.records(document)
        if selected.lost:
            raise answer.error(
                f"has {selected.lost} records without what {self._selector.text!r} asks for.",
                hint="Filter them with the expression, such as data[?user].user, if they may be "
                "left out.",
            )
        return selected

    def _rows(self, selected: Selected, answer: Answer) -> list[Row]:
        value = selected.value
        if value is MISSING or value is None:
            if self._endpoint.missing == "empty":
                return []
            where = "" if self._selector is None else f" at {self._selector.text!r}"
            raise answer.error(
                f"has {'nothing' if value is MISSING else 'null'}{where} where the records should "
                "be.",
                hint='Correct records=; or if that means that there are none, missing="empty".',
            )
        shape = "a list" if isinstance(value, list) else "an object"
        if self._shape not in {None, shape}:
            raise answer.error(
                f"has {shape} where the records should be, and before it was {self._shape}.",
                hint="Have records= select a list on each page.",
            )
        self._shape = shape
        rows = value if isinstance(value, list) else [value]
        for row in rows:
            if not isinstance(row, dict):
                raise answer.error(
                    f"has {shorten(row)} where a record should be, which is no object.",
                    hint='Make one of it, for example with records="[].{value: @}".',
                )
        return rows

    def _refuse_errors(self, document: Any, answer: Answer) -> None:
        if self._errors is None:
            return
        found = self._errors.value(document)
        if found is not MISSING and found not in ([], None, "", False, {}, 0):
            raise answer.error(f"says that something went wrong: {shorten(found, 300)}.")

    def _total_of(self, document: Any, answer: Answer) -> int | None:
        if self._total is None:
            return None
        total = whole_number(self._total.value(document))
        if total is None:
            raise answer.error(
                f"does not say at {self._total.text!r} how many records there are.",
                hint="Correct total=, or leave it out.",
            )
        return total


def refuse_filter(query: Mapping[str, Any] | None, source: str) -> None:
    """Refuse a query that filters rows, which an API is not asked to do.

    Raises:
        ConfigError: It does.
    """
    for name in query or {}:
        if not name.startswith("_"):
            raise ConfigError(
                f"The source {source!r} cannot filter rows by {name!r}.",
                hint="Give the endpoint a parameter for it, or filter behind the read.",
            )
