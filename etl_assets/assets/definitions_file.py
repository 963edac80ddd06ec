"""A definitions file as the command line sees it: loaded as Dagster does, with what it declares."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from copy import copy
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from typing_extensions import override

from etl_assets.assets.alike import alike
from etl_assets.assets.collector import Declared, collecting
from etl_assets.destinations.base import Destination
from etl_assets.exceptions import ConfigError
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source

DEFAULT_FILE = "definitions.py"


@dataclass(frozen=True)
class DeclaredSource:
    """A source by its name, with all that was declared of it.

    Args:
        name: Under which its state is stored.
        source: A copy of it that has this name.
        calls: Of `stream_assets`, at least one.
        others: Sources that have the same name and are not the same.
    """

    name: str
    source: Source
    calls: Sequence[Declared]
    others: Sequence[Source] = ()

    @property
    def catalog_path(self) -> Path:
        """The file of its committed catalog, there or not."""
        return self.calls[0].catalog_path

    @property
    def catalog_missing(self) -> bool:
        """Whether it has no assets for want of a catalog."""
        return any(call.catalog_missing for call in self.calls)

    @property
    def problem(self) -> str | None:
        """What does not fit the catalog there is, so that there are no assets."""
        return next((call.problem for call in self.calls if call.problem is not None), None)

    @property
    def streams(self) -> list[Stream]:
        """The streams that became assets, each once."""
        return list({stream.key: stream for call in self.calls for stream in call.streams}.values())

    @property
    def selection(self) -> list[str]:
        """The names and globs that were asked for."""
        return list(dict.fromkeys(name for call in self.calls for name in call.selection or ()))


@dataclass
class DeclaredDestination:
    """A destination, or what is in its place, with the calls of `stream_assets` that load into it.

    Args:
        destination: None where a resource names it, or for an IO manager that has none.
        io_manager_key: The resource.
        calls: That load into it.
    """

    destination: Destination | None
    io_manager_key: str | None
    calls: list[Declared] = field(default_factory=list)

    @property
    def sources(self) -> list[str]:
        """The names of the sources that load into it."""
        return list(dict.fromkeys(call.source_name for call in self.calls))

    def __str__(self) -> str:
        if self.io_manager_key is not None:
            return f"io_manager_key={self.io_manager_key!r}"
        return "of an IO manager" if self.destination is None else repr(self.destination)


@dataclass(frozen=True)
class Project:
    """A loaded definitions file.

    Args:
        path: The file.
        declared: By `stream_assets`.
        targets: What Dagster would load: `Definitions`, repositories, or assets.
    """

    path: Path
    declared: Sequence[Declared]
    targets: Sequence[Any]

    def sources(self) -> list[DeclaredSource]:
        """Return the sources, by name."""
        calls: dict[str, list[Declared]] = {}
        for one in self.declared:
            calls.setdefault(one.source_name, []).append(one)
        return [_source(name, own) for name, own in calls.items()]

    def destinations(self) -> list[DeclaredDestination]:
        """Return the destinations; two that were made alike are one."""
        found: list[DeclaredDestination] = []
        for call in self.declared:
            for one in found:
                if one.io_manager_key == call.io_manager_key and alike(
                    one.destination, call.destination
                ):
                    break
            else:
                one = DeclaredDestination(call.destination, call.io_manager_key)
                found.append(one)
            one.calls.append(call)
        return found

    def resolve(self, declared: DeclaredDestination) -> Any:
        """Return a destination, also one that a resource of the project stands for.

        Raises:
            ConfigError: There is no such resource, or it cannot be made.
        """
        key = declared.io_manager_key
        if key is None:
            return declared.destination
        for target in self.targets:
            resources: Mapping[str, Any] = getattr(target, "resources", None) or {}
            if key in resources:
                manager = _resource(key, resources[key])
                return getattr(manager, "destination", manager)
        raise ConfigError(
            f"The definitions have no resource {key!r}, "
            "which stream_assets names as io_manager_key.",
            hint=f'Add it: dg.Definitions(..., resources={{"{key}": DuckDBIOManager(...)}}).',
        )


@contextmanager
def loaded(path: Path) -> Iterator[Project]:
    """Load a definitions file.

    What it imports from its folder can be imported until the end, and is forgotten then.

    Raises:
        ConfigError: There is no such file.
    """
    path = (path / DEFAULT_FILE if path.is_dir() else path).absolute()
    if not path.is_file():
        raise ConfigError(
            f"There is no definitions file {str(path)!r}.",
            hint="Name it, or go to the folder where it is.",
        )
    places = [str(Path.cwd()), str(path.parent)]
    modules, search = dict(sys.modules), list(sys.path)
    sys.path[:0] = places
    try:
        # What the file prints must not get between the lines of the command.
        with collecting() as declared, redirect_stdout(sys.stderr):
            module = _execute(path)
            targets = _targets(module)
        yield Project(path, declared, targets)
    finally:
        sys.path[:] = search
        _forget(places, modules)


class _Loader(SourceFileLoader):
    """Leaves no bytecode beside the file."""

    @override
    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:
        del path, data


def _execute(path: Path) -> ModuleType:
    name = path.stem  # as Dagster calls it
    spec = spec_from_file_location(name, path, loader=_Loader(name, str(path)))
    if spec is None or spec.loader is None:
        raise ConfigError(f"{str(path)!r} is no Python file.")
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _targets(module: ModuleType) -> list[Any]:
    """Return what Dagster would load: definitions, else repositories, else the module's assets."""
    import dagster as dg

    lazy: Any = type(dg.definitions(lambda: dg.Definitions()))  # noqa: PLW0108 - a class is refused
    values = list({id(value): value for value in vars(module).values()}.values())
    for kind in (lazy, dg.Definitions, dg.RepositoryDefinition):
        found = [value for value in values if isinstance(value, kind)]
        if found:
            return [value() if isinstance(value, lazy) else value for value in found]
    assets = dg.load_assets_from_modules([module])
    return [dg.Definitions(assets=assets)] if assets else []


def _forget(places: Iterable[str], before: Mapping[str, ModuleType]) -> None:
    """Forget the modules that came from the project.

    Modules of another project may have the same names, and must not be taken for them.
    """
    folders = [Path(place) for place in places]
    ours = __name__.partition(".")[0]
    for name, module in list(sys.modules.items()):
        if before.get(name) is module or name.partition(".")[0] == ours:
            continue
        file = getattr(module, "__file__", None)
        parts = Path(file).parts if file else ()
        installed = "site-packages" in parts or "dist-packages" in parts
        if name in before:
            sys.modules[name] = before[name]
        elif (
            file and not installed and any(Path(file).is_relative_to(folder) for folder in folders)
        ):
            del sys.modules[name]


def _source(name: str, calls: Sequence[Declared]) -> DeclaredSource:
    first = calls[0].source
    source = copy(first)
    source.name = name
    others: list[Source] = []
    for call in calls[1:]:
        if not any(alike(call.source, one) for one in (first, *others)):
            others.append(call.source)
    return DeclaredSource(name, source, calls, others)


def _resource(key: str, resource: Any) -> Any:
    import dagster as dg

    try:
        with dg.build_resources({key: resource}) as resources:
            manager = getattr(resources, key)
            # Made here, while its references are at hand.
            getattr(manager, "destination", None)
            return manager
    except dg.DagsterError as error:
        raise ConfigError(
            f"The resource {key!r} cannot be made: {error}", hint="Check its fields."
        ) from error
