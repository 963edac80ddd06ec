"""Which numbers are whole, and which a double holds exactly."""

from collections.abc import Iterable
from decimal import Decimal

from etl_assets.model.limits import MAX_ZEROS
from etl_assets.model.schema.types import MAX_DECIMAL_DIGITS

EXACT_DOUBLE = 2**53
"""Integers up to this size are exact as an IEEE double."""


def all_whole(numbers: Iterable[int | float | Decimal | None]) -> bool:
    """Return whether each number is whole, and a double so small that it is no other whole one."""
    for number in numbers:
        if isinstance(number, float):
            if not (number.is_integer() and abs(number) <= EXACT_DOUBLE):
                return False
        elif isinstance(number, Decimal) and not _is_whole(number):
            return False
    return True


def _is_whole(number: Decimal) -> bool:
    """Return whether a decimal is a whole number within the limits of digits and of zeros."""
    if not number.is_finite() or not -MAX_ZEROS <= number.adjusted() < MAX_DECIMAL_DIGITS:
        return False
    return number == number.to_integral_value()


def all_exact_doubles(numbers: Iterable[int | float | Decimal], *, whole: bool = False) -> bool:
    """Return whether each number is what a double holds.

    Integers must be exact, decimals the double's shortest text.

    Args:
        numbers: The numbers.
        whole: A decimal may also be all the digits of a double, as some sources write theirs.
    """
    for number in numbers:
        if isinstance(number, int):
            if not -EXACT_DOUBLE <= number <= EXACT_DOUBLE:
                return False
        elif isinstance(number, Decimal) and number.is_finite():
            double = float(number)
            if double in {float("inf"), float("-inf")}:
                return False
            if Decimal(repr(double)) != number and not (whole and Decimal(double) == number):
                return False
    return True
