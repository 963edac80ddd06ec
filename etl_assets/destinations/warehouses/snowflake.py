"""Snowflake: Parquet files are put into a stage and copied into a staging table.

One transaction publishes them.
"""

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
from etl_assets.destinations.database.errors import translate
from etl_assets.destinations.database.ledger import Ledger
from etl_assets.destinations.database.options import DatabaseOptions
from etl_assets.destinations.database.sql_transaction import respelled
from etl_assets.destinations.database.transaction import LedgerTypes, Transaction
from etl_assets.destinations.warehouses.transaction import WarehouseTransaction, parquet_files
from etl_assets.exceptions import ConfigError
from etl_assets.model.stored import TableName
from etl_assets.naming import quote
from etl_assets.packages import require
from etl_assets.redaction import remember, remember_config
from etl_assets.secrets.option import ArgumentsOption, OptionalSecretOption
from etl_assets.secrets.references import resolve

if TYPE_CHECKING:
    import pyarrow as pa

STAGE = "_etl_assets_stage"
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


class SnowflakeOptions(DatabaseOptions):
    """Where the account is and who connects."""

    account: Any = Field(
        description="The account's identifier, such as `myorg-myaccount`; may be a reference."
    )
    user: Any = Field(description="Who connects; may be a reference.")
    password: OptionalSecretOption = Field(
        default=None, description="With what; a reference, so that it stands nowhere."
    )
    private_key: OptionalSecretOption = Field(
        default=None, description="A PEM text, in place of a password; a reference."
    )
    private_key_passphrase: OptionalSecretOption = Field(
        default=None, description="That of the private key; a reference."
    )
    warehouse: str | None = Field(
        default=None, description="The virtual warehouse; the user's by default."
    )
    database: str = Field(description="The database.")
    role: str | None = Field(default=None, description="The role; the user's by default.")
    state_schema: str = Field(default="public", description="The schema of our own tables.")
    lock_timeout: float = Field(
        default=600.0, ge=0, description="Seconds to wait for somebody else's publication."
    )
    connect_args: ArgumentsOption = Field(
        default_factory=dict, description="The connector's own arguments."
    )


class SnowflakeDestination(DatabaseDestination):
    """Loads streams into Snowflake, exactly once.

    Names are as people write them there without quotes: `"Order-ID"` is `order_id`, and stands as
    `ORDER_ID` in the catalog of Snowflake.

    ```python
    SnowflakeDestination(
        account="myorg-myaccount", user="loader", password=dg.EnvVar("SNOWFLAKE_PASSWORD"),
        database="raw"
    )
    ```

    Args:
        options: Those of `SnowflakeOptions`.
    """

    Options: ClassVar[type[DatabaseOptions]] = SnowflakeOptions
    storage_kind: ClassVar[str] = "snowflake"
    capabilities = database_capabilities(max_identifier_bytes=255, max_columns=2000)

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.options.database!r})"

    @override
    def database_name(self) -> str | None:
        """Return the database of the options."""
        return str(resolve(self.options.database, name="database"))

    @override
    def ledger(self, transaction: Transaction) -> Ledger:
        return Ledger(transaction, self.options.state_schema)

    @override
    @contextmanager
    def transaction(self) -> Iterator["SnowflakeTransaction"]:
        """Connect for one transaction."""
        errors = require("snowflake.connector", "Snowflake").errors
        phase = "connecting"
        told = f"Snowflake's {self.options.database}"
        connection: Any = None
        try:
            connection = self.connect()
            phase = "loading"
            yield SnowflakeTransaction(
                connection,
                state_schema=self.options.state_schema,
                own_columns=self.load_columns,
                beside=self.transaction,
                fold=self.options.naming != "preserve",
            )
            phase = "COMMIT"
            connection.commit()
        except errors.Error as error:
            raise translate(error, told, phase) from error
        finally:
            if connection is not None:
                with suppress(errors.Error):
                    connection.rollback()  # of what has not ended: also on a cancel
                connection.close()

    def connect(self) -> Any:
        """Return a connection of Snowflake's own connector; whoever asks closes it."""
        return require("snowflake.connector", "Snowflake").connect(**self.parameters())

    def parameters(self) -> dict[str, Any]:
        """Return the connector's arguments, references resolved."""
        given: dict[str, Any] = {
            name: resolve(getattr(self.options, name), name=name)
            for name in ("account", "user", "password", "warehouse", "database", "role")
            if getattr(self.options, name) is not None
        }
        if self.options.private_key is not None:
            given["private_key"] = self._private_key()
        given |= {
            "schema": _folded(self.options.state_schema),
            "autocommit": False,
            "paramstyle": "qmark",
        }
        given |= {"application": "etl_assets"}
        given |= resolve(dict(self.options.connect_args), name="connect_args")
        remember_config(given)
        parameters = {"TIMEZONE": "UTC", "LOCK_TIMEOUT": max(1, round(self.options.lock_timeout))}
        given["session_parameters"] = {**parameters, **given.get("session_parameters", {})}
        return given

    def _private_key(self) -> bytes:
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
            load_pem_private_key,
        )

        text = resolve(self.options.private_key, name="private_key")
        passphrase = resolve(self.options.private_key_passphrase, name="private_key_passphrase")
        remember(text)
        remember(passphrase)
        try:
            key = load_pem_private_key(str(text).encode(), str(passphrase or "").encode() or None)
        except (TypeError, ValueError):
            raise ConfigError(
                "The private_key is no PEM text, or its passphrase is another."
            ) from None
        return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


