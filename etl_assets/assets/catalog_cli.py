"""`etl-assets discover`: ask the sources for their streams and write the committed catalogs."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from etl_assets.assets.definitions_file import DeclaredSource, Project
from etl_assets.exceptions import ConfigError, SourceError, did_you_mean
from etl_assets.model.catalog import Catalog
from etl_assets.model.catalog_rediscovery import Rediscovered, rediscovered
from etl_assets.sources.base import Source
from etl_assets.sources.catalog import frozen

Say = Callable[[str], None]


@dataclass(frozen=True)
class Look:
    """A new look at a source, beside its committed catalog.

    Args:
        found: The streams the source has, as it says.
        committed: What the file says; None if there is none.
        outcome: What would be committed now.
    """

    found: Catalog
    committed: Catalog | None
    outcome: Rediscovered


def look_at(source: DeclaredSource) -> Look:
    """Ask a source for its streams. Connects.

    Raises:
        EtlAssetsError: It cannot be asked, or its committed catalog cannot be read.
    """
    committed = Catalog.load(source.catalog_path) if source.catalog_path.exists() else None
    found = _of_the_engine(source.source.discover())
    if committed is not None:
        outcome = rediscovered(committed, found)
    else:
        # A catalog file goes before what the code declares, so it must not lose what is declared
        # there.
        declared = source.source.declared_catalog()
        outcome = rediscovered(
            None if declared is None else _of_the_engine(declared), found, declared=True
        )
    return Look(found, committed, outcome)


def first_catalog(source: Source, name: str) -> Catalog:
    """Return the catalog of a source that has none yet. Connects.

    Args:
        source: The source.
        name: Its name, for people.

    Raises:
        EtlAssetsError: It cannot be asked, or has no streams.
    """
    found = _of_the_engine(source.discover())
    # It goes before what the code declares, so it must not lose what is declared there.
    declared = source.declared_catalog()
    before = None if declared is None else _of_the_engine(declared)
    catalog = rediscovered(before, found, declared=True).catalog
    if not len(catalog):
        raise SourceError(
            f"source {name!r} has no streams.",
            hint="Check the schema, the filters and the rights of the user; the last state stays.",
        )
    return catalog


def _of_the_engine(catalog: Catalog) -> Catalog:
    """Return a catalog whose streams are the engine's.

    Mage's entries have lists where the engine has tuples.
    """
    extra = catalog.to_dict()
    extra.pop("streams")
    return Catalog([frozen(stream) for stream in catalog.values()], extra=extra)


def discover(project: Project, name: str | None, say: Say, *, check: bool) -> int:
    """Write the catalogs, or with `check` tell whether they would change.

    Args:
        project: The definitions.
        name: Of the one source to ask; None for all.
        say: Takes each line.
        check: Write nothing.

    Returns:
        The exit code: with `check`, 1 if a catalog would change.

    Raises:
        EtlAssetsError: A source cannot be asked.
    """
    changed = False
    for source in chosen(project, name):
        if source.others:
            raise ConfigError(name_clash(source))
        look = look_at(source)
        if check:
            changed |= _compare(source, look, say)
        else:
            _write(source, look, say)
        for note in look.outcome.notes:
            say(f"  note: {note}")
    return int(changed)


def chosen(project: Project, name: str | None) -> Sequence[DeclaredSource]:
    """Return the sources asked for.

    Raises:
        ConfigError: There is none, or none of this name.
    """
    sources = project.sources()
    if not sources:
        raise ConfigError(
            f"{shown(project.path)} declares no source.", hint="It must call stream_assets(...)."
        )
    found = [source for source in sources if name in {None, source.name}]
    if not found:
        known = [source.name for source in sources]
        raise ConfigError(
            f"There is no source {name!r} in {shown(project.path)}.",
            hint=did_you_mean(str(name), known),
        )
    return found


def name_clash(source: DeclaredSource) -> str:
    """Return the sentence for two different sources of one name."""
    return (
        f"Two sources are named {source.name!r}: {source.source!r} and {source.others[0]!r}. "
        "They would share their state and tables; give one of them another name."
    )


def shown(path: Path) -> str:
    """Return a path as people write it: from the working directory where it is below."""
    path = path.absolute()
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _write(source: DeclaredSource, look: Look, say: Say) -> None:
    path, catalog = source.catalog_path, look.outcome.catalog
    if not len(catalog):
        raise SourceError(
            f"source {source.name!r} has no streams.",
            hint=f"{shown(path)} was left as it is. Check the schema, the filters and the rights "
            "of the user.",
        )
    changes = look.outcome.changes
    if look.committed is not None and not changes:
        say(f"{source.name}: {shown(path)}: no change ({_count(catalog)}).")
        return
    catalog.dump(path)
    say(f"{source.name}: {shown(path)} written ({_count(catalog)}).")
    if look.committed is None and not changes:
        say("  as the definitions declare them")
    for change in changes:
        say(f"  {change}")


def _compare(source: DeclaredSource, look: Look, say: Say) -> bool:
    path = shown(source.catalog_path)
    if look.committed is None:
        standing = "missing" if source.catalog_missing else "not there, and not needed"
        say(f"{source.name}: {path} is {standing}.")
        return source.catalog_missing
    changes = look.outcome.changes
    say(f"{source.name}: {path}: {'changed' if changes else 'no change'}.")
    for change in changes:
        say(f"  {change}")
    return bool(changes)


def _count(catalog: Catalog) -> str:
    return f"{len(catalog)} stream{'' if len(catalog) == 1 else 's'}"
