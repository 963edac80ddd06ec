"""What a JSON Schema says once `$ref`, `anyOf`, `oneOf` and `allOf` are followed.

A schema of a kilobyte can say a thing in a million ways: two references to what has two references,
and so on. Each part is looked at once, so that the work grows with the schema's text; what grows
all the same has a limit.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from etl_assets.exceptions import ConfigError, shorten
from etl_assets.model.limits import MAX_SCHEMA_DEPTH, MAX_SCHEMA_STEPS

JsonSchema = Mapping[str, Any]


class References:
    """The parts of one schema.

    Args:
        root: The whole of it, into which references point.
    """

    def __init__(self, root: JsonSchema) -> None:
        self._root = root
        self._steps = self._depth = 0
        # By identity; what a key stands for is kept beside the outcome, so that it stays that.
        self._resolved: dict[int, tuple[Any, JsonSchema]] = {}
        self._alternatives: dict[int, tuple[Any, list[JsonSchema] | None]] = {}

    def resolve(self, schema: Any, name: str) -> JsonSchema:
        """Return a part with its own `$ref` followed; {} for one that says nothing.

        Args:
            schema: The part.
            name: The property, for errors.

        Raises:
            ConfigError: A reference points nowhere, goes in a circle, or there are too many.
        """
        known = self._resolved.get(id(schema))
        if known is None:
            known = self._resolved[id(schema)] = (schema, self._followed(schema, name))
        return known[1]

    def alternatives(self, schema: Any, name: str) -> list[JsonSchema]:
        """Return the parts that a value may follow, each once.

        Each part has at most one type; null is left out.

        Raises:
            ConfigError: As `resolve`.
        """
        known = self._alternatives.get(id(schema))
        if known is not None:
            if known[1] is None:
                raise ConfigError(
                    f"property {name!r}: its anyOf refers to itself.", hint="Correct the schema."
                )
            return known[1]
        self._alternatives[id(schema)] = (schema, None)
        with self.deeper(name):
            found = self._found(self.resolve(schema, name), name)
        each_once = list({id(one): one for one in found}.values())
        self._alternatives[id(schema)] = (schema, each_once)
        return each_once

    @contextmanager
    def deeper(self, name: str) -> Iterator[None]:
        """Hold that something is looked at inside of another.

        Raises:
            ConfigError: It is nested too deep.
        """
        self._depth += 1
        try:
            if self._depth > MAX_SCHEMA_DEPTH:
                raise ConfigError(
                    f"property {name!r}: its schema is nested more than {MAX_SCHEMA_DEPTH} deep, "
                    "or refers to itself.",
                    hint="Declare it as `{}`: its values are then kept as JSON.",
                )
            yield
        finally:
            self._depth -= 1

    def count(self, steps: int, name: str) -> None:
        """Count work that was done.

        Raises:
            ConfigError: It was too much for one schema.
        """
        self._steps += steps
        if self._steps > MAX_SCHEMA_STEPS:
            raise ConfigError(
                f"property {name!r}: its schema has references and alternatives that come to more "
                f"than {MAX_SCHEMA_STEPS:,} steps.",
                hint="Declare it as `{}`: its values are then kept as JSON.",
            )

    def _followed(self, schema: Any, name: str) -> JsonSchema:
        for _ in range(MAX_SCHEMA_DEPTH):
            if not isinstance(schema, Mapping):
                return {}  # `true`, or nonsense: any value
            reference = schema.get("$ref")
            if reference is None:
                return schema
            target = self._target(reference, name)
            self.count(1 + len(target) + len(schema), name)
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**target, **beside}
        raise ConfigError(
            f"property {name!r}: its $ref goes in a circle, or through more than "
            f"{MAX_SCHEMA_DEPTH} others.",
            hint="Correct the schema.",
        )

    def _target(self, reference: Any, name: str) -> JsonSchema:
        target: Any = self._root
        for part in str(reference).removeprefix("#").strip("/").split("/"):
            self.count(1, name)
            key = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, Mapping) or key not in target:
                raise ConfigError(
                    f"property {name!r}: $ref {shorten(reference)} points to nothing in its schema."
                )
            target = target[key]
        return target if isinstance(target, Mapping) else {}

    def _found(self, prop: JsonSchema, name: str) -> list[JsonSchema]:
        for word in ("anyOf", "oneOf"):
            if isinstance(prop.get(word), list):
                return self._alternatives_of(prop[word], name) or [{}]
        if isinstance(prop.get("allOf"), list):
            merged: dict[str, Any] = {key: value for key, value in prop.items() if key != "allOf"}
            for each in prop["allOf"]:
                said = self.resolve(each, name)
                self.count(1 + len(said), name)
                merged.update(said)
            return self.alternatives(merged, name)
        types = prop.get("type")
        if isinstance(types, list) and types:
            self.count(len(types) * len(prop), name)
            return [{**prop, "type": one} for one in types if one != "null"]
        return [] if types == "null" else [prop]

    def _alternatives_of(self, parts: list[Any], name: str) -> list[JsonSchema]:
        found: dict[int, JsonSchema] = {}
        for part in parts:
            inner = self.alternatives(part, name)
            self.count(1 + len(inner), name)
            found.update((id(one), one) for one in inner)
        return list(found.values())
