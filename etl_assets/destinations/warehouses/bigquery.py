"""BigQuery: Parquet files are loaded by load jobs into a staging table.

A transaction of a session publishes them.
"""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from etl_assets.destinations.database.destination import (
    DatabaseDestination,
    database_capabilities,
)
from etl_assets.destinations.database.ledger import Ledger
from etl_assets.destinations.database.options import DatabaseOptions
from etl_assets.destinations.database.sql_transaction import respelled
from etl_assets.destinations.database.transaction import PRIMARY_KEY, LedgerTypes, Transaction
from etl_assets.destinations.warehouses.transaction import WarehouseTransaction, parquet_files
from etl_assets.exceptions import (
    AuthenticationError,
    BusyError,
    ConfigError,
    DestinationError,
    EtlAssetsError,
    UnavailableError,
)
from etl_assets.model.stored import TableName
from etl_assets.packages import require
from etl_assets.redaction import redact, remember
from etl_assets.secrets.option import OptionalSecretOption
from etl_assets.secrets.references import resolve

if TYPE_CHECKING:
    import pyarrow as pa

_ESCAPED = re.compile(r"['\\\r\n]")
"""What stands in a text of SQL in another way than in others."""
_API_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


class BigQueryOptions(DatabaseOptions):
    """Where the project is and who connects."""

    project: Any = Field(description="The project's id; may be a reference.")
    location: str | None = Field(
        default=None, description="Where datasets are made and jobs run, such as `EU`."
    )
    credentials_path: str | None = Field(
        default=None,
        description="A service account's JSON file; by default the environment's own credentials.",
    )
    credentials: OptionalSecretOption = Field(
        default=None, description="Its JSON text, in place of a file."
    )
    state_schema: str = Field(default="etl_assets", description="The dataset of our own tables.")
    api_endpoint: str | None = Field(default=None, description="Another address of BigQuery's API.")


class BigQueryDestination(DatabaseDestination):
    """Loads streams into BigQuery, exactly once. A schema is a dataset.

    ```python
    BigQueryDestination(project="my-project", location="EU",
    credentials_path="service-account.json")
    ```

    Args:
        options: Those of `BigQueryOptions`.
    """

    Options: ClassVar[type[DatabaseOptions]] = BigQueryOptions
    storage_kind: ClassVar[str] = "bigquery"
    capabilities = database_capabilities(max_identifier_bytes=300, max_columns=10_000)

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.options.project!r})"

    @override
    def database_name(self) -> str | None:
        """Return the project, which BigQuery writes where others have the database."""
        return str(resolve(self.options.project, name="project"))

    @override
    def ledger(self, transaction: Transaction) -> Ledger:
        return Ledger(transaction, self.options.state_schema)

    @override
    @contextmanager
    def transaction(self) -> Iterator["BigQueryTransaction"]:
        """Connect for one transaction."""
        client = self.connect()
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError

        tx = BigQueryTransaction(
            client,
            state_schema=self.options.state_schema,
            own_columns=self.load_columns,
            beside=self.transaction,
        )
        phase = "loading"
        try:
            yield tx
            phase = "COMMIT"
            tx.end("COMMIT")
        except (GoogleAPIError, GoogleAuthError) as error:
            raise _translated(error, phase) from error
        finally:
            with suppress(GoogleAPIError, GoogleAuthError):
                tx.end("ROLLBACK")  # what has not ended: also on a cancel
                tx.drop_staged()
            client.close()

    def connect(self) -> Any:
        """Return a client of BigQuery's own library; whoever asks closes it."""
        bigquery = require("google.cloud.bigquery", "BigQuery")
        from google.auth.exceptions import GoogleAuthError

        given: dict[str, Any] = {"project": str(resolve(self.options.project, name="project"))}
        given["location"] = self.options.location
        if self.options.api_endpoint:
            given["client_options"] = {"api_endpoint": self.options.api_endpoint}
        try:
            client: Any = bigquery.Client
            if self.options.credentials is not None:
                text = str(resolve(self.options.credentials, name="credentials"))
                remember(text)
                return client.from_service_account_info(_parsed(text), **given)
            if self.options.credentials_path is not None:
                return client.from_service_account_json(self.options.credentials_path, **given)
            return client(**given)
        except GoogleAuthError as error:
            raise AuthenticationError(
                f"BigQuery: no credentials: {redact(str(error))}",
                hint="Give credentials_path or credentials.",
            ) from error
        except (OSError, ValueError):
            raise ConfigError(
                "The credentials are no service account's JSON."
            ) from None  # its text may be shown


