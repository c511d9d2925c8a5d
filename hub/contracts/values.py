"""Field values: between Python, their canonical Avro bytes, and what the contract allows.

The hub carries a value as the Avro encoding of its non-null branch: it is encoded once, by whoever says
it, and joined unchanged into every projection. Equal values have equal bytes, because they pass here.
"""

from __future__ import annotations

import datetime
import re
import struct
import sys
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from hub.contracts.records import FieldSpec
from hub.errors import SkipRecord

Value = str | int | float | bool | datetime.date | list[str]

_EPOCH = datetime.date(1970, 1, 1)
_EPOCH_ORDINAL = _EPOCH.toordinal()
_INT = (-(2**31), 2**31 - 1)
_LONG = (-(2**63), 2**63 - 1)
# A longer value hardly repeats, and must not fill the memory.
_MAX_CACHED_BYTES = 300
# Invisible direction marks travel along when Arabic names are pasted; at the ends they mean nothing.
_EDGES = " \t\r\n\u00a0\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
# Four code points at most become one. A text that stays too long is refused before it is normalised: that
# takes quadratic time where combining marks are out of order, minutes for a message of the largest size.
_NFC_SHRINKS = 4
_SURROGATE = re.compile("[\ud800-\udfff]")


class InvalidValue(SkipRecord):
    """A value that its field's contract does not allow; says what is allowed, repeats no value."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__("invalid_value", f"field {field}: {message}", path=field)


def encode_long(number: int) -> bytes:
    """Avro's zig-zag variable-length integer."""
    if 0 <= number < len(_SMALL):
        return _SMALL[number]
    return _encode_long(number)


# Stamps are what is larger: nine bytes, and the same ones for field after field and agency after agency.
@lru_cache(maxsize=4096)
def _encode_long(number: int) -> bytes:
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number & ~0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


# Lengths, positions and counts are nearly always small.
_SMALL = tuple(map(_encode_long, range(4096)))


def decode_long(data: bytes, position: int) -> tuple[int, int]:
    """(number, next position); raises `SkipRecord` past the end or above 64 bits."""
    shift = result = 0
    while shift < 70:
        if position >= len(data):
            raise SkipRecord("undecodable", f"the message ends inside a number, at byte {position}")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            if result >= 2**64:
                break
            return (result >> 1) ^ -(result & 1), position
        shift += 7
    raise SkipRecord("undecodable", f"a number of more than 64 bits ends at byte {position}")


def encode_string(text: str) -> bytes:
    data = text.encode()
    return encode_long(len(data)) + data


def decode_string(raw: bytes) -> str:
    """The text of one encoded string; raises `SkipRecord` if it is not exactly that."""
    length, start = decode_long(raw, 0)
    if length < 0 or start + length != len(raw):
        raise SkipRecord("undecodable", "a string's length does not match its bytes")
    try:
        return raw[start:].decode()
    except UnicodeDecodeError as error:
        raise SkipRecord("undecodable", f"a string is not UTF-8: {error.reason}") from error


def normalise_text(text: str) -> str:
    """NFC, without white space and direction marks at the ends: what makes two spellings one value."""
    return unicodedata.normalize("NFC", text).strip(_EDGES)


def normalise(spec: FieldSpec, value: Any) -> Any:
    """`value` as the contract wants it, or None where it says nothing (an empty string).

    Raises `InvalidValue`. Lists (`strings`) come back sorted and without doubles.
    """
    if value is None:
        return None
    return _CHECKS[spec.kind](spec, value)


def encode(spec: FieldSpec, value: Any) -> bytes | None:
    """Canonical bytes of a Python value (of one element, for a list field): normalised first."""
    value = normalise(spec, [value] if spec.kind == "strings" else value)
    if spec.kind == "strings":
        value = value[0] if value else None
    return None if value is None else _encode(spec.kind, value)


def canonical(spec_key: SpecKey, raw: bytes) -> bytes | None:
    """Canonical bytes of encoded bytes, validated; None where they say nothing.

    Cached, since most values repeat (communes, codes, names); a failure is not cached, nor is a long value.
    """
    if len(raw) > _MAX_CACHED_BYTES:
        return encode(spec_key.spec, decode(spec_key.spec, raw))
    return _canonical(spec_key, raw)


# 14 MB when full. Of a load of 20,000 people four of five values are found here; four times the room would
# find but one in twenty of the others.
@lru_cache(maxsize=50_000)
def _canonical(spec_key: SpecKey, raw: bytes) -> bytes | None:
    return encode(spec_key.spec, decode(spec_key.spec, raw))


