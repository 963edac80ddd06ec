"""A destination that is somebody else's program: a Singer target or an Airbyte destination.

Batches wait in memory and Arrow files until they are committed; a commit is one run of the program,
from its start to its end. Nothing half-read ever reaches it, a replace is given to it whole, and
what it confirms is all it was given.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

from typing_extensions import override

from etl_assets.callbacks import ConfigChangeCallback
from etl_assets.connectors.causes import cause_in
from etl_assets.connectors.executors import Executor
from etl_assets.connectors.hosts import ConnectorHost
from etl_assets.connectors.process import ConnectorProcess, Limits
from etl_assets.connectors.too_new import hint_of
from etl_assets.connectors.workspace import private_root
from etl_assets.destinations.base import Destination, RowSession
from etl_assets.destinations.contract import settled
from etl_assets.destinations.outgoing import Outgoing
from etl_assets.engine.staging import Staging
from etl_assets.engine.staging_folder import sweep
from etl_assets.exceptions import (
    ConfigError,
    ConnectorWriteError,
    DestinationError,
    SchemaConflictError,
)
from etl_assets.faults import fault
from etl_assets.model.batch import Batch
from etl_assets.model.load import Capabilities, Committed, Load, Session
from etl_assets.model.stored import Bookmark, SharedState
from etl_assets.naming import normalise
from etl_assets.redaction.logs import masked_logger
from etl_assets.strategies import WriteStrategy

STAGING_BYTES = 64 * 1024 * 1024
DELIVERS = Capabilities(
    strategies=frozenset({WriteStrategy.APPEND, WriteStrategy.MERGE}), encoding="arrow"
)


class Listener(Protocol):
    """Follows what a program says while it is written to."""

    def take(self, chunk: bytes) -> None:
        """Take whole lines of its standard output."""

    def refusal(self, process: ConnectorProcess) -> str:
        """Return why the program, which has ended, has not confirmed what it was given.

        "" if it has.

        Raises:
            EtlAssetsError: The program itself said what went wrong.
        """
        ...


@dataclass(frozen=True)
class Delivery:
    """One run of the program.

    Args:
        parts: What it is given.
        arguments: Of its command line; `{config}` stands for the path of the file `config`.
        files: Documents for it, by name.
        config: Its config, resolved.
    """

    parts: Sequence[Outgoing]
    arguments: Sequence[str]
    files: Mapping[str, Any]
    config: Mapping[str, Any]


class ConnectorDestination(ConnectorHost, Destination):
    """A connector that runs as a process for each commit. At-least-once: it keeps no state of ours.

    Args:
        executor: Starts it.
        name: The connector's, such as `target-jsonl` or `destination-duckdb`.
        config: Its config; values may be references, also nested.
        config_change_callback: Called with the whole new config when the connector changes it.
        validate: Check the config against the connector's specification now: starts it.
        destination_name: What tells it from others in the past of an asset; the connector's name as
            a word by default.
        limits: Of time and size.
        staging_dir: Where batches wait that do not fit in memory; a private one among temporary
            files by default.
        staging_memory_bytes: Keep so many bytes of each stream in memory.
        options: The rest of what a destination takes: `logger`, ...

    Raises:
        ConnectorConfigInvalidError: The config is to be checked, and is not what the specification
            asks for.
    """

    storage_kind = "connector"
    protocol: ClassVar[str]

    def __init__(  # noqa: PLR0913 - PyAirbyte's arguments, and ours
        self,
        executor: Executor,
        name: str,
        config: Mapping[str, Any] | None = None,
        *,
        config_change_callback: ConfigChangeCallback | None = None,
        validate: bool = False,
        destination_name: str | None = None,
        limits: Limits | None = None,
        staging_dir: Path | str | None = None,
        staging_memory_bytes: int = STAGING_BYTES,
        **options: Any,
    ) -> None:
        super().__init__(config=config, **options)
        self.executor = executor
        self.connector_name = name
        self.config_is_missing = config is None
        self.name = destination_name or normalise(name)
        self.config_change_callback = config_change_callback
        self.limits = limits or Limits()
        self.logger = masked_logger(options.get("logger") or f"etl_assets.connectors.{self.name}")
        self.staging_dir = staging_dir
        self.staging_memory_bytes = staging_memory_bytes
        if validate and config is not None:
            self.validate_config()

    @property
    @override
    def identity(self) -> str:
        return f"{type(self).__name__}:{self.name}"

    @override
    def session(self, loads: Sequence[Load]) -> AbstractContextManager[Session]:
        sweep(self.staging_roots())
        return closing(ConnectorSession(self, loads))

    def staging_roots(self) -> Sequence[Path]:
        """Return the directory in which each load makes its own for what does not fit in memory."""
        return (Path(self.staging_dir) if self.staging_dir else private_root() / "staging",)

    # What each protocol says for itself

    def delivery(self, parts: Sequence[Outgoing]) -> Delivery:
        """Return how the program is run for these parts."""
        raise NotImplementedError(f"{type(self).__name__} must override delivery.")

    def lines(self, parts: Sequence[Outgoing]) -> Iterator[bytes]:
        """Return the blocks of lines that it reads."""
        raise NotImplementedError(f"{type(self).__name__} must override lines.")

    def listener(self, delivery: Delivery) -> Listener:
        """Return what follows its output."""
        raise NotImplementedError(f"{type(self).__name__} must override listener.")

    def deliver(self, parts: Sequence[Outgoing]) -> None:
        """Run the program once, from its start to its end, with all of these parts.

        Raises:
            ConnectorWriteError: It did not end well, did not read all, or did not confirm it; its
                log is told.
            EtlAssetsError: It said what went wrong.
        """
        _refuse_one_name(parts)
        delivery = self.delivery(parts)
        listener = self.listener(delivery)
        limits, logger = self.limits, self.logger
        with self.executor.start(
            *delivery.arguments,
            files=delivery.files,
            limits=limits,
            logger=logger,
            takes_input=True,
        ) as process:
            for chunk in process.chunks(self.lines(parts)):
                if chunk:
                    listener.take(chunk)
            process.wait()
            refusal = listener.refusal(process)
            why = process.ending if process.exit_code else refusal
            if not why and not process.took_all:
                why = "ended well, but before it had read all of its input"
            if why:
                raise self._failure(why, parts, process)

    def _failure(
        self, why: str, parts: Sequence[Outgoing], process: ConnectorProcess
    ) -> ConnectorWriteError:
        names = ", ".join(repr(part.load.stream.full_name) for part in parts)
        cause = cause_in(process.log_text) if process.exit_code and process.exit_code > 0 else None
        what = f": {cause} (it {why})" if cause else f" {why}"
        plural = "s" if len(parts) > 1 else ""
        return ConnectorWriteError(
            f"stream{plural} {names}: {self.connector_name}{what}. Nothing of this commit "
            "counts as loaded; what it has kept of it nevertheless comes again.",
            connector_name=self.connector_name,
            log_text=process.log_text,
            exit_code=process.exit_code,
            hint=hint_of(process.log_text) if cause else None,
            stream=parts[0].load.stream.name if len(parts) == 1 else None,
        )


class ConnectorSession(RowSession):
    """Stages what is exported, and gives it to the program at the commit.

    Args:
        destination: The destination.
        loads: What is to be done.
    """

    def __init__(self, destination: ConnectorDestination, loads: Sequence[Load]) -> None:
        super().__init__(destination, loads)
        self._host = destination
        self._staging: dict[str, Staging] = {}
        for load in loads:
            self._prepare(load)

    def _prepare(self, load: Load) -> None:
        if load.strategy is WriteStrategy.MERGE and load.on_conflict != "update":
            raise ConfigError(
                f"stream {load.stream.name!r}: {self._host.connector_name} cannot be told to "
                "ignore keys that are there already.",
                hint='Leave on_conflict (or unique_conflict_method) at "update".',
                stream=load.stream.name,
            )
        self._staging[load.load_id] = Staging(
            self._host.staging_roots(), self._host.staging_memory_bytes
        )

    @override
    def export(self, batch: Batch, load: Load) -> int:
        batch = settled(batch, self._rejects[load.load_id].add)
        try:
            return self._staging[load.load_id].add(batch.to_arrow(load.stream))
        except SchemaConflictError as error:
            raise error.named(stream=load.stream.name) from None

    @override
    def revise(self, load: Load) -> None:
        if load.load_id not in self._staging:
            self._prepare(load)
        super().revise(load)
        self._screens.pop(load.load_id, None)

    @override
    def discard(self, load_id: str) -> None:
        self._staging[load_id].clear()
        self._rejects[load_id].clear()

    @override
    def commit(
        self,
        bookmarks: Mapping[str, Bookmark | None],
        *,
        complete: bool,
        shared: SharedState | None = None,
    ) -> list[Committed]:
        """Hand everything that is staged for these loads to the program.

        An append of nothing needs no run of it.
        """
        parts = []
        for load_id in bookmarks:
            load, staging = self._loads[load_id], self._staging[load_id]
            if load.strategy is WriteStrategy.REPLACE and not complete:
                raise DestinationError("A replace is published only when its stream is complete.")
            if staging.rows or load.strategy is WriteStrategy.REPLACE:
                parts.append(Outgoing(load, staging, time.time_ns() // 1_000_000))
        if parts:
            self._host.deliver(parts)
        fault("committed")
        sizes = {load_id: self._staging[load_id].bytes for load_id in bookmarks}
        self._rows.update({part.load.load_id: part.count for part in parts})
        for load_id in bookmarks:
            self._staging[load_id].clear()
        committed = super().commit(bookmarks, complete=complete, shared=shared)
        return [replace(one, bytes_loaded=sizes[one.load_id]) for one in committed]

    def close(self) -> None:
        """Drop what was not committed."""
        for staging in self._staging.values():
            staging.clear()


def _refuse_one_name(parts: Sequence[Outgoing]) -> None:
    seen: dict[tuple[str, str], Outgoing] = {}
    for part in parts:
        other = seen.setdefault((part.namespace, part.name), part)
        if other is not part:
            raise ConfigError(
                f"streams {other.load.stream.full_name!r} and {part.load.stream.full_name!r} would "
                f"both be written to {part.name!r}.",
                hint="Give one of them another table or stream_alias.",
                stream=part.load.stream.name,
            )
