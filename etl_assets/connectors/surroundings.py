"""What a connector finds around it, beside its config: its working directory, more variables, more arguments."""

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
    """What is said of a connector's process by arguments of `get_source`.

    Args:
        working_directory: Where it runs; None for the working directory of this process when the
            connector starts.
        env: More environment variables; values may be references.
        arguments: More arguments of its command line.

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
        if isinstance(self.arguments, str) or not all(
            isinstance(one, str) for one in self.arguments
        ):
            raise InputError(
                "arguments is a list of texts.",
                hint='Write one text for each word, as in arguments=["--log-level", "debug"].',
            )

    def variables(self) -> dict[str, str]:
        """Return the environment variables with their references resolved.

        From then on they are masked.

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
            ConfigError: It is not there.
        """
        try:
            here = Path.cwd()
        except OSError:
            raise ConfigError(
                "The working directory of this process is gone, so no connector can be started in it.",
                hint="Start the process elsewhere, or give working_directory= an absolute path.",
            ) from None
        if self.working_directory is None:
            return here
        found = here / Path(self.working_directory).expanduser()
        if not found.is_dir():
            raise ConfigError(
                f"The working_directory {str(self.working_directory)!r} is no directory here ({str(found)!r}).",
                hint=f"Make it: mkdir -p {shlex.quote(str(found))}",
            )
        return found
