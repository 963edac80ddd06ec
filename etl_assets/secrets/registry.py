"""`get_secret`, and the managers it asks, in their order."""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from etl_assets.arguments import TEXT, checked
from etl_assets.exceptions import ArgumentTypeError, InputError, SecretNotFoundError
from etl_assets.secrets.managers import (
    ColabSecrets,
    DotenvSecrets,
    EnvironmentSecrets,
    PromptedSecrets,
    SecretManager,
    SecretSourceEnum,
    in_colab,
    is_interactive,
)
from etl_assets.secrets.string import PREFIX, SecretString

_managers: list[SecretManager] = [
    EnvironmentSecrets(),
    DotenvSecrets(),
    ColabSecrets(),
    PromptedSecrets(),
]


@checked(secret_name=(str, "the name of a secret, a text"), default=TEXT)
def get_secret(
    secret_name: str,
    /,
    *,
    sources: Sequence[SecretManager | SecretSourceEnum]
    | SecretManager
    | SecretSourceEnum
    | None = None,
    default: str | SecretString | None = None,
    allow_prompt: bool = True,
    source: Any = None,
) -> SecretString:
    """Return a secret from the first manager that has it.

    Args:
        secret_name: Its name. `secret_reference::NAME` means the same as `NAME`.
        sources: The managers to ask, in this order, but the terminal last. By default, every
            manager that is registered and available.
        default: The value to return if no manager has it, instead of asking at the terminal.
        allow_prompt: Ask at the terminal if no manager has it. This never happens in a run.
        source: The old name of `sources`.

    Raises:
        SecretNotFoundError: No manager has it, or it is empty.
        InputError: One of the sources is not registered.
    """
    if source is not None:
        warnings.warn("`source` is deprecated, use `sources`.", DeprecationWarning, stacklevel=2)
        sources = source
    name = secret_name.removeprefix(PREFIX)
    asked = _asked(sources)
    prompts = [manager for manager in asked if manager == SecretSourceEnum.PROMPT]
    for manager in asked:
        if manager not in prompts:
            found = manager.get_secret(name)
            if found is not None and len(found):
                return SecretString(found)
    if default is not None:
        return SecretString(default)
    may_prompt = allow_prompt and is_interactive()
    if prompts and may_prompt:
        found = prompts[0].get_secret(name)
        if found is not None and len(found):
            return SecretString(found)
    places = ", ".join(map(str, asked)) or "nobody was asked"
    raise SecretNotFoundError(
        f"The secret {name!r} was found nowhere: {places}.",
        hint="Set an environment variable of this name where the process runs, or name another "
        "source.",
        input_value=name,
    )


def is_secret_available(
    secret_name: str,
    /,
    *,
    sources: Sequence[SecretManager | SecretSourceEnum]
    | SecretManager
    | SecretSourceEnum
    | None = None,
) -> bool:
    """Return whether `get_secret` would find it without asking at the terminal."""
    try:
        get_secret(secret_name, sources=sources, allow_prompt=False)
    except SecretNotFoundError:
        return False
    return True


def try_get_secret(
    secret_name: str, /, default: str | None = None, **options: Any
) -> SecretString | None:
    """Return a secret, or the default, or None, without asking at the terminal."""
    try:
        return get_secret(secret_name, default=default, allow_prompt=False, **options)
    except SecretNotFoundError:
        return None


def register_secret_manager(
    secret_manager: SecretManager, *, as_backup: bool = False, replace_existing: bool = False
) -> None:
    """Have `get_secret` ask a manager before the others, after them, or instead of them.

    A manager that was registered under the same name is no longer asked.
    """
    others: list[SecretManager] = []
    if not replace_existing:
        others = [known for known in _managers if known != secret_manager]
    if as_backup:
        _managers[:] = [*others, secret_manager]
    else:
        _managers[:] = [secret_manager, *others]


def clear_secret_sources() -> None:
    """Have `get_secret` ask no manager until one is registered."""
    _managers.clear()


def disable_secret_source(source: SecretManager | SecretSourceEnum | str) -> None:
    """Have `get_secret` no longer ask a manager, or a kind of manager, registered or not."""
    _managers[:] = [known for known in _managers if known != source]


def secret_managers() -> list[SecretManager]:
    """Return the managers that `get_secret` asks, in this order."""
    return [known for known in _managers if known != SecretSourceEnum.GOOGLE_COLAB or in_colab()]


def _asked(sources: Any) -> list[SecretManager]:
    available = secret_managers()
    if sources is None:
        return available
    if not isinstance(sources, Iterable | SecretManager):
        kind = type(sources).__name__
        raise ArgumentTypeError(
            f"sources must be managers of secrets or their names, not of the type {kind}.",
            hint=f"There are: {', '.join(map(str, available))}.",
        )
    if isinstance(sources, SecretManager | str):
        sources = [sources]
    asked = []
    for each in sources:
        known = next((manager for manager in available if manager == each), None)
        if isinstance(each, SecretManager):
            asked.append(each)
        elif known is None:
            raise InputError(
                f"There is no source of secrets {getattr(each, 'value', each)!r} here.",
                hint=f"There are: {', '.join(map(str, available))}; others are added with "
                "register_secret_manager().",
                input_value=each,
            )
        else:
            asked.append(known)
    return asked