class SnowflakeTransaction(WarehouseTransaction):
    """One open transaction. See `Transaction` for what each primitive promises.

    Args:
        connection: Of Snowflake's connector, which commits nothing by itself.
        state_schema: Where our own tables are.
        own_columns: The names of our columns.
        beside: Opens another session.
        fold: Names in lower case are those that Snowflake has in upper case, as in SQL without
            quotes.
    """

    ledger_types = LedgerTypes(key="VARCHAR(1000)", text="VARCHAR", big="NUMBER(19,0)")
    own_types = ("VARCHAR", "TIMESTAMP_TZ(6)")
    temporary: ClassVar[str] = "TEMPORARY"
    """What a staging table is: it goes with its session."""
    names: ClassVar[Mapping[str, str]] = {
        "bool": "BOOLEAN",
        "int64": "NUMBER(19,0)",
        "double": "FLOAT",
        "string": "VARCHAR",
        "binary": "BINARY",
        "date32[day]": "DATE",
        "time64[us]": "TIME",
        "timestamp[us]": "TIMESTAMP_NTZ",
        "timestamp[us, tz=UTC]": "TIMESTAMP_TZ",
    }

    def __init__(
        self,
        connection: Any,
        *,
        state_schema: str,
        own_columns: Sequence[str],
        beside: Any,
        fold: bool = True,
    ) -> None:
        super().__init__(state_schema, own_columns, beside)
        self._connection = connection
        self._fold = fold
        self._has_stage = False

    @override
    def run(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[list[tuple[Any, ...]], int]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, list(parameters)) if parameters else cursor.execute(sql)
            rows = [tuple(row) for row in cursor.fetchall()]
        # What a statement that writes rows gives is one row of counts: inserted, updated.
        counts = rows[0] if len(rows) == 1 else ()
        return rows, sum(count for count in counts if isinstance(count, int))

    @override
    def start(self) -> None:
        self._connection.commit()  # what was read before; the next statement that writes begins

    @override
    def spelled(self, name: str) -> str:
        return quote(_folded(name) if self._fold else name)

    @override
    def read_name(self, name: str) -> str:
        return _unfolded(name) if self._fold else name

    @override
    def decimal(self, precision: int, scale: int) -> str | None:
        return f"NUMBER({precision},{scale})" if 0 <= scale <= 37 and precision <= 38 else None  # noqa: PLR2004

    @override
    def arrow_type(self, name: str) -> "pa.DataType":
        import pyarrow as pa

        number = re.fullmatch(r"NUMBER\((\d+),(\d+)\)", name)
        if number is not None:
            precision, scale = int(number[1]), int(number[2])
            return pa.int64() if (precision, scale) == (19, 0) else pa.decimal128(precision, scale)
        types = {
            "BOOLEAN": pa.bool_(),
            "FLOAT": pa.float64(),
            "BINARY": pa.binary(),
            "DATE": pa.date32(),
            "TIME": pa.time64("us"),
            "TIMESTAMP_NTZ": pa.timestamp("us"),
            "TIMESTAMP_TZ": pa.timestamp("us", "UTC"),
            "TIMESTAMP_LTZ": pa.timestamp("us", "UTC"),
        }
        return types.get(name, pa.string())

    @override
    def columns(self, table: TableName) -> dict[str, str]:
        fold = _folded if self._fold else str
        rows, _ = self.run(
            "SELECT column_name, data_type, numeric_precision, numeric_scale "
            "FROM information_schema.columns "
            "WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position",
            (fold(table.schema), fold(table.name)),
        )
        return {
            self.read_name(name): _type_name(type_, precision, scale)
            for name, type_, precision, scale in rows
        }

    @override
    def tables(self, schema: str) -> list[str]:
        rows, _ = self.run(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = ? AND table_type = 'BASE TABLE'",
            (_folded(schema) if self._fold else schema,),
        )
        return sorted(self.read_name(name) for (name,) in rows)

    @override
    def load(
        self, table: TableName, rows: "pa.RecordBatchReader", types: Mapping[str, str]
    ) -> None:
        schema = self.spelled(self._lock_table.schema)
        stage = f"{schema}.{self.spelled(STAGE)}"
        if not self._has_stage:
            self.run(f"CREATE TEMPORARY STAGE IF NOT EXISTS {stage}")
            self._has_stage = True
        columns = ", ".join(f"{self.spelled(name)} {type_}" for name, type_ in types.items())
        name = respelled(self.quoted(table), self.spelled)
        self.run(f"CREATE {self.temporary} TABLE {name} ({columns})")
        with tempfile.TemporaryDirectory(prefix="etl-assets-") as folder:
            fold = _folded if self._fold else str
            for path in parquet_files(rows, Path(folder), [fold(column) for column in types]):
                self.run(f"PUT 'file://{path}' @{stage}/{table.name}/ AUTO_COMPRESS = FALSE")
                path.unlink()
        self.run(
            f"COPY INTO {name} FROM @{stage}/{table.name}/ "
            "FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE "
            "BINARY_AS_TEXT = FALSE) MATCH_BY_COLUMN_NAME = CASE_SENSITIVE PURGE = TRUE"
        )
        self._connection.commit()

    @override
    def fetch(self, sql: str) -> "Iterator[pa.Table]":
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            yield from cursor.fetch_arrow_batches(force_microsecond_precision=True)


def _type_name(type_: str, precision: int | None, scale: int | None) -> str:
    if type_ == "NUMBER":
        return f"NUMBER({precision},{scale})"
    return "VARCHAR" if type_ == "TEXT" else type_


def _folded(name: str) -> str:
    """Return the name that Snowflake has for one that is written without quotes."""
    return name.upper() if _PLAIN.fullmatch(name) else name


def _unfolded(name: str) -> str:
    return name.lower() if _PLAIN.fullmatch(name.lower()) and name == name.upper() else name
