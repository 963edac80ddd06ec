"""`etl-assets check`: whether what a definitions file names answers, and is as the file says."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from etl_assets.assets.bindings import Binding, bindings_in
from etl_assets.assets.catalog_cli import Look, Say, look_at, name_clash, shown
from etl_assets.assets.definitions_file import DeclaredDestination, DeclaredSource, Project
from etl_assets.assets.instance_storage import FILE, check_driver
from etl_assets.destinations.base import Destination
from etl_assets.destinations.database.state_rows import sound
from etl_assets.exceptions import ConfigError, EtlAssetsError, StateError, did_you_mean
from etl_assets.model.catalog_rediscovery import missing_columns
from etl_assets.model.selection import matches
from etl_assets.model.stored import Stored
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.read import StreamRead
from etl_assets.sources.source_read import first_of, reads_together

SECONDS = 10.0
"""Of one question to a source."""
SHOWN_ERROR = 500
"""Dagster's messages may run to pages."""


class Findings:
    """The lines of a check, and whether there was a problem."""

    def __init__(self, say: Say) -> None:
        self.problems = 0
        self._say = say

    def ok(self, subject: str, what: str) -> None:
        """Say that all is well with something."""
        self._say(f"ok       {subject}: {what}")

    def problem(self, subject: str, what: object) -> None:
        """Say that something is not."""
        self.problems += 1
        # An error of ours may name its subject itself.
        self._say(f"problem  {subject}: {str(what).removeprefix(f'{subject}: ')}")

    @contextmanager
    def asking(self, subject: str) -> Iterator[None]:
        """Report whatever a hook of a source or destination raises as a problem.

        A hook may be anybody's code, so it may raise anything.
        """
        try:
            yield
        except Exception as error:  # noqa: BLE001 - anybody's
            self.problem(subject, error if isinstance(error, EtlAssetsError) else _told(error))


def check(project: Project, say: Say, *, read: bool) -> int:
    """Check sources, destinations, catalogs, assets and the driver of Dagster's storage.

    Args:
        project: The definitions.
        say: Takes each line.
        read: Read one row of each stream.

    Returns:
        The exit code.
    """
    findings = Findings(say)
    for source in project.sources():
        _check_source(findings, source, read=read)
    bindings = bindings_in(project.targets)
    for destination in project.destinations():
        _check_destination(findings, project, destination, bindings)
    _check_assets(findings, project)
    with findings.asking(FILE):
        check_driver()
    return int(findings.problems > 0)


def _check_source(findings: Findings, source: DeclaredSource, *, read: bool) -> None:
    subject = f"source {source.name!r}"
    before = findings.problems
    look = None
    with findings.asking(subject):
        if source.others:
            raise ConfigError(name_clash(source))
    with findings.asking(subject):
        _ = source.source.config  # resolves every reference
        source.source.test_connection()
        look = look_at(source)
    if look is None:
        return
    _check_catalog(findings, subject, source, look)
    for stream in source.streams:
        _check_stream(findings, source, stream, look, read=read)
    if findings.problems == before:
        file = f", {shown(source.catalog_path)} is up to date" if look.committed is not None else ""
        findings.ok(subject, f"connected, {_count(len(source.streams), 'stream')}{file}")


def _check_catalog(findings: Findings, subject: str, source: DeclaredSource, look: Look) -> None:
    before = findings.problems
    again = (
        f"Run `etl-assets discover --source {source.name}` and commit {shown(source.catalog_path)}."
    )
    if look.committed is not None and look.outcome.changes:
        changes = " ".join(look.outcome.changes)
        findings.problem(
            subject, f"{shown(source.catalog_path)} is not as the source is now: {changes} {again}"
        )
    names = {name for stream in look.found.values() for name in (stream.name, stream.full_name)}
    for pattern in source.selection:
        there = any(matches(name, pattern) for name in names)
        known = look.committed
        if (
            not there
            and (set(pattern) & set("*?[") or not source.streams)
            and _can_tell(source.source, look)
        ):
            findings.problem(
                subject, f"it has no stream {pattern!r}. {did_you_mean(pattern, names)}"
            )
        elif (
            there
            and known is not None
            and not source.catalog_missing
            and not _knows(known.values(), pattern)
        ):
            findings.problem(
                subject, f"{pattern!r} is not in {shown(source.catalog_path)}. {again}"
            )
    if source.problem is not None:
        if findings.problems == before:
            findings.problem(subject, source.problem)
    elif source.catalog_missing and not source.catalog_path.exists():
        findings.problem(subject, f"{shown(source.catalog_path)} is missing. {again}")


