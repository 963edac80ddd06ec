"""What a connector gets besides its config: working directory, variables and arguments."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etl_assets.exceptions import ConfigError, InputError
from etl_assets.redaction import remember_config
from etl_assets.secrets.references import resolve


@dataclass(frozen=True)
class Surroundings:
    """The arguments of `get_source` that are about the connector's process.

    Args:
        working_directory: Where it runs. None means the working directory of this process when the
            connector starts.
        env: Additional environment variables, whose values may be references.
        arguments: Additional arguments of its command line.

    Raises:
        InputError: A variable has no name, or an argument is no text.
    """

    working_directory: Path | str | None = None
    env: Mapping[str, Any] = field(default_factory=dict)
    arguments: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in self.env:
            if not name or "=" in name or "\0" in name:
                raise InputError(f"env: {name!r} is no name of an environment variable.")
        is_list = not isinstance(self.arguments, str)
        if not is_list or not all(isinstance(one, str) for one in self.arguments):
            raise InputError(
                "arguments is a list of texts.",
                hint='Write one text for each word, as in arguments=["--log-level", "debug"].',
            )

    def variables(self) -> dict[str, str]:
        """Return the environment variables with their references resolved.

        The redactor masks them from then on.

        Raises:
            ConfigError: A value is no text, number or truth value.
        """
        found = resolve(dict(self.env), name="env")
        for name, value in found.items():
            if not isinstance(value, str | int | float):
                raise ConfigError(
                    f"env: the value of {name!r} is a {type(value).__name__}, and must be a text."
                )
        remember_config(found)
        return {name: str(value) for name, value in found.items()}

    def directory(self) -> Path:
        """Return the working directory, as an absolute path.

        Raises:
            ConfigError: It does not exist.
        """
        try:
            here = Path.cwd()
        except OSError:
            raise ConfigError(
                "The working directory of this process is gone, so no connector can be started in "
                "it.",
                hint="Start the process elsewhere, or give working_directory= an absolute path.",
            ) from None
        if self.working_directory is None:
            return here
        found = here / Path(self.working_directory).expanduser()
        if not found.is_dir():
            given = str(self.working_directory)
            raise ConfigError(
                f"The working_directory {given!r} is no directory here ({str(found)!r}).",
                hint=f"Make it: mkdir -p {shlex.quote(str(found))}",
            )
        return found
