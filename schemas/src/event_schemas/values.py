"""The one conversion of values: what a model's input sees of a cell, a JSON value or a tensor.

Training, requests, the feature store and whole tables all ask here, so that a value is the same
wherever it comes from:

| from | as a category | as a number | as a key of 64 bits |
|---|---|---|---|
| text | itself | refused | a whole number in digits |
| boolean | `true`, `false` | 1, 0 | refused |
| integer | its digits, `7` | itself | itself |
| number | `7` for 7.0, else its shortest form, `0.5` | itself | a whole one below 2^53 |
| null, NaN | missing | missing | none |
"""

import re
from decimal import Decimal
from typing import Any

EXACT = 2**53 - 1
"""Up to here a 64-bit float tells whole numbers apart; one from beyond may stand for another."""
_INT64 = range(-(2**63), 2**63)
_DIGITS = re.compile(r"0|-?[1-9][0-9]{0,18}")


class NoSuchValueError(ValueError):
    """A value of a type that an input cannot take."""


def category(value: Any) -> str | None:
    """A value as a category; None for a missing one.

    Raises:
        NoSuchValueError: it is no text, boolean or number.
    """
    if value is None or type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        return str(value)
    if type(value) is Decimal:
        value = int(value) if value.is_finite() and _is_whole(value) else float(value)
        return category(value)
    if type(value) is float:
        if value != value:
            return None
        whole = value.is_integer() and int(value) in _INT64
        return str(int(value)) if whole else repr(value)
    raise NoSuchValueError(f"a {type(value).__name__} is no category")


def number(value: Any) -> float | None:
    """A value as a number, infinite where it is beyond all floats; None for a missing one.

    Raises:
        NoSuchValueError: it is no number and no boolean.
    """
    if value is None:
        return None
    if type(value) not in (float, int, bool, Decimal):
        raise NoSuchValueError(f"a {type(value).__name__} is no number")
    try:
        found = float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return None if found != found else found


def key(value: Any, *, whole: bool) -> str | int | None:
    """A value as a key of a column of texts, or of whole numbers; None when no row can have it.

    No key goes through a float: of two neighbours beyond 2^53 one would find the other's row.
    """
    if not whole:
        if type(value) is float and abs(value) > EXACT:
            return None
        return None if type(value) is bool else _text_key(value)
    if type(value) is str:
        value = int(value) if _DIGITS.fullmatch(value) else None
    elif type(value) is float:
        value = int(value) if value.is_integer() and abs(value) <= EXACT else None
    elif type(value) is Decimal:
        value = int(value) if value.is_finite() and _is_whole(value) else None
    return value if type(value) is int and value in _INT64 else None


def _text_key(value: Any) -> str | None:
    try:
        return category(value)
    except NoSuchValueError:
        return None


def _is_whole(value: Decimal) -> bool:
    return abs(value) <= 2**63 and value == int(value)
