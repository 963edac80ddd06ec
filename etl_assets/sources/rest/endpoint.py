"""One endpoint of an API: a stream, and the requests that read it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from etl_assets.exceptions import ConfigError
from etl_assets.model.stream import Stream
from etl_assets.secrets.option import wrap_secrets
from etl_assets.secrets.references import is_reference
from etl_assets.sources.rest.incremental import Since
from etl_assets.sources.rest.openapi import schema_of
from etl_assets.sources.rest.pages import pages_of
from etl_assets.sources.rest.responses import FORMATS

TEMPLATE = re.compile(r"\{(?P<stream>[\w-]+)\.(?P<field>[\w.-]+)\}")
"""A value of a parent: `{users.id}`."""

_WORDS: Mapping[str, tuple[Any, ...]] = {
    "missing": ("error", "empty"),
    "not_found": ("error", "skip"),
    "repeated": ("error", "allow"),
    "format": (None, *FORMATS),
}


@dataclass(frozen=True)
class Endpoint:
    """A stream of an API.

    Args:
        name: The stream's name.
        path: Below the source's URL, or a URL. `{users.id}` stands for a field of the stream
            `users`, whose rows are then its parents: it is asked for once for each of them.
        records: Where in an answer the records are, as a JMESPath expression, or a function from
            the document to them. By default the whole answer: a list of records, or one record.
        primary_key: The field, or fields, that tell rows apart.
        incremental: What is asked of an API that can give only what is new; a name of a field alone
            leaves out the others here.
        pages: How one page leads to the next; by default as the source says, else there is one.
        params: Parameters of the query. `{users.id}` and references are replaced.
        headers: Header fields.
        method: `GET`, or `POST` with a body.
        json: The body, as JSON.
        form: The body, as a form.
        keep: Fields that a row takes from its parents, such as `{"user_id": "users.id"}`.
        missing: What it means if an answer lacks `records`, or has null there: `error`, or `empty`.
        total: Where an answer says how many records there are in all. Fewer are then an error.
        errors: Where an answer with a good status says what went wrong, as GraphQL does: anything
            there is an error.
        format: `json`, `jsonl` or `csv`; by default as the answer's type says.
        csv: Options of `FileSource` for CSV, such as `{"delimiter": ";"}`.
        not_found: What becomes of a parent for which the API answers 404 or 410: `error`, or
            `skip`.
        repeated: What a page means that was there before: `error`, or `allow`.
        concurrency: How many parents are read at once; by default as the source says.
        schema: The JSON Schema of a row, or where it is in an OpenAPI document:
            `openapi.json#/components/schemas/User`.
        description: What the stream is, for people.

    Raises:
        ConfigError: An argument is not of its kind.
    """

    name: str
    path: str
    _: KW_ONLY
    records: str | Callable[[Any], Iterable[Mapping[str, Any]]] | None = None
    primary_key: Sequence[str] | str = ()
    incremental: Since | str | None = None
    pages: Any = None
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    headers: Mapping[str, Any] = field(default_factory=dict, repr=False)
    method: str = "GET"
    json: Any = field(default=None, repr=False)
    form: Mapping[str, Any] | None = field(default=None, repr=False)
    keep: Mapping[str, str] = field(default_factory=dict)
    missing: str = "error"
    total: str | None = None
    errors: str | None = None
    format: str | None = None
    csv: Mapping[str, Any] = field(default_factory=dict)
    not_found: str = "error"
    repeated: str = "error"
    concurrency: int | None = None
    schema: Mapping[str, Any] | str | None = field(default=None, repr=False)
    description: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.incremental, str):
            object.__setattr__(self, "incremental", Since(self.incremental))
        object.__setattr__(self, "pages", pages_of(self.pages))
        object.__setattr__(self, "method", self.method.upper())
        for name in ("params", "headers", "form"):
            object.__setattr__(self, name, wrap_secrets(getattr(self, name)))
        for name, allowed in _WORDS.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"stream {self.name!r}: {name} is {getattr(self, name)!r}.",
                    hint=f"Use one of {', '.join(map(repr, allowed))}.",
                )
        self._check_since()

    def _check_since(self) -> None:
        since = self.since
        if since is None:
            return
        if since.lookback and not self.primary_key:
            raise ConfigError(
                f"stream {self.name!r}: a lookback needs a primary key.",
                hint="Rows that come again are merged by it: give the endpoint a primary_key.",
                stream=self.name,
            )
        if since.per_parent and not (self.parents and self.primary_key):
            raise ConfigError(
                f"stream {self.name!r}: per_parent needs parents and a primary key.",
                hint="Name a parent in the path, such as {users.id}, and give the endpoint a "
                "primary_key.",
                stream=self.name,
            )
        if since.order and self.parents:
            raise ConfigError(
                f"stream {self.name!r}: rows of many parents come in no order.",
                hint="Leave the order out.",
                stream=self.name,
            )

    @property
    def since(self) -> Since | None:
        """What is asked of an API that can give only what is new."""
        assert not isinstance(self.incremental, str)  # noqa: S101 - see `__post_init__`
        return self.incremental

    @property
    def references(self) -> dict[str, tuple[str, str]]:
        """The values of parents that it needs: by what it calls them, the stream and the field."""
        found: dict[str, tuple[str, str]] = {}
        for text in _texts((self.path, self.params, self.headers, self.json, self.form)):
            for match in TEMPLATE.finditer(text):
                found[f"{match['stream']}.{match['field']}"] = (match["stream"], match["field"])
        for kept in self.keep.values():
            stream, _, name = kept.partition(".")
            if not name:
                raise ConfigError(
                    f"stream {self.name!r}: keep names {kept!r}.",
                    hint='Name a field of a parent, such as "users.id".',
                    stream=self.name,
                )
            found[kept] = (stream, name)
        return found

    @property
    def parents(self) -> set[str]:
        """The streams whose rows it is asked for by."""
        return {stream for stream, _ in self.references.values()}

    @property
    def stream(self) -> Stream:
        """The stream, as far as it is declared."""
        since = self.since
        words: dict[str, Any] = {"replication_key": None if since is None else since.field}
        if since is not None and since.per_parent:
            own = {"selected": True, "forced-replication-method": "INCREMENTAL"}
            words = {
                "replication_method": "INCREMENTAL",
                "metadata": [{"breadcrumb": [], "metadata": own}],
            }
        return Stream(
            self.name,
            schema=self._schema(),
            primary_key=self.primary_key,
            description=self.description,
            **words,
        )

    def _schema(self) -> dict[str, Any] | None:
        given = self.schema
        schema = dict(schema_of(given) if isinstance(given, str) else given or {})
        declared = None if self.since is None else self.since.declared
        if declared is not None and self.since is not None:
            known = dict(schema.get("properties") or {})
            is_told = isinstance(known.get(self.since.field), Mapping)
            if not is_told or "format" not in known[self.since.field]:
                known[self.since.field] = declared
            schema = {"type": "object", **schema, "properties": known}
        return schema or None


def _texts(value: Any) -> Iterable[str]:
    if is_reference(value):
        return
    if isinstance(value, str):
        yield str(value)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
