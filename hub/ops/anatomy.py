"""A message taken apart piece by piece, as far as it can be read: what stands at which byte, where it breaks.

Unlike `ChangeReader`, which refuses a message at its first fault, this goes by the writer's own schema and
keeps everything that it has passed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hub.contracts.values import decode_long
from hub.contracts.wire import MAX_MESSAGE_BYTES, Cursor, frame, unframe
from hub.errors import SkipRecord

FRAME_BYTES = len(frame(0, b""))

_FIXED_SIZES = {"boolean": 1, "float": 4, "double": 8}
_NUMBERS = frozenset({"int", "long"})


class Part(NamedTuple):
    """One value: its bytes are `message[start:end]`; `kind` is its Avro type, or `branch` of a union."""

    path: str
    start: int
    end: int
    kind: str
    raw: bytes
    symbol: str = ""


@dataclass(frozen=True)
class Anatomy:
    """What could be read. `broke_at`: the first byte that could not, None if all could; `schema`: name."""

    size: int
    schema_id: int | None
    schema: str
    parts: tuple[Part, ...]
    broke_at: int | None
    broke_path: str
    problem: str


def dissect(message: bytes | None, schema_of: Callable[[int], Any]) -> Anatomy:
    """Take a message apart; raises what `schema_of` does, other than `SkipRecord`."""
    size = len(message or b"")
    if size > MAX_MESSAGE_BYTES:
        return Anatomy(size, None, "", (), 0, "", "too large to be read at all")
    schema_id = None
    try:
        schema_id, body = unframe(message)
        schema = schema_of(schema_id)
    except SkipRecord as error:
        at = 0 if schema_id is None else 1
        return Anatomy(size, schema_id, "", (), at, "", str(error))
    walk = _Walk(body)
    problem = ""
    try:
        walk.value(schema, "")
        walk.end()
    except SkipRecord as error:
        problem = str(error)
    broke_at = FRAME_BYTES + walk.start if problem else None
    return Anatomy(size, schema_id, full_name(schema), tuple(walk.parts), broke_at, walk.path, problem)


class _Walk:
    """Goes through an Avro body by its writer's schema; `start` and `path` are of the value being read."""

    def __init__(self, body: bytes) -> None:
        self.cursor = Cursor(body)
        self.parts: list[Part] = []
        self.start = 0
        self.path = ""
        self._named: dict[str, Any] = {}

    def begin(self, path: str) -> None:
        self.start, self.path = self.cursor.position, path

    def end(self) -> None:
        """The record is over, and so must be the message."""
        self.begin("")
        left = len(self.cursor.data) - self.cursor.position
        if left:
            raise SkipRecord("undecodable", f"{left} bytes follow the record")

    def value(self, schema: Any, path: str) -> None:
        if isinstance(schema, list):
            self._union(schema, path)
            return
        if isinstance(schema, str) and schema in self._named:
            schema = self._named[schema]
        kind = schema["type"] if isinstance(schema, dict) else schema
        if isinstance(schema, dict) and "name" in schema:
            self._named |= {schema["name"]: schema, full_name(schema): schema}
        if isinstance(kind, (dict, list)):
            self.value(kind, path)
        elif kind == "record":
            for field in schema["fields"]:
                self.value(field["type"], f"{path}.{field['name']}" if path else field["name"])
        elif kind in ("array", "map"):
            self._items(schema, kind, path)
        else:
            self._plain(schema, kind, path)

    def _union(self, branches: list[Any], path: str) -> None:
        self.begin(path)
        branch = self.cursor.long()
        if not 0 <= branch < len(branches):
            raise SkipRecord("undecodable", f"no such union branch: {branch}")
        self._add("branch")
        if branches[branch] != "null":
            self.value(branches[branch], path)

    def _items(self, schema: Mapping[str, Any], kind: str, path: str) -> None:
        self.begin(path)
        number = 0
        for count in self.cursor.blocks():
            self._add("count")
            for _ in range(count):
                item = f"{path}[{number}]"
                if kind == "map":
                    self.begin(path)
                    item = f"{path}.{self.cursor.text()}"
                    self._add("string")
                self.value(schema["items" if kind == "array" else "values"], item)
                number += 1
            self.begin(path)
        self._add("count")

    def _plain(self, schema: Any, kind: str, path: str) -> None:
        self.begin(path)
        symbol = ""
        if kind in _NUMBERS:
            self.cursor.long()
        elif kind == "string":
            self.cursor.text()
        elif kind == "bytes":
            self.cursor.skip(self.cursor.long())
        elif kind == "enum":
            symbol = self._symbol(schema["symbols"])
        elif kind == "fixed":
            self.cursor.skip(schema["size"])
        elif kind in _FIXED_SIZES:
            self.cursor.skip(_FIXED_SIZES[kind])
        elif kind != "null":
            raise SkipRecord("undecodable", f"no such type: {kind}")
        self._add(kind, symbol)

    def _symbol(self, symbols: list[str]) -> str:
        position = self.cursor.long()
        if not 0 <= position < len(symbols):
            raise SkipRecord("undecodable", f"no value of the enumeration has the position {position}")
        return symbols[position]

    def _add(self, kind: str, symbol: str = "") -> None:
        raw = self.cursor.data[self.start : self.cursor.position]
        end = FRAME_BYTES + self.cursor.position
        self.parts.append(Part(self.path, FRAME_BYTES + self.start, end, kind, raw, symbol))


