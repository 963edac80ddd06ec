"""The options of databases: of all of them, of those on a server, and of those in a file."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from etl_assets.redaction.places import is_url
from etl_assets.secrets.option import ArgumentsOption, OptionalSecretOption, UrlOption
from etl_assets.secrets.references import is_reference
from etl_assets.secrets.url import secret_url


class DatabaseOptions(BaseModel):
    """How tables are named and loaded, in whatever database."""

    # Built when options are first taken: those of databases that a program does not use never are.
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, defer_build=True)

    schema_name: str | None = Field(
        default=None,
        description="Put every table into this schema instead of one named after the source.",
    )
    table_prefix: str = Field(default="", description="Comes before the name of each table.")
    naming: str = Field(
        default="pyairbyte",
        description="How names are normalised: pyairbyte, snake_case or preserve.",
    )
    staging_dir: str | None = Field(
        default=None, description="Where batches wait that do not fit in memory."
    )
    staging_memory_bytes: int = Field(
        default=64 * 1024 * 1024, ge=0, description="Keep so many bytes in memory."
    )
    load_id_column: str | None = Field(
        default="_etl_assets_load_id", description="Our column; null leaves it out."
    )
    loaded_at_column: str | None = Field(
        default="_etl_assets_loaded_at", description="Our column; null leaves it out."
    )
    airbyte_columns: bool = Field(
        default=False,
        description="Add PyAirbyte's columns about each record; see `record_columns`.",
    )


class ServerOptions(DatabaseOptions):
    """Where a server is, and who connects."""

    url: UrlOption = Field(description="The database's URL; may be a reference such as an EnvVar.")
    password: OptionalSecretOption = Field(
        default=None, description="Instead of one in the url; may be a reference."
    )
    state_schema: str | None = Field(
        default=None,
        description="The schema of our own tables; by default the one that a name without a "
        "schema means.",
    )
    connect_args: ArgumentsOption = Field(
        default_factory=dict, description="The driver's own arguments, such as those for TLS."
    )


def _path_taken(path: Any) -> Any:
    """Return a path as it is, or an address, which may hold a password, so that it shows none."""
    if isinstance(path, int | float | bytes):
        raise ValueError("it is a text or a Path")  # noqa: TRY004 - pydantic's word for a wrong value
    is_address = isinstance(path, str) and not is_reference(path) and is_url(path)
    return secret_url(path) if is_address else path


PathOption = Annotated[Any, AfterValidator(_path_taken)]


class FileOptions(DatabaseOptions):
    """Where a database's file is, and how long to wait for it."""

    path: PathOption = Field(
        description="The database file, or `:memory:`; may be a reference such as an EnvVar."
    )
    lock_timeout: float = Field(
        default=60.0, ge=0, description="Seconds to wait for another process's lock."
    )
