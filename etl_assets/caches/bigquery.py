"""A cache in BigQuery."""

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from etl_assets.caches.warehouse import WarehouseCache
from etl_assets.destinations.warehouses.bigquery import BigQueryDestination

if TYPE_CHECKING:
    from sqlalchemy import URL


class BigQueryCache(WarehouseCache):
    """A dataset of BigQuery.

    Args:
        project_name: The project's id.
        dataset_name: The dataset of its tables, and of the states; made where it is missing.
        credentials_path: A service account's JSON file; by default the environment's own
            credentials.
        location: Where the dataset is, such as `EU`.
        schema_name: The dataset, too.
    """

    project_name: str
    dataset_name: str = "airbyte_raw"
    credentials_path: str | None = None
    location: str | None = None
    schema_name: str = ""

    paired_destination_name: ClassVar[str | None] = "destination-bigquery"

    @override
    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        self.schema_name = self.schema_name or self.dataset_name

    @property
    def database_name(self) -> str:
        """The project."""
        return self.project_name

    @override
    def make_destination(self) -> BigQueryDestination:
        return BigQueryDestination(
            project=self.project_name,
            location=self.location,
            credentials_path=self.credentials_path,
            schema_name=self.schema_name,
            state_schema=self.schema_name,
            staging_dir=str(self.cache_dir / "staging"),
        )

    @override
    def get_database_name(self) -> str:
        return self.project_name

    @override
    def make_url(self) -> "URL":
        from sqlalchemy import URL

        query = {"credentials_path": self.credentials_path} if self.credentials_path else {}
        return URL.create(
            "bigquery", host=self.project_name, database=self.schema_name, query=query
        )

    @override
    def get_vendor_client(self) -> Any:
        destination = self.destination
        assert isinstance(destination, BigQueryDestination)  # noqa: S101 - `make_destination` gives no other
        return destination.connect()


BigQueryConfig = BigQueryCache
"""The configuration by itself, by PyAirbyte's name: a cache is one."""