class BigQueryTransaction(WarehouseTransaction):
    """One open transaction, which is a session of BigQuery's.

    See `Transaction` for what each primitive promises.

    Args:
        client: Of google-cloud-bigquery.
        state_schema: Where our own tables are.
        own_columns: The names of our columns.
        beside: Opens another session.
    """

    ledger_types = LedgerTypes(
        varchar="STRING",
        key="STRING(1000)",
        text="STRING",
        big="INT64",
        unique=f"{PRIMARY_KEY} NOT ENFORCED",
    )
    own_types = ("STRING", "TIMESTAMP")
    names: ClassVar[Mapping[str, str]] = {
        "bool": "BOOL",
        "int64": "INT64",
        "double": "FLOAT64",
        "string": "STRING",
        "binary": "BYTES",
        "date32[day]": "DATE",
        "time64[us]": "TIME",
        "timestamp[us]": "DATETIME",
        "timestamp[us, tz=UTC]": "TIMESTAMP",
    }

    def __init__(
        self, client: Any, *, state_schema: str, own_columns: Sequence[str], beside: Any
    ) -> None:
        super().__init__(state_schema, own_columns, beside)
        self._client = client
        self._session: str | None = None
        self._to_drop: list[TableName] = []

    @override
    def run(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[list[tuple[Any, ...]], int]:
        job = self._job(sql, parameters)
        rows = [tuple(row.values()) for row in job.result()]
        return rows, int(job.num_dml_affected_rows or 0)

    def _job(self, sql: str, parameters: Sequence[Any] = (), *, new_session: bool = False) -> Any:
        from google.cloud import bigquery

        given = [
            bigquery.ScalarQueryParameter(
                None, "INT64" if isinstance(value, int) else "STRING", value
            )
            for value in parameters
        ]
        config = bigquery.QueryJobConfig(query_parameters=given, use_query_cache=False)
        if new_session:
            config.create_session = True
        elif self._session is not None:
            config.connection_properties = [
                bigquery.ConnectionProperty("session_id", self._session)
            ]
        return self._client.query(sql, job_config=config)

    @override
    def start(self) -> None:
        job = self._job("BEGIN TRANSACTION", new_session=True)
        job.result()
        self._session = job.session_info.session_id

    def end(self, how: str) -> None:
        """End the transaction by COMMIT or ROLLBACK, and its session."""
        if self._session is None:
            return
        self.run(f"{how} TRANSACTION")
        with suppress(Exception):  # it is over: the session ends by itself, too
            self.run("CALL BQ.ABORT_SESSION()")
        self._session = None

    def drop_staged(self) -> None:
        """Drop the staging tables, which otherwise go after a day."""
        while self._to_drop:
            table = self._to_drop.pop()
            self._client.delete_table(self._reference(table), not_found_ok=True)

    def _reference(self, table: TableName) -> Any:
        from google.cloud import bigquery

        return bigquery.TableReference(
            bigquery.DatasetReference(self._client.project, table.schema), table.name
        )

    @override
    def spelled(self, name: str) -> str:
        escaped = name.replace("\\", "\\\\").replace("`", "\\`")
        return f"`{escaped}`"

    @override
    def text_literal(self, value: str) -> str:
        # A quote is not doubled here, and a line does not end within a text.
        if not _ESCAPED.search(value):
            return super().text_literal(value)
        return f"CAST(FROM_HEX('{value.encode().hex()}') AS STRING)"

    @override
    def decimal(self, precision: int, scale: int) -> str | None:
        if not 0 <= scale <= precision <= 38:  # noqa: PLR2004 - of Arrow's 128 bits
            return None
        small = scale <= 9 and precision - scale <= 29  # noqa: PLR2004 - what NUMERIC holds
        return f"{'NUMERIC' if small else 'BIGNUMERIC'}({precision},{scale})"

    @override
    def arrow_type(self, name: str) -> "pa.DataType":
        import pyarrow as pa

        number = re.fullmatch(r"(?:BIG)?NUMERIC\((\d+),(\d+)\)", name)
        if number is not None:
            return pa.decimal128(int(number[1]), int(number[2]))
        types = {
            "BOOL": pa.bool_(), "INT64": pa.int64(), "FLOAT64": pa.float64(), "BYTES": pa.binary(),
            "DATE": pa.date32(), "TIME": pa.time64("us"), "DATETIME": pa.timestamp("us"),
            "TIMESTAMP": pa.timestamp("us", "UTC"), "NUMERIC": pa.decimal128(38, 9),
            "BIGNUMERIC": pa.decimal256(76, 38),
        }  # fmt: skip
        return types.get(name, pa.string())

    @override
    def columns(self, table: TableName) -> dict[str, str]:
        from google.api_core.exceptions import NotFound

        try:
            found = self._client.get_table(self._reference(table))
        except NotFound:
            return {}
        return {field.name: _type_name(field) for field in found.schema}

    @override
    def tables(self, schema: str) -> list[str]:
        found = self._client.list_tables(schema)
        return sorted(table.table_id for table in found if table.table_type == "TABLE")

    @override
    def load(
        self, table: TableName, rows: "pa.RecordBatchReader", types: Mapping[str, str]
    ) -> None:
        from google.cloud import bigquery

        self._to_drop.append(table)
        columns = ", ".join(f"{self.spelled(name)} {type_}" for name, type_ in types.items())
        kept = "expiration_timestamp = TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 1 DAY)"
        name = respelled(self.quoted(table), self.spelled)
        self.run(f"CREATE TABLE {name} ({columns}) OPTIONS ({kept})")
        config = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_APPEND")
        with tempfile.TemporaryDirectory(prefix="etl-assets-") as folder:
            for path in parquet_files(rows, Path(folder), list(types)):
                with path.open("rb") as file:
                    self._client.load_table_from_file(
                        file, self._reference(table), job_config=config
                    ).result()
                path.unlink()

    @override
    def fetch(self, sql: str) -> "Iterator[pa.Table]":
        import pyarrow as pa

        for batch in self._job(sql).result().to_arrow_iterable():
            yield pa.Table.from_batches([batch])


def _type_name(field: Any) -> str:
    name = _API_NAMES.get(field.field_type, field.field_type)
    return (
        f"{name}({field.precision},{field.scale or 0})"
        if field.precision and name.endswith("NUMERIC")
        else name
    )


def _parsed(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def _translated(error: Exception, phase: str) -> EtlAssetsError:
    from google.api_core import exceptions as google
    from google.auth.exceptions import GoogleAuthError

    text = f"BigQuery: {phase} failed ({type(error).__name__}): {redact(str(error))[:300]}"
    if isinstance(error, GoogleAuthError | google.Unauthorized | google.Forbidden):
        return AuthenticationError(
            text, hint="Give the account BigQuery Data Editor and BigQuery Job User."
        )
    if "concurrent update" in str(error) or isinstance(
        error, google.Conflict | google.TooManyRequests
    ):
        return BusyError(text, hint="Another load was publishing; the next try goes on.")
    if isinstance(error, google.ServerError | google.RetryError):
        return UnavailableError(
            text, hint="It was committed whole or not at all; the next run asks the ledger."
        )
    return DestinationError(text)