def _check_stream(
    findings: Findings, source: DeclaredSource, stream: Stream, look: Look, *, read: bool
) -> None:
    subject = f"source {source.name!r}, stream {stream.full_name!r}"
    found = _of_same_name(stream, look.found.values())
    for problem in missing_columns(stream, found) if found is not None else ():
        findings.problem(f"source {source.name!r}", problem)
    with findings.asking(subject):
        if read or (found is None and _can_tell(source.source, look)):
            # What the source does not list may still be there; its own error says best what is
            # wrong.
            if reads_together(source.source):
                first_of(source.source, stream, source.name)
                return
            for _ in StreamRead(source.source, stream, limit=1).open(None):
                pass
        elif stream.cursor:
            source.source.pending({stream: None}, timeout=SECONDS)


def _check_destination(
    findings: Findings, project: Project, declared: DeclaredDestination, bindings: Sequence[Binding]
) -> None:
    subject = f"destination {declared}"
    before = findings.problems
    destination: Any = None
    kept = 0
    with findings.asking(subject):
        destination = project.resolve(declared)
        if isinstance(destination, Destination):
            _ = destination.config
        test: Callable[[], None] | None = getattr(destination, "test_connection", None)
        if callable(test):
            test()
        if isinstance(destination, Destination) and destination.capabilities.keeps_state:
            states = destination.states()
            kept = len(states)
            for damaged in (one for one in states if one.damage is not None):
                with findings.asking(subject):
                    sound(damaged)
            for what in _table_problems(destination, declared, bindings):
                findings.problem(subject, what)
    if findings.problems > before:
        return
    if isinstance(destination, Destination):
        state = (
            f"{_count(kept, 'stored state')}"
            if destination.capabilities.keeps_state
            else "keeps no state"
        )
        findings.ok(subject, f"connected, {state}")
    else:
        findings.ok(subject, "it has nothing to ask")


def _table_problems(
    destination: Destination, declared: DeclaredDestination, bindings: Sequence[Binding]
) -> Iterator[str]:
    for call in declared.calls:
        for stream in call.streams:
            bound = next(
                (
                    b
                    for b in bindings
                    if b.source_name == call.source_name and b.stream.key == stream.key
                ),
                None,
            )
            writing = bound.writing if bound else None
            try:
                stored: Stored = destination.stored(
                    call.source_name, stream, table=writing.table if writing else None
                )
            except StateError:
                continue  # told before
            where = f"stream {stream.full_name!r} of {call.source_name!r}"
            if stored.foreign and not (writing and writing.adopt):
                yield (
                    f"{where}: {stored.foreign}. "
                    "Choose another table, or take this one over with adopt=True."
                )
            elif stored.unsafe:
                yield f"{where}: {stored.unsafe}"
            elif stored.problem and not (writing and writing.on_table_changed == "full_refresh"):
                yield f"{where}: {stored.problem}. Load it anew with `full_refresh`."


def _check_assets(findings: Findings, project: Project) -> None:
    import dagster as dg

    subject = shown(project.path)
    count = 0
    with findings.asking(subject):
        for target in project.targets:
            if isinstance(target, dg.Definitions):
                count += len(list(target.resolve_all_asset_specs()))
                if not any(call.catalog_missing for call in project.declared):
                    dg.Definitions.validate_loadable(target)
            else:
                count += len(target.assets_defs_by_key)
        if not count and any(call.catalog_missing for call in project.declared):
            return  # told above, with what to do
        if not count:
            raise ConfigError(
                "it gives Dagster no assets.",
                hint="Put what stream_assets gives into a `dg.Definitions(assets=...)` "
                "at the file's top level.",
            )
        findings.ok(subject, _count(count, "asset"))


def _can_tell(source: Source, look: Look) -> bool:
    """Return whether a source lists its streams: a source of a few lines need not."""
    return len(look.found) > 0 or type(source).discover is not Source.discover


def _of_same_name(stream: Stream, found: Any) -> Stream | None:
    names = {stream.name, stream.stream, stream.table, stream.full_name}
    near = [one for one in found if names & {one.name, one.full_name}]
    return next((one for one in near if one.key == stream.key), near[0] if near else None)


def _knows(streams: Any, pattern: str) -> bool:
    return any(
        matches(name, pattern) for stream in streams for name in (stream.name, stream.full_name)
    )


def _told(error: Exception) -> str:
    # Dagster says what failed, and in the cause why.
    cause = f" ({error.__cause__})" if error.__cause__ else ""
    text = " ".join(f"{type(error).__name__}: {error}{cause}".split())
    return text if len(text) <= SHOWN_ERROR else f"{text[: SHOWN_ERROR - 1]}…"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
