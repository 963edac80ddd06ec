"""IO managers as Dagster resources, which are generated from the options of a destination."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, get_args, get_origin

import dagster as dg
from pydantic import BaseModel, Field, PrivateAttr, SerializerFunctionWrapHandler, model_serializer
from pydantic_core import PydanticUndefined
from typing_extensions import override

from etl_assets.arguments import refuse_positional
from etl_assets.assets.dagster_private import attempts, retry_policy
from etl_assets.assets.errors import Edge
from etl_assets.assets.io_manager import DestinationIOManager
from etl_assets.destinations.base import Destination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.destinations.mysql.destination import MySQLDestination
from etl_assets.destinations.postgres.destination import PostgresDestination
from etl_assets.destinations.sqlalchemy.destination import SqlDestination
from etl_assets.destinations.sqlite.destination import SQLiteDestination
from etl_assets.destinations.warehouses.bigquery import BigQueryDestination
from etl_assets.destinations.warehouses.snowflake import SnowflakeDestination
from etl_assets.exceptions import ConfigError
from etl_assets.secrets.option import masked_value, wrap_secrets


class DerivedIOManager(dg.ConfigurableIOManager):
    """An IO manager whose fields are the options of a destination."""

    def __init__(self, *given: Any, **fields: Any) -> None:
        """Take the options of the destination; a subclass that was made has them as fields.

        Raises:
            ArgumentTypeError: One is given without its name.
        """
        refuse_positional(type(self).__name__, given, type(self).model_fields)
        super().__init__(**fields)

    destination_class: ClassVar[type[Destination]]
    _manager: DestinationIOManager | None = PrivateAttr(default=None)

    @property
    def destination(self) -> Destination:
        """The destination that these fields describe; made when it is first asked for."""
        return self._face().destination

    @property
    def storage_kind(self) -> str:
        """What the UI shows."""
        return self.destination_class.storage_kind

    # Dagster wants the options as plain fields; what shows or dumps them gets masks.

    @override
    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        yield from _masked({name: value for name, value in super().__repr_args__() if name}).items()

    @model_serializer(mode="wrap")
    def _dumped(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _masked(dump(self))

    @override
    def __getstate__(self) -> dict[Any, Any]:
        raise TypeError(
            f"A {type(self).__name__} is not pickled: "
            "Dagster keeps its options in it as they were given."
        )

    @override
    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        with Edge(retry_policy(context), attempts(context)):
            self._face().handle_output(context, obj)

    @override
    def load_input(self, context: dg.InputContext) -> Any:
        with Edge():
            return self._face().load_input(context)

    def _face(self) -> DestinationIOManager:
        if self._manager is None:
            given = {name: getattr(self, name) for name in type(self).model_fields}
            self._manager = DestinationIOManager(self.destination_class(**given))
        return self._manager


def _masked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with each secret masked; an `EnvVar` is its own name."""
    masked: dict[str, Any] = masked_value(wrap_secrets(fields))
    return masked


def io_manager_class(name: str, destination: type[Destination]) -> type[DerivedIOManager]:
    """Make the IO manager class of a destination, with a field for each of its options.

    Args:
        name: Of the class.
        destination: Has `Options`.

    Raises:
        ConfigError: It has none.
    """
    options = destination.Options
    if options is None:
        raise ConfigError(
            f"{destination.__name__} has no Options, so no fields.",
            hint="Give its class an `Options` model, "
            f"or use DestinationIOManager({destination.__name__}(...)).",
        )
    namespace: dict[str, Any] = {
        "__module__": __name__,
        "__qualname__": name,
        "__doc__": f"{destination.__name__} as a Dagster resource.",
        "__annotations__": {"destination_class": ClassVar[type[Destination]]},
        "destination_class": destination,
    }
    for field, info in options.model_fields.items():
        namespace["__annotations__"][field] = _dagster_type(options, field)
        default = (
            ...
            if info.is_required()
            else info.get_default(call_default_factory=True, validated_data={})
        )
        namespace[field] = Field(
            default=... if default is PydanticUndefined else default, description=info.description
        )
    made: type[DerivedIOManager] = type(name, (DerivedIOManager,), namespace)
    return made


def _dagster_type(options: type[BaseModel], field: str) -> Any:
    """Return the type of a field as Dagster's config knows it.

    What it cannot know (`Any` for a path) is text.
    """
    annotation = options.model_fields[field].annotation
    if annotation is Any:
        return str
    if get_origin(annotation) is dict:
        return dict[str, Any]
    arguments = [one for one in get_args(annotation) if one is not type(None)]
    if len(arguments) == 1 and arguments[0] is Any:
        return str | None
    return annotation


BigQueryIOManager = io_manager_class("BigQueryIOManager", BigQueryDestination)
DuckDBIOManager = io_manager_class("DuckDBIOManager", DuckDBDestination)
MySQLIOManager = io_manager_class("MySQLIOManager", MySQLDestination)
PostgresIOManager = io_manager_class("PostgresIOManager", PostgresDestination)
SQLiteIOManager = io_manager_class("SQLiteIOManager", SQLiteDestination)
SnowflakeIOManager = io_manager_class("SnowflakeIOManager", SnowflakeDestination)
SqlIOManager = io_manager_class("SqlIOManager", SqlDestination)
