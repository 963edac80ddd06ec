"""Singer taps: discovery, selection and sync of somebody else's program."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override

from etl_assets.connectors.asking import ask, object_in
from etl_assets.connectors.executors import Executor
from etl_assets.connectors.hosts import SingerHost
from etl_assets.connectors.names import known_connectors
from etl_assets.connectors.process import ConnectorProcess
from etl_assets.exceptions import ConfigError, ConnectorError
from etl_assets.model.catalog import Catalog
from etl_assets.model.catalog_entries import copied
from etl_assets.model.events import Event, SourceState
from etl_assets.model.selection import is_column_selected
from etl_assets.model.stream import Stream
from etl_assets.sources.connector import ConnectorSource
from etl_assets.sources.singer.read import SingerRead, state_given

_REFUSES_CATALOG = re.compile(
    r"(unrecognized arguments|no such option|unknown option|invalid option).{0,40}--?catalog",
    re.IGNORECASE,
)


class SingerSource(SingerHost, ConnectorSource):
    """A Singer tap.

    ```python
    from etl_assets import get_source

    files = get_source("tap-jsonl", config={"path": "orders.jsonl", "stream_name": "orders"})
    ```

    Args:
        executor: Starts it.
        name: The connector's, such as `tap-jsonl`.
        config: Its config.
        use_properties: The tap takes its catalog by `--properties`, as old ones do. By default,
            that is so of those that the index of names says it of, and of one that refuses
            `--catalog`.
        batch_folder: Where the tap writes the files that its BATCH messages name: it is made if it
            is not there, and the files below it are read, and removed when their rows are
            committed. By default, only those in the folder that is made for its run.
        options: What any connector takes.
    """

    protocol = "singer"

    def __init__(
        self,
        executor: Executor,
        name: str,
        config: Mapping[str, Any] | None = None,
        *,
        use_properties: bool | None = None,
        batch_folder: Path | str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(executor, name, config, **options)
        self.batch_folder = batch_folder
        known = known_connectors().get(name)
        self.use_properties = (
            use_properties if use_properties is not None else bool(known and known.use_properties)
        )
        self._may_turn = use_properties is None

    @override
    def test_connection(self) -> None:
        """Have the tap discover its streams: Singer has no other check.

        Raises:
            ConnectorConfigInvalidError: Its `--about` says that the config is wrong.
            ConnectorError: It fails.
        """
        self.validate_config(self.config)
        self._discovered = None
        self.discover()

    @override
    def _discover(self) -> Catalog:
        files = {"config": self.executor.config(self.config)}
        output, process = ask(self, "--config", "{config}", "--discover", files=files)
        if process.exit_code:
            self.validate_config(self.config)  # a tap that lacks a setting may die of anything
            raise process.failure(" (--discover)")
        found = object_in(output)
        if found is None or not isinstance(found.get("streams"), list):
            raise ConnectorError(
                f"{self.connector_name} --discover gave no catalog.", log_text=process.log_text
            )
        return Catalog.from_dict(found)

    @override
    def load_streams(
        self, streams: Sequence[Stream], state: SourceState, **kwargs: Any
    ) -> Iterator[Event]:
        """Read streams by one process; see `Source.load_streams`."""
        streams = self.completed(streams)
        known = self.catalog if self.catalog is not None else Catalog(streams)
        given = state_given(state, streams)
        arguments = []
        files = {
            "config": self.executor.config(self.config),
            "catalog": tap_catalog(known, streams),
        }
        if given:
            arguments = ["--state", "{state}"]
            files["state"] = given
        batch_folder = self._batch_folder()
        while True:
            flag = "--properties" if self.use_properties else "--catalog"
            with self._start(
                "--config", "{config}", flag, "{catalog}", *arguments, files=files
            ) as process:
                reading = SingerRead(
                    self.connector_name,
                    self.logger,
                    streams,
                    process,
                    known=known,
                    state=given,
                    batch_folder=batch_folder,
                )
                yield from reading.messages()
                if not (reading.told_nothing and self._wants_properties(process)):
                    yield from reading.ending()
                    return
            self.use_properties = True

    def _wants_properties(self, process: ConnectorProcess) -> bool:
        """Return whether a tap that has said nothing is to be run again, with `--properties`.

        It refused `--catalog`; or it did nothing, as if it had none, and its `--help` has the other
        flag.
        """
        if self.use_properties or not self._may_turn:
            return False
        if process.exit_code == 0:
            output, asked = ask(self, "--help")
            wants = b"--properties" in output or "--properties" in asked.log_text
        else:
            wants = _REFUSES_CATALOG.search(process.log_text) is not None
        if wants:
            self.logger.warning(
                "%s takes its catalog by --properties: give use_properties=True, which spares the "
                "first try",
                self.connector_name,
            )
        return wants

    def _batch_folder(self) -> Path | None:
        """Make the folder that was given for batches, so that the tap finds it."""
        if self.batch_folder is None:
            return None
        folder = self.executor.surroundings.directory() / Path(self.batch_folder).expanduser()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"The batch_folder {str(self.batch_folder)!r} of {self.connector_name} cannot be "
                f"made: {error.strerror} ({str(folder)!r}).",
                hint="Give the path of a folder that this user may write to.",
            ) from None
        return folder


def tap_catalog(catalog: Catalog, streams: Sequence[Stream]) -> dict[str, Any]:
    """Return the catalog as a tap is to read it, where only these streams are selected."""
    wanted = {stream.key: stream for stream in streams}
    entries = [
        _entry(wanted.get(stream.key, stream), chosen=stream.key in wanted)
        for stream in catalog.values()
    ]
    entries += [_entry(stream, chosen=True) for key, stream in wanted.items() if key not in catalog]
    return {"streams": entries}


def _entry(stream: Stream, *, chosen: bool) -> dict[str, Any]:
    entry: dict[str, Any] = copied(stream.to_dict())
    places: dict[tuple[str, ...], dict[str, Any]] = {
        tuple(one["breadcrumb"]): dict(one["metadata"]) for one in entry.get("metadata") or ()
    }
    own = places.setdefault((), {})
    own["selected"] = chosen
    if chosen:
        own["replication-method"] = stream.method
        if stream.cursor:
            own["replication-key"] = stream.cursor[0]
        for name in (stream.schema or {}).get("properties") or {}:
            place = places.setdefault(("properties", name), {})
            if place.get("inclusion") not in {"automatic", "unsupported"}:
                place["selected"] = is_column_selected(stream, name)
        if stream.types:
            entry["schema"] = copied(
                stream.schema or {}
            )  # the tap may convert values to what it reads there
        if isinstance(entry.get("schema"), dict):
            entry["schema"]["selected"] = True  # where taps of the first days look
        entry["selected"] = True
    entry["metadata"] = [
        {"breadcrumb": list(place), "metadata": said} for place, said in places.items()
    ]
    return entry
