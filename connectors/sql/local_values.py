"""Local values: what rows of both dialects give, in forms that can be compared. Pure.

A local value is None, text, int, float, Decimal, bool, a list, or an ISO text for dates and times.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

Local = Any
Image = Mapping[str, Local]

_MAX_DIGITS = 40


def as_text(value: Local) -> str | None:
    """A local scalar as the database would show it; numbers without a useless fraction."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, Decimal):
        return _plain_number(value)
    return str(value)


def _plain_number(number: Decimal) -> str:
    """Without exponent, and without the zeros that a column's scale adds: 1.50 and 1.5 are one code."""
    if not number.is_finite() or abs(number.adjusted()) >= _MAX_DIGITS:
        return str(number)
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def is_whole(number: Decimal) -> bool:
    """Whether it is a whole number of a sane size: 1E999999999 written out would fill the memory."""
    return number.is_finite() and number.adjusted() < _MAX_DIGITS and number == number.to_integral_value()


def fingerprint(value: Local) -> str | list[str | None] | None:
    """A local value in a form in which equal values are equal; trailing blanks are `char(n)` padding."""
    if isinstance(value, str):
        return value.rstrip(" ")
    if isinstance(value, (list, tuple)):
        return [as_text(item) for item in value]
    return as_text(value)


def number_in(text: str) -> Decimal | None:
    """The finite number that a text writes, if it does."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
