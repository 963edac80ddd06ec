"""A class of options that refuses words it does not have, by an error that names the nearest."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import wraps
from typing import Any, TypeVar

from etl_assets.arguments import checked as refusing
from etl_assets.exceptions import ArgumentTypeError, did_you_mean

Options = TypeVar("Options", bound=type)


def known_words(spellings: Mapping[str, str]) -> Callable[[Options], Options]:
    """Have a dataclass whose fields are options say which word it does not know.

    Args:
        spellings: Other words, each with the field that it means.
    """

    def decorated(options: Options) -> Options:
        # The one that the dataclass wrote; any other wrong call of it is told, too.
        made: Callable[..., None] = refusing()(options.__init__)  # type: ignore[misc]
        known = {each.name for each in fields(options)}

        @wraps(made)
        def checked(self: Any, *args: Any, **given: Any) -> None:
            for word in given:
                if word not in known | spellings.keys():
                    raise ArgumentTypeError(
                        f"{options.__name__}: there is no option {word!r}.",
                        hint=did_you_mean(word, known | spellings.keys()),
                        input_value=word,
                    )
            for word, name in spellings.items():
                if word in given and name in given:
                    raise ArgumentTypeError(
                        f"{options.__name__}: {name} and {word} are the same option."
                    )
            made(self, *args, **{spellings.get(word, word): value for word, value in given.items()})

        options.__init__ = checked  # type: ignore[misc] # as above
        return options

    return decorated