def payload(part: Part) -> bytes:
    """The bytes that a part of the kind `bytes` holds."""
    return part.raw[decode_long(part.raw, 0)[1] :]


def plain_text(part: Part) -> str:
    """The value of a part, whatever it is, for a part that is nobody's secret."""
    if part.symbol:
        return part.symbol
    if part.kind in _NUMBERS:
        return str(decode_long(part.raw, 0)[0])
    if part.kind == "boolean":
        return "true" if part.raw == b"\x01" else "false"
    if part.kind == "string":
        start = decode_long(part.raw, 0)[1]
        return part.raw[start:].decode(errors="replace")
    return part.raw.hex(" ")


def full_name(schema: Any) -> str:
    """A schema's name with its namespace."""
    if not isinstance(schema, dict):
        return str(schema)
    space, name = schema.get("namespace", ""), str(schema.get("name", ""))
    return f"{space}.{name}" if space and "." not in name else name


_ROW = 16
# Of a longer message, its beginning and what surrounds the place where it breaks.
_ROWS_AT_BEGINNING, _ROWS_AROUND, _ROWS_AT_ALL = 16, 8, 64


def hexdump(message: bytes, shown: Sequence[int], broke_at: int | None) -> list[str]:
    """Rows of 16 bytes; a byte for which `shown` is 0 is covered. Marks where it broke."""
    count = -(-len(message) // _ROW)
    kept = set(range(count)) if count <= _ROWS_AT_ALL else set(range(_ROWS_AT_BEGINNING))
    if broke_at is not None:
        row = broke_at // _ROW
        kept |= set(range(max(0, row - _ROWS_AROUND), min(count, row + _ROWS_AROUND)))
    lines: list[str] = []
    last = -1
    for row in sorted(kept):
        if row != last + 1:
            lines.append(f"…         {(row - last - 1) * _ROW} bytes are left out")
        lines.append(_hex_row(message, row, shown))
        if broke_at is not None and broke_at // _ROW == row:
            lines.append(" " * (10 + 3 * (broke_at % _ROW)) + f"^^ byte {broke_at}")
        last = row
    if count > last + 1:
        lines.append(f"…         {len(message) - (last + 1) * _ROW} bytes are left out")
    if broke_at is not None and broke_at == count * _ROW:
        lines.append(f"{broke_at:08x}  ^^ byte {broke_at}: here it ends")
    return lines


def _hex_row(message: bytes, row: int, shown: Sequence[int]) -> str:
    places = range(row * _ROW, min(len(message), (row + 1) * _ROW))
    figures = " ".join(f"{message[place]:02x}" if shown[place] else "··" for place in places)
    letters = "".join(_letter(message[place]) if shown[place] else "·" for place in places)
    return f"{row * _ROW:08x}  {figures:<{3 * _ROW}} |{letters}|"


def _letter(byte: int) -> str:
    return chr(byte) if 0x20 <= byte < 0x7F else "."
