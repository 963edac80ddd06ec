"""Caches that need no configuration."""

from pathlib import Path

from etl_assets.arguments import FLAG, PLACE, TEXT, checked
from etl_assets.caches.duckdb import DuckDBCache
from etl_assets.constants import DEFAULT_GOOGLE_DRIVE_MOUNT_PATH
from etl_assets.exceptions import InputError
from etl_assets.records import new_record_id

DEFAULT = "default_cache"


@checked()
def get_default_cache() -> DuckDBCache:
    """Return the cache that is used where none is given.

    Its file is `.cache/default_cache/default_cache.duckdb`.

    The folder is one of the working directory.
    """
    folder = Path(".cache") / DEFAULT
    return DuckDBCache(db_path=folder / f"{DEFAULT}.duckdb", cache_dir=folder)


@checked(cache_name=TEXT, cache_dir=PLACE, cleanup=FLAG)
def new_local_cache(
    cache_name: str | None = None, cache_dir: str | Path | None = None, *, cleanup: bool = True
) -> DuckDBCache:
    """Return a DuckDB cache by a name: `.cache/<name>/db_<name>.duckdb`.

    Args:
        cache_name: Letters, digits and `_`; by default one that no other has, so that the next run
            finds nothing.
        cache_dir: The folder of the file.
        cleanup: Kept for PyAirbyte's sake.

    Raises:
        InputError: The name has other characters.
    """
    if cache_name is not None and not cache_name.replace("_", "").isalnum():
        why = "spaces" if " " in cache_name else "anything but letters, digits and _"
        raise InputError(
            f"The name of a cache cannot have {why}: {cache_name!r}.", input_value=cache_name
        )
    name = cache_name or new_record_id().replace("-", "")
    folder = Path(cache_dir) if cache_dir is not None else Path(".cache") / name
    return DuckDBCache(db_path=folder / f"db_{name}.duckdb", cache_dir=folder, cleanup=cleanup)


@checked(
    cache_name=TEXT,
    sub_dir=TEXT,
    schema_name=TEXT,
    table_prefix=((str, type(None)), "a text"),
    drive_name=TEXT,
    mount_path=TEXT,
)
def get_colab_cache(
    cache_name: str = DEFAULT,
    sub_dir: str = "Airbyte/cache",
    schema_name: str = "main",
    table_prefix: str | None = "",
    drive_name: str = "MyDrive",
    mount_path: str = DEFAULT_GOOGLE_DRIVE_MOUNT_PATH,
) -> DuckDBCache:
    """Return a DuckDB cache in Google Drive, from within a Google Colab notebook.

    Args:
        cache_name: The file's name.
        sub_dir: Its folder in the drive.
        schema_name: The schema of its tables.
        table_prefix: Comes before the name of each table.
        drive_name: `MyDrive`, or the name of a shared drive.
        mount_path: Where the drive is mounted.

    Raises:
        ImportError: This is no Colab notebook.
    """
    try:
        from google.colab import drive  # type: ignore[import-untyped]
    except ImportError:
        raise ImportError(
            "get_colab_cache() works in a Google Colab notebook only, which has the package "
            "`google.colab`."
        ) from None
    drive.mount(mount_path)
    root = Path(mount_path) / drive_name
    if drive_name != "MyDrive":
        root = Path(mount_path) / "Shareddrives" / drive_name
    folder = root / sub_dir
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{cache_name}.duckdb"
    print(f"The cache is kept in Google Drive: {path}")  # noqa: T201 - said to the person at the notebook
    return DuckDBCache(
        db_path=path, cache_dir=folder, schema_name=schema_name, table_prefix=table_prefix
    )