class SpecKey:
    """A field as a cache key: by identity, since a catalogue is loaded once per process."""

    __slots__ = ("spec",)

    def __init__(self, spec: FieldSpec) -> None:
        self.spec = spec


def decode(spec: FieldSpec, raw: bytes) -> Any:
    """The Python value of encoded bytes (of one element, for a list field)."""
    kind = spec.kind
    if kind in ("string", "strings"):
        return decode_string(raw)
    if kind == "boolean":
        if raw not in (b"\x00", b"\x01"):
            raise SkipRecord("undecodable", f"field {spec.name}: not a boolean", spec.name)
        return raw == b"\x01"
    if kind == "double":
        if len(raw) != 8:
            raise SkipRecord("undecodable", f"field {spec.name}: not a number of 8 bytes", spec.name)
        return struct.unpack("<d", raw)[0]
    number, end = decode_long(raw, 0)
    if end != len(raw):
        raise SkipRecord("undecodable", f"field {spec.name}: not a number", spec.name)
    if kind == "date":
        return _date(spec, number)
    return number


def _date(spec: FieldSpec, days: int) -> datetime.date:
    try:
        return datetime.date.fromordinal(days + _EPOCH_ORDINAL)
    except (ValueError, OverflowError):
        raise InvalidValue(spec.name, "a date outside the years 1 to 9999") from None


def _encode(kind: str, value: Any) -> bytes:
    if kind in ("string", "strings"):
        return encode_string(value)
    if kind == "boolean":
        return b"\x01" if value else b"\x00"
    if kind == "double":
        return struct.pack("<d", value)
    if kind == "date":
        return encode_long(value.toordinal() - _EPOCH_ORDINAL)
    return encode_long(value)


def _check_text(spec: FieldSpec, value: Any) -> str | None:
    if not isinstance(value, str):
        raise InvalidValue(spec.name, f"text expected, not {type(value).__name__}")
    text = value.strip(_EDGES)
    if len(text) > _NFC_SHRINKS * spec.max_length:
        raise InvalidValue(spec.name, f"{len(text)} characters; at most {spec.max_length}")
    text = normalise_text(text)
    if not text:
        return None
    if "\x00" in text:
        raise InvalidValue(spec.name, "holds a NUL character, which no database can keep")
    if not text.isascii() and _SURROGATE.search(text):
        raise InvalidValue(spec.name, "holds half a surrogate pair, which is no character")
    if len(text) > spec.max_length:
        raise InvalidValue(spec.name, f"{len(text)} characters; at most {spec.max_length}")
    if spec.codes and text not in spec.codes:
        raise InvalidValue(spec.name, f"not in the code list: {', '.join(spec.codes)}")
    if spec.pattern and not spec.pattern.fullmatch(text):
        hint = spec.pattern_hint.get("en", spec.pattern.pattern)
        raise InvalidValue(spec.name, f"not of the form: {hint}")
    return text


def _check_list(spec: FieldSpec, value: Any) -> list[str]:
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise InvalidValue(spec.name, f"a list expected, not {type(value).__name__}")
    return sorted({text for item in value if (text := _check_text(spec, item)) is not None})


def _check_number(bounds: tuple[int, int]) -> Callable[[FieldSpec, Any], int]:
    def check(spec: FieldSpec, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidValue(spec.name, f"a whole number expected, not {type(value).__name__}")
        if not bounds[0] <= value <= bounds[1]:
            raise InvalidValue(spec.name, f"outside {bounds[0]} to {bounds[1]}")
        return value

    return check


def _check_double(spec: FieldSpec, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidValue(spec.name, f"a number expected, not {type(value).__name__}")
    if not -sys.float_info.max <= value <= sys.float_info.max:
        raise InvalidValue(spec.name, "a finite number expected")
    # Minus zero equals zero, so it must not have other bytes.
    return float(value) + 0.0


def _check_boolean(spec: FieldSpec, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue(spec.name, f"true or false expected, not {type(value).__name__}")
    return value


def _check_date(spec: FieldSpec, value: Any) -> datetime.date:
    if isinstance(value, datetime.datetime) or not isinstance(value, datetime.date):
        raise InvalidValue(spec.name, f"a date expected, not {type(value).__name__}")
    return value


_CHECKS: dict[str, Callable[[FieldSpec, Any], Any]] = {
    "string": _check_text,
    "strings": _check_list,
    "int": _check_number(_INT),
    "long": _check_number(_LONG),
    "double": _check_double,
    "boolean": _check_boolean,
    "date": _check_date,
}
