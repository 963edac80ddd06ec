"""Where the streams of a source come from when definitions load: never from a connection."""

import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from etl_assets.exceptions import ConfigError, shorten
from etl_assets.model.catalog import Catalog
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.catalog import frozen

FOLDER = "catalogs"
VARIABLE = "ETL_ASSETS_CATALOGS"
"""Names another folder for committed catalogs."""

GLOB = set("*?[")
"""With one of these, a name stands for many."""

_project: ContextVar[Path | None] = ContextVar("etl_assets_project", default=None)


class CatalogMissingError(ConfigError):
    """The selection needs a catalog, and there is none yet."""


def streams_at_load(
    source: Source,
    source_name: str,
    selection: Sequence[str] | None,
    catalog: Catalog | Mapping[str, Any] | str | Path | None,
    path: Path,
) -> list[Stream]:
    """Return the streams that become assets.

    Args:
        source: The source.
        source_name: Its name.
        selection: Names and globs; None for what the catalog selects.
        catalog: An object or a file that goes before all others.
        path: The file where the source's committed catalog would be.

    Raises:
        CatalogMissingError: The selection needs a catalog.
        ConfigError: A name is not in the catalog.
    """
    known = _known(source, catalog, path)
    if known is not None:
        streams = known.selected if selection is None else known.select(selection)
        if not streams:
            raise ConfigError(
                f"No stream of {source_name!r} is selected.",
                hint='Name some: streams=["..."], or select them in the catalog.',
            )
        return [frozen(stream) for stream in streams]
    if selection is None or any(GLOB & set(name) for name in selection):
        wanted = "its streams" if selection is None else f"streams={list(selection)!r}"
        raise CatalogMissingError(
            f"{source_name!r} has no catalog at {path}, "
            f"so {wanted} cannot be known without connecting.",
            hint="Write it with `etl-assets discover <definitions file>` and commit it, "
            "or name the streams.",
        )
    return [Stream(name) for name in selection]


def known_at_load(
    source: Source, catalog: Catalog | Mapping[str, Any] | str | Path | None, path: Path
) -> Sequence[Stream]:
    """Return all streams of a source that are known without connecting, selected or not.

    The arguments are as above.
    """
    try:
        known = _known(source, catalog, path)
    except ConfigError:
        return ()  # a catalog that cannot be read is told where its streams are wanted
    return () if known is None else known.streams


@contextmanager
def catalogs_in(project: Path) -> Iterator[None]:
    """Have the committed catalogs be those of a project, wherever the process runs.

    A component is no file that calls `stream_assets`, so there is nothing beside which they could
    be.

    Args:
        project: Its root.
    """
    token = _project.set(project)
    try:
        yield
    finally:
        _project.reset(token)


def catalog_path(source_name: str) -> Path:
    """Return the path of the committed catalog of a source.

    It is in the working directory, else beside the file that defines the assets. Before
    `etl-assets discover` there is none, and then the path is the one beside that file.

    Raises:
        ConfigError: The name leads out of the folder.
    """
    name = f"{source_name}.json"
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise ConfigError(
            f"The source name {source_name!r} leads out of the folder of catalogs.",
            hint="Use letters, digits and '_'.",
        )
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE]) / name
    project = _project.get()
    if project is not None:
        return project / FOLDER / name
    here = Path(FOLDER) / name
    beside = _folder_of_caller() / FOLDER / name
    return here if here.exists() else beside


def _known(
    source: Source, catalog: Catalog | Mapping[str, Any] | str | Path | None, path: Path
) -> Catalog | None:
    if isinstance(catalog, str | Path):
        return Catalog.load(catalog)
    if catalog is not None:
        if not isinstance(catalog, Catalog | Mapping):
            raise ConfigError(
                f"catalog is {shorten(catalog)}.",
                hint="It is a Catalog, its JSON as a dict, or a file.",
            )
        return catalog if isinstance(catalog, Catalog) else Catalog.from_dict(dict(catalog))
    if path.exists():
        return Catalog.load(path)
    return source.declared_catalog()


def _folder_of_caller() -> Path:
    frame = inspect.currentframe()
    package = __name__.partition(".")[0]
    while (
        frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == package
    ):
        frame = frame.f_back
    file = frame.f_globals.get("__file__") if frame is not None else None
    return Path(file).resolve().parent if file else Path.cwd()
