"""Records as documents for language models: a title, contents, and the rest as metadata."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import yaml
from pydantic import BaseModel, Field
from typing_extensions import override

from etl_assets.exceptions import InputError, did_you_mean
from etl_assets.model.batch import json_value


class Document(BaseModel):
    """A text with what is known about it.

    Args:
        id: Unique in its stream: the primary key's values, where the stream has one.
        content: The text, Markdown.
        metadata: The record's other fields.
        last_modified: The stream's replication key, where that is a date or a time.
    """

    id: str | None = Field(default=None)
    content: str
    metadata: dict[str, Any]
    last_modified: datetime | None = Field(default=None)

    @override
    def __str__(self) -> str:
        return self.content

    @property
    def page_content(self) -> str:
        """The content, by the name that LangChain gives it."""
        return self.content


class DocumentRenderer(BaseModel):
    """How records become documents.

    Args:
        title_property: The field that is the heading.
        content_properties: The fields that are the text: one as it is, several each under a heading
            of its own.
        metadata_properties: The fields that are metadata; every other one by default, record by
            record.
        render_metadata: Have the metadata in the text, too. They are where there is no other
            content.
        primary_key: The fields that make the document's id.
        replication_key: The field that tells when a record was last modified.
    """

    title_property: str | None = None
    content_properties: Sequence[str] | None = None
    metadata_properties: Sequence[str] | None = None
    render_metadata: bool = False
    primary_key: Sequence[str] = ()
    replication_key: str | None = None

    def render_document(self, record: Mapping[str, Any]) -> Document:
        """Return the document of one record; a field that the record has not is left out."""
        contents = list(self.content_properties or ())
        metadata = self._metadata(record)
        parts = []
        if self.title_property and record.get(self.title_property) is not None:
            parts.append(f"# {record[self.title_property]}\n\n")
        if self.render_metadata or not contents:
            shown = yaml.safe_dump(
                json_value(_plain(metadata)), sort_keys=False, allow_unicode=True
            )
            parts.append(f"```yaml\n{shown}```\n")
        if len(contents) == 1:
            parts.append(_text(record.get(contents[0])))
        else:
            parts.extend(
                f"## {_heading(name)}\n\n{_text(record.get(name))}\n\n"
                for name in contents
                if name in record
            )
        return Document(
            id=self._id(record),
            content="".join(parts),
            metadata=metadata,
            last_modified=self._modified(record),
        )

    def render_documents(self, records: Iterable[Mapping[str, Any]]) -> Iterator[Document]:
        """Return the documents of records, one by one."""
        return map(self.render_document, records)

    def _metadata(self, record: Mapping[str, Any]) -> dict[str, Any]:
        if self.metadata_properties:
            return {name: record.get(name) for name in self.metadata_properties}
        taken = {self.title_property, *(self.content_properties or ())}
        return {name: value for name, value in record.items() if name not in taken}

    def _id(self, record: Mapping[str, Any]) -> str | None:
        values = [record.get(name) for name in self.primary_key]
        return ":".join(map(str, values)) if values and None not in values else None

    def _modified(self, record: Mapping[str, Any]) -> datetime | None:
        value = record.get(self.replication_key) if self.replication_key else None
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                return None
        if isinstance(value, date) and not isinstance(value, datetime):
            return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a date has no zone
        return value if isinstance(value, datetime) else None


def check_properties(known: Iterable[str], *wanted: str | Sequence[str] | None) -> None:
    """Refuse names of fields that a stream has not.

    Raises:
        InputError: One is not known; says which are near.
    """
    known = set(known)
    for names in wanted:
        for name in [names] if isinstance(names, str) else names or ():
            if known and name not in known:
                raise InputError(
                    f"There is no field {name!r}.", hint=did_you_mean(name, known), input_value=name
                )


def _heading(name: str) -> str:
    return name.replace("_", " ").title()


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _plain(value: Any) -> Any:
    from decimal import Decimal

    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Decimal) else value
