"""The command `etl-assets`: discover catalogs, check a project, look at stored state and change it.

It exits with 0 where all is well, 1 where something failed or was found, 2 where it was called
wrongly.
"""

import argparse
import os
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override

from etl_assets.exceptions import ConfigError, EtlAssetsError
from etl_assets.redaction import redact
from etl_assets.redaction.errors import DEBUG, is_debugging
from etl_assets.version import __version__

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; give its exit code.

    Args:
        argv: The arguments; those of the process by default.
    """
    arguments = _parser().parse_args(argv)
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has what it wanted; Python would complain once more while it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except EtlAssetsError as error:
        return _failed(error, str(error), arguments)
    except Exception as error:  # noqa: BLE001 - whatever a project raises
        return _failed(error, f"{type(error).__name__}: {error}{_place(error)}", arguments)
    return code


def _failed(error: BaseException, text: str, arguments: argparse.Namespace) -> int:
    if getattr(arguments, "traceback", False) or is_debugging():
        sys.stderr.write(redact("".join(traceback.format_exception(error))))
    sys.stderr.write(redact(f"error: {_in_its_words(text, arguments)}\n"))
    return 1


def _in_its_words(text: str, arguments: argparse.Namespace) -> str:
    """Return a hint in which arguments (`pip_url=`) are named as options (`--pip-url`)."""

    def as_flag(found: re.Match[str]) -> str:
        name = found["name"]
        return f"--{name.replace('_', '-')}" if name in vars(arguments) else found[0]

    return re.sub(r"(?<![\w./?&-])(?P<name>[a-z]+(_[a-z]+)*)=(?=[\s.,;:)]|$)", as_flag, text)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def _say(text: str) -> None:
    sys.stdout.write(redact(text) + "\n")


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")


# Commands. What they need is imported by them: Dagster takes a second, and `state --duckdb` does
# without.


def _discover(arguments: argparse.Namespace) -> int:
    from etl_assets.assets.catalog_cli import discover
    from etl_assets.assets.definitions_file import loaded

    with loaded(arguments.definitions) as project:
        return discover(project, arguments.source, _say, check=arguments.check)


def _check(arguments: argparse.Namespace) -> int:
    from etl_assets.assets.check_cli import check
    from etl_assets.assets.definitions_file import loaded

    with loaded(arguments.definitions) as project:
        return check(project, _say, read=arguments.read)


def _preview(arguments: argparse.Namespace) -> int:
    from etl_assets.assets.definitions_file import loaded
    from etl_assets.assets.preview_cli import preview

    with loaded(arguments.definitions) as project:
        return preview(project, arguments.stream, arguments.rows, _say, as_json=arguments.json)


def _connectors_install(arguments: argparse.Namespace) -> int:
    from etl_assets.assets import connectors_cli
    from etl_assets.assets.definitions_file import loaded

    if arguments.name is not None:
        return connectors_cli.install_named(_connector(arguments), _say)
    with loaded(arguments.file) as project:
        return connectors_cli.install_project(project, _say)


def _connectors_list(arguments: argparse.Namespace) -> int:
    from etl_assets.assets import connectors_cli

    return connectors_cli.list_connectors(arguments.type, arguments.install_root, _write)


def _connectors_ask(arguments: argparse.Namespace) -> int:
    from etl_assets.assets import connectors_cli

    source = _connector(arguments)
    if arguments.verb == "check":
        return connectors_cli.check(source, _say)
    ask = connectors_cli.spec if arguments.verb == "spec" else connectors_cli.discover
    return ask(source, _write)


def _connector(arguments: argparse.Namespace) -> Any:
    from etl_assets.assets import connectors_cli

    options = {name: getattr(arguments, name) for name in (*_CONNECTOR_OPTIONS, "use_properties")}
    return connectors_cli.named(arguments.name, arguments.config, options)


_CONNECTOR_OPTIONS = {
    "version": "version of its package, or tag of its image",
    "pip_url": "what pip installs",
    "local_executable": "a program that is installed already",
    "docker_image": "an image",
    "source_manifest": "path or URL of a low-code manifest",
    "use_python": "version or path of its interpreter",
    "install_root": "the directory of all environments",
    "protocol": "airbyte or singer, if the name does not tell",
}


def _state(arguments: argparse.Namespace) -> int:
    from etl_assets.assets.definitions_file import loaded
    from etl_assets.assets.state_cli import duckdb_store, store_of

    _check_stream(arguments)
    if arguments.duckdb is not None:
        return _verb(duckdb_store(arguments.duckdb), arguments)
    asked = str(getattr(arguments, "stream", getattr(arguments, "source", "")))
    with loaded(arguments.definitions) as project:
        return _verb(store_of(project, arguments.destination, asked), arguments)


def _sample(arguments: argparse.Namespace) -> int:
    from etl_assets.sample import make_shop

    what = "it is there already, and stays as it is"
    if make_shop(arguments.file):
        what = "customers, 2 rows; orders, 3 rows"
    _say(f"{arguments.file}: {what}. Its url: sqlite:///{arguments.file}")
    return 0


def _init(arguments: argparse.Namespace) -> int:
    from etl_assets.assets.new_project import make_project

    return make_project(arguments.folder, _say)


def _check_stream(arguments: argparse.Namespace) -> None:
    """Refuse `shop orders` for `shop/orders`: the first would be taken for the definitions file."""
    stream, file = getattr(arguments, "stream", None), arguments.definitions
    if stream is not None and "/" not in stream and not file.suffix and not file.exists():
        raise ConfigError(
            f"'{file} {stream}' names no stream.", hint=f"Write SOURCE/STREAM: {file}/{stream}."
        )


def _verb(store: Any, arguments: argparse.Namespace) -> int:
    from etl_assets.assets import state_cli

    match arguments.verb:
        case "get":
            return state_cli.get(store, arguments.stream, arguments.partition, _write)
        case "set":
            stream, value = arguments.stream, arguments.bookmark
            return state_cli.set_bookmark(
                store, stream, value, arguments.partition, _say, force=arguments.force
            )
        case "reset":
            return state_cli.reset(store, arguments.stream, arguments.partition, _say)
        case "rewind":
            return state_cli.rewind(
                store, arguments.stream, arguments.load_id, arguments.partition, _say
            )
        case "rename":
            return state_cli.rename(store, arguments.old, arguments.new, _say)
        case "import":
            return _import(store, arguments)
    return state_cli.list_states(store, _say, partitions=arguments.partitions)


def _import(store: Any, arguments: argparse.Namespace) -> int:
    from etl_assets.assets.state_import import Wanted, import_state

    wanted = Wanted(
        source=arguments.source,
        state=arguments.state,
        peer=arguments.peer,
        from_table=arguments.from_table,
        streams=arguments.streams,
        pipeline=arguments.pipeline,
        replace=arguments.replace,
        adopt=arguments.adopt,
        force=arguments.force,
        dry_run=arguments.dry_run,
    )
    return import_state(store, wanted, _say)


# Arguments


class _ImportPlaces(argparse.Action):
    """Takes `[definitions] SOURCE [STATE]`, which argparse alone would take in another order."""

    @override
    def __call__(
        self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        del option_string
        given = list(values)
        is_file = len(given) > 1 and (given[0].endswith(".py") or Path(given[0]).is_dir())
        if is_file or len(given) == len(("definitions", "source", "state")):
            namespace.definitions = Path(given.pop(0))
        if len(given) not in {1, 2}:
            parser.error(f"expected SOURCE [STATE], not {' '.join(given) or 'nothing'}")
        namespace.source, namespace.state = (*given, None)[:2]


class _Parser(argparse.ArgumentParser):
    """Takes options anywhere, as in `state get --duckdb w.duckdb shop/orders`, unlike argparse."""

    intermixed = False
    _again = False

    @override
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if not self.intermixed or self._again:
            return super().parse_known_args(args, namespace)
        self._again = True  # the method below calls this one
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._again = False


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="etl-assets", description="Catalogs, checks and stored state of an etl_assets project."
    )
    parser.add_argument("--version", action="version", version=f"etl-assets {__version__}")
    parser.add_argument(
        "--traceback", action="store_true", help=f"show where an error was raised (also {DEBUG}=1)"
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    discover = _command(
        commands, "discover", "ask the sources for their streams and write catalogs/<source>.json"
    )
    _add_definitions(discover)
    discover.add_argument("--source", metavar="NAME", help="only this source")
    discover.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 if a catalog would change"
    )
    discover.set_defaults(run=_discover)

    _add_check(commands)
    _add_preview(commands)
    state = _command(
        commands, "state", "look at the stored bookmarks of a destination, and change them"
    )
    state.intermixed = False
    verbs = state.add_subparsers(title="verbs", required=True, metavar="VERB")
    _add_verbs(verbs)

    init = _command(commands, "init", "create a new project for dg, with a sample that runs")
    init.add_argument("folder", type=Path, metavar="NAME", help="its folder, such as my-shop")
    init.set_defaults(run=_init)

    sample = _command(
        commands, "sample", "create a small SQLite database of a shop, to try things out"
    )
    sample.add_argument(
        "file", type=Path, metavar="FILE", help="such as shop.db; an existing file is kept"
    )
    sample.set_defaults(run=_sample)

    connectors = _command(commands, "connectors", "install, list and ask third-party connectors")
    connectors.intermixed = False
    _add_connector_verbs(connectors.add_subparsers(title="verbs", required=True, metavar="VERB"))
    return parser


def _add_check(commands: Any) -> None:
    check = _command(
        commands, "check", "check connections, configuration, rights, catalogs and assets"
    )
    _add_definitions(check)
    check.add_argument("--read", action="store_true", help="also read one row of each stream")
    check.set_defaults(run=_check)


def _add_preview(commands: Any) -> None:
    preview = _command(commands, "preview", "read some rows of a stream, and show them")
    preview.add_argument("stream", metavar="SOURCE.STREAM", help="such as api.users")
    _add_definitions(preview)
    preview.add_argument("--rows", type=int, default=10, metavar="N", help="how many (10)")
    preview.add_argument("--json", action="store_true", help="each row as a line of JSON, whole")
    preview.set_defaults(run=_preview)


def _add_connector_verbs(verbs: Any) -> None:
    install = _command(verbs, "install", "install a connector, or all that a definitions file uses")
    install.add_argument(
        "-f", "--file", type=Path, default=Path("definitions.py"), help="the definitions file"
    )
    install.set_defaults(run=_connectors_install)
    listing = _command(verbs, "list", "list the known connectors, and what is installed")
    listing.add_argument("--type", help="python, yaml, java, docker, installable or any")
    listing.add_argument("--install-root", metavar="PATH", help=_CONNECTOR_OPTIONS["install_root"])
    listing.set_defaults(run=_connectors_list)
    asked = [
        _command(verbs, "check", "have a connector check its config"),
        _command(verbs, "spec", "print the JSON Schema of a connector's config"),
        _command(verbs, "discover", "print a connector's catalog"),
    ]
    for parser in (install, *asked):
        parser.add_argument(
            "name",
            nargs="?" if parser is install else None,
            help="such as source-faker or tap-jsonl",
        )
        parser.add_argument(
            "--config", type=Path, metavar="FILE", help="JSON file: the connector's config"
        )
        for name, help_ in _CONNECTOR_OPTIONS.items():
            parser.add_argument(f"--{name.replace('_', '-')}", metavar="VALUE", help=help_)
        parser.add_argument(
            "--use-properties",
            action="store_true",
            help="pass the catalog by --properties, as old taps require",
        )
    for verb, parser in zip(("check", "spec", "discover"), asked, strict=True):
        parser.set_defaults(run=_connectors_ask, verb=verb)


def _add_verbs(verbs: Any) -> None:
    one = _verb_parser(verbs, "list", "list the stored state of every stream")
    one.add_argument("--partitions", action="store_true", help="with a line for each partition")
    _add_stream(_verb_parser(verbs, "get", "print a bookmark as JSON"))
    one = _verb_parser(verbs, "set", "store another bookmark; rows stay as they are")
    _add_stream(one)
    one.add_argument("bookmark", metavar="JSON|@FILE", help="the bookmark, or a file that holds it")
    _add_force(one)
    _add_stream(_verb_parser(verbs, "reset", "forget a stream: its next sync replaces the table"))
    one = _verb_parser(
        verbs, "rewind", "go back to what a stream was after a load; deletes rows that came later"
    )
    _add_stream(one)
    one.add_argument("load_id", metavar="LOAD_ID", help="the last load that stays")
    one = _verb_parser(verbs, "rename", "store the states of a source under another name")
    one.add_argument("old", metavar="OLD", help="the present name")
    one.add_argument("new", metavar="NEW", help="the new name")
    _add_import(verbs)


_IMPORTING = """\
Go on where another tool ended, in its tables: its state says up to where each stream was read.

