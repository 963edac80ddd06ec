"""A cache in Snowflake."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from etl_assets.caches.warehouse import WarehouseCache
from etl_assets.destinations.warehouses.snowflake import SnowflakeDestination
from etl_assets.secrets.option import ArgumentsOption, SecretOption
from etl_assets.secrets.references import resolve
from etl_assets.secrets.string import SecretString

if TYPE_CHECKING:
    from sqlalchemy import URL


class SnowflakeCache(WarehouseCache):
    """A schema of a Snowflake database.

    Args:
        account: The account's identifier, such as `myorg-myaccount`.
        username: Who connects.
        password: With what; or a private key.
        private_key: A PEM text.
        private_key_path: The file of one.
        private_key_passphrase: That of the private key.
        warehouse: The virtual warehouse; the user's by default.
        database: The database.
        role: The role; the user's by default.
        schema_name: The schema of its tables, and of the states.
        connect_args: More arguments of Snowflake's connector.
    """

    account: str
    username: str
    password: SecretOption | None = None
    private_key: SecretOption | None = None
    private_key_path: Path | None = None
    private_key_passphrase: SecretOption | None = None
    warehouse: str | None = None
    database: str
    role: str | None = None
    schema_name: str = "airbyte_raw"
    connect_args: ArgumentsOption = Field(default_factory=dict)

    paired_destination_name: ClassVar[str | None] = "destination-snowflake"

    @override
    def make_destination(self) -> SnowflakeDestination:
        key: Any = self.private_key
        if key is None and self.private_key_path is not None:
            key = SecretString(self.private_key_path.read_text(encoding="utf-8"))
        return SnowflakeDestination(
            account=self.account,
            user=self.username,
            password=self.password,
            private_key=key,
            private_key_passphrase=self.private_key_passphrase,
            warehouse=self.warehouse,
            database=self.database,
            role=self.role,
            schema_name=self.schema_name,
            state_schema=self.schema_name,
            connect_args=self.connect_args,
            staging_dir=str(self.cache_dir / "staging"),
        )

    @override
    def get_database_name(self) -> str:
        return self.database

    @override
    def make_url(self) -> "URL":
        from sqlalchemy import URL

        given = {"warehouse": self.warehouse, "role": self.role}
        return URL.create(
            "snowflake",
            username=self.username,
            password=str(resolve(self.password)) if self.password else None,
            host=self.account,
            database=f"{self.database}/{self.schema_name}",
            query={name: value for name, value in given.items() if value},
        )

    @override
    def get_vendor_client(self) -> Any:
        destination = self.destination
        assert isinstance(destination, SnowflakeDestination)  # noqa: S101 - `make_destination` gives no other
        return destination.connect()


SnowflakeConfig = SnowflakeCache
"""The configuration by itself, by PyAirbyte's name: a cache is one."""
