"""A secret as text: drivers and URLs get its value, people see a mask."""

import json
from typing import TYPE_CHECKING, Any, Self

from typing_extensions import override

from etl_assets.exceptions import InputError
from etl_assets.redaction import MASK, remember

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

PREFIX = "secret_reference::"
"""In a config, a text that begins with this stands for the secret whose name follows."""

_SHOWN = f"<SecretString: {MASK}>"


class SecretString(str):
    """A `str` that shows itself masked, and that the redactor knows from the moment it is made.

    `str(secret)`, an f-string, a driver and `json.dumps` get the value itself, because scripts rely
    on that. `repr`, a pickle and a pydantic dump get the mask. A copy within the process is the
    secret itself.
    """

    __slots__ = ()

    def __new__(cls, value: str = "") -> Self:  # noqa: D102 - said by the class
        remember(str(value))
        return super().__new__(cls, value)

    @override
    def __repr__(self) -> str:
        return _SHOWN

    def __bool__(self) -> bool:
        # As in PyAirbyte: only `is_empty` tells whether it is empty.
        return True

    @override
    def __reduce_ex__(self, protocol: Any) -> tuple[type, tuple[str]]:
        return type(self), (MASK,)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def is_empty(self) -> bool:
        """Return whether it has no characters."""
        return len(self) == 0

    def is_json(self) -> bool:
        """Return whether it is a JSON document."""
        try:
            json.loads(self)
        except json.JSONDecodeError:
            return False
        return True

    def parse_json(self) -> Any:
        """Return the JSON document that it contains.

        Raises:
            InputError: It is no JSON document. The error does not show it.
        """
        try:
            return json.loads(self)
        except json.JSONDecodeError as error:
            raise InputError(
                f"The secret is no JSON: {error.msg} at character {error.pos}."
            ) from None

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: "GetCoreSchemaHandler"
    ) -> "CoreSchema":
        """Have pydantic accept any text, and dump the mask."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(
            cls,
            core_schema.str_schema(),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda _: MASK, when_used="always"
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: "CoreSchema", handler: "GetJsonSchemaHandler"
    ) -> dict[str, Any]:
        """Return a JSON Schema that says that it is written, but not shown."""
        del schema, handler
        return {"type": "string", "format": "password", "writeOnly": True}