STATE is a file, whose form is recognised: the state of a Singer tap or of Mage, what `meltano state
get` prints, Meltano's system database, the connection state of Airbyte, the state.json of a dlt
pipeline. For dlt and PyAirbyte, which keep their state beside their tables, it is the schema of
these tables, and may be left out: --from dlt, --from pyairbyte. Without any state, as of Sling and
Fivetran, --from-table begins at the greatest replication key of each table.

A stream that cannot go on without losing or doubling rows is skipped; the line says why.
"""


def _add_import(verbs: Any) -> None:
    one = _command(verbs, "import", "go on where another tool ended, in its tables")
    one.formatter_class = argparse.RawDescriptionHelpFormatter
    one.description = _IMPORTING
    one.usage = "etl-assets state import [-f FILE] SOURCE [STATE] [options]"
    one.add_argument(
        "places",
        nargs="+",
        action=_ImportPlaces,
        metavar="SOURCE [STATE]",
        help="the source of the streams, and the state",
    )
    path = Path("definitions.py")
    one.add_argument(
        "-f",
        "--file",
        dest="definitions",
        type=Path,
        default=path,
        metavar="FILE",
        help=f"the definitions file ({path})",
    )
    _add_store(one)
    _add_import_choices(one)
    one.set_defaults(run=_state, verb="import")


def _add_import_choices(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--from", dest="peer", choices=_PEERS, help="whose state it is, if its form does not tell"
    )
    one.add_argument(
        "--from-table",
        action="store_true",
        help="begin at the greatest replication key of each table; no later row may have a smaller",
    )
    one.add_argument(
        "--stream",
        dest="streams",
        action="append",
        default=[],
        metavar="NAME",
        help="only this stream; may be given several times",
    )
    one.add_argument(
        "--pipeline", metavar="NAME", help="which pipeline's state, if there are several"
    )
    one.add_argument(
        "--adopt", action="store_true", help="take over tables that this library did not make"
    )
    one.add_argument(
        "--replace", action="store_true", help="replace bookmarks that are stored already"
    )
    one.add_argument(
        "--dry-run", action="store_true", help="say what would be done, and do nothing"
    )
    one.add_argument(
        "--force",
        action="store_true",
        help="even if a bookmark has other keys than the stream, or is beyond the table's rows",
    )


_PEERS = ("airbyte", "dlt", "mage", "meltano", "pyairbyte", "singer")


def _command(commands: Any, name: str, help_: str) -> _Parser:
    parser: _Parser = commands.add_parser(
        name, help=help_, description=f"{help_[0].upper()}{help_[1:]}."
    )
    parser.intermixed = True
    # Left out of the namespace where it is not given: it may have been given before the command.
    parser.add_argument(
        "--traceback", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS
    )
    return parser


def _verb_parser(verbs: Any, name: str, help_: str) -> _Parser:
    parser = _command(verbs, name, help_)
    _add_definitions(parser)
    _add_store(parser)
    parser.set_defaults(run=_state, verb=name)
    return parser


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--destination", type=int, metavar="N", help="which one, if the definitions have several"
    )
    parser.add_argument(
        "--duckdb", type=Path, metavar="PATH", help="a DuckDB file instead of definitions"
    )


def _add_definitions(parser: argparse.ArgumentParser) -> None:
    path = Path("definitions.py")
    parser.add_argument(
        "definitions", nargs="?", type=Path, default=path, help=f"the definitions file ({path})"
    )


def _add_stream(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stream", metavar="SOURCE/STREAM", help="such as shop/orders")
    parser.add_argument("--partition", help="the partition, if the stream has several")


def _add_force(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--force", action="store_true", help="even if the bookmark has other keys than before"
    )
