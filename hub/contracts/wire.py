"""The wire format: Confluent's frame around Avro, and the field-wise reading of changes.

A frame is a zero byte, the schema's id (4 bytes, big-endian) and the Avro body. A change is read field
by field without building Python values: an Avro record is the concatenation of its fields, so a value's
bytes can be cut out, and later joined into every projection.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import fastavro

from hub.contracts.events import EventSchemas
from hub.contracts.records import FieldSpec, RecordType
from hub.contracts.values import decode_long, encode, encode_long, encode_string
from hub.core import stamps
from hub.errors import SkipRecord

# Above this a message is refused before it is read: a person's record has some hundred bytes (R6).
MAX_MESSAGE_BYTES = 1_000_000
# Elements of one list: a message of a million empty ones would cost seconds, and they mean nothing.
MAX_ITEMS = 1_000
# Masks are few and repeat; whoever invents long ones must not fill the memory.
_MAX_CACHED_BYTES = 2_000

_FRAME = struct.Struct(">bI")


def frame(schema_id: int, body: bytes) -> bytes:
    """`body` in Confluent's frame."""
    return _FRAME.pack(0, schema_id) + body


def unframe(message: bytes | None) -> tuple[int, bytes]:
    """(schema id, body); raises `SkipRecord` for what is no frame or too large."""
    if message is None:
        raise SkipRecord("no_value", "the message has no value; say a deletion by operation delete")
    if len(message) > MAX_MESSAGE_BYTES:
        raise SkipRecord("too_large", f"{len(message)} bytes; at most {MAX_MESSAGE_BYTES}")
    if len(message) < _FRAME.size or message[0] != 0:
        raise SkipRecord("undecodable", "not in Confluent's frame (a zero byte, then 4 bytes of schema id)")
    return _FRAME.unpack_from(message)[1], message[_FRAME.size :]


def read(schema: Any, body: bytes, reader: Any = None) -> Any:
    """Decode one Avro body with a parsed, safe schema; raises `SkipRecord` instead of fastavro's errors."""
    stream = io.BytesIO(body)
    try:
        value = fastavro.schemaless_reader(stream, schema, reader)
    except Exception as error:
        raise SkipRecord("undecodable", f"not readable by its schema: {error}") from error
    if stream.tell() != len(body):
        raise SkipRecord("undecodable", f"{len(body) - stream.tell()} bytes follow the record")
    return value


def write(schema: Any, value: Mapping[str, Any]) -> bytes:
    """Encode one value; a value that does not fit its schema is a bug of the caller."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, value)
    return stream.getvalue()


@dataclass(slots=True)
class RawChange:
    """A change as its writer sent it: values as encoded bytes, not yet validated.

    `values`: field → bytes or None, for the fields of the mask; for a field merged by union, `added` and
    `removed` hold encoded elements. `stale`: as `values`, for the fields said to be stale (R13).
    """

    event_id: str
    local_id: str
    incarnation: int
    operation: str
    stamp: int
    asserted: int | None
    entity: str | None
    actor: str | None = None
    epoch: int = 0
    values: dict[str, bytes | None] = field(default_factory=dict)
    added: dict[str, list[bytes]] = field(default_factory=dict)
    removed: dict[str, list[bytes]] = field(default_factory=dict)
    stale: dict[str, bytes | None] = field(default_factory=dict)

    @property
    def held_since(self) -> int:
        """The stamp at which the values hold. Of a snapshot that does not say, nobody knows: taken for what
        was typed when it was sent, it would win over everything (R11)."""
        if self.asserted is not None:
            return self.asserted
        return stamps.LOWEST if self.operation == "snapshot" else self.stamp


OPERATIONS = ("insert", "update", "delete", "snapshot", "link", "unlink")


class Cursor:
    """A position in an Avro body; every step checks that it stays inside."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def long(self) -> int:
        # The one-byte case first: lengths, union branches and enum positions are nearly always small.
        position = self.position
        if position < len(self.data) and (byte := self.data[position]) < 0x80:
            self.position = position + 1
            return (byte >> 1) ^ -(byte & 1)
        value, self.position = decode_long(self.data, position)
        return value

    def skip(self, length: int) -> None:
        self.position += length
        if length < 0 or self.position > len(self.data):
            raise SkipRecord("undecodable", f"the message ends inside a value, at {self.position}")

    def cut(self, skip: Callable[[Cursor], None]) -> bytes:
        """The bytes that `skip` passes over."""
        start = self.position
        skip(self)
        return self.data[start : self.position]

    def text(self) -> str:
        length = self.long()
        start = self.position
        self.skip(length)
        try:
            return self.data[start : self.position].decode()
        except UnicodeDecodeError as error:
            raise SkipRecord("undecodable", f"a string is not UTF-8: {error.reason}") from error

    def optional(self) -> bool:
        """Whether the non-null branch of `["null", T]` follows."""
        branch = self.long()
        if branch not in (0, 1):
            raise SkipRecord("undecodable", f"no such union branch: {branch}")
        return branch == 1

    def blocks(self, most: int = MAX_ITEMS) -> Iterable[int]:
        """The item counts of an array's or map's blocks; raises `SkipRecord` above `most` items in all."""
        while count := self.long():
            if count < 0:
                self.long()
                count = -count
            most -= count
            if most < 0:
                raise SkipRecord("too_large", "a list or map of more items than are ever needed")
            yield count


def _skip_string(cursor: Cursor) -> None:
    cursor.skip(cursor.long())


def _skip_strings(cursor: Cursor) -> None:
    for count in cursor.blocks():
        for _ in range(count):
            cursor.skip(cursor.long())


_SKIPS: Mapping[str, Callable[[Cursor], None]] = {
    "string": _skip_string,
    "strings": _skip_strings,
    "int": lambda cursor: void(cursor.long()),
    "long": lambda cursor: void(cursor.long()),
    "date": lambda cursor: void(cursor.long()),
    "boolean": lambda cursor: cursor.skip(1),
    "double": lambda cursor: cursor.skip(8),
}


def void(_: object) -> None:
    """Drop a value that was read only to pass over it."""


def _read_names(raw: bytes) -> tuple[str, ...]:
    cursor = Cursor(raw)
    return tuple([cursor.text() for count in cursor.blocks() for _ in range(count)])


_cached_names = lru_cache(maxsize=10_000)(_read_names)


def _names(raw: bytes) -> tuple[str, ...]:
    return _cached_names(raw) if len(raw) <= _MAX_CACHED_BYTES else _read_names(raw)


def elements(raw: bytes) -> list[bytes]:
    """The encoded elements of an encoded array of strings."""
    cursor = Cursor(raw)
    return [cursor.cut(_skip_string) for count in cursor.blocks() for _ in range(count)]


class ChangeReader:
    """Reads the changes of one record type, by whatever version of the schema their writer had."""

    def __init__(self, record: RecordType, events: EventSchemas) -> None:
        self.record = record
        self._reader = fastavro.parse_schema(events.change(record))
        self._fast = _shape(self._reader)
        self._writers: dict[int, Any] = {}

    def read(self, schema_id: int, body: bytes, schema_of: Callable[[int], Any]) -> RawChange:
        """One change; raises `SkipRecord` for what cannot be read, passes on `Retriable` of `schema_of`."""
        writer = self._writers.get(schema_id)
        if writer is None:
            writer = self._writer(schema_of(schema_id))
            self._writers[schema_id] = writer
        if writer != "same":
            # An older or newer writer: resolve by fastavro, then read our own version's bytes.
            body = write(self._reader, read(writer, body, self._reader))
        return self._slice(body)

    def _writer(self, schema: Any) -> Any:
        parsed = fastavro.parse_schema(schema)
        name = parsed.get("name") if isinstance(parsed, dict) else None
        if name != self._reader["name"]:
            raise SkipRecord(
                "wrong_schema", f"written as {name!r}; this topic takes {self._reader['name']!r}"
            )
        return "same" if _shape(parsed) == self._fast else parsed

    def _slice(self, body: bytes) -> RawChange:
        cursor = Cursor(body)
        event_id, local_id = cursor.text(), cursor.text()
        incarnation, operation, stamp = cursor.long(), cursor.long(), cursor.long()
        asserted = cursor.long() if cursor.optional() else None
        changed, stale = _names(cursor.cut(_skip_strings)), _names(cursor.cut(_skip_strings))
        removed = self._removed(cursor)
        images = self._images(cursor) if cursor.optional() else {}
        entity = cursor.text() if cursor.optional() else None
        actor = cursor.text() if cursor.optional() else None
        epoch = cursor.long()
        if cursor.position != len(body):
            raise SkipRecord("undecodable", f"{len(body) - cursor.position} bytes follow the record")
        if not 0 <= operation < len(OPERATIONS):
            raise SkipRecord("undecodable", f"no operation has the position {operation}")
        name = OPERATIONS[operation]
        change = RawChange(event_id, local_id, incarnation, name, stamp, asserted, entity, actor, epoch)
        self._mask(change, changed, stale, images, removed)
        return change

    def _removed(self, cursor: Cursor) -> dict[str, list[bytes]]:
        return {
            cursor.text(): elements(cursor.cut(_skip_strings))
            for count in cursor.blocks(len(self.record.fields))
            for _ in range(count)
        }

    def _images(self, cursor: Cursor) -> dict[str, bytes]:
        images = {}
        for spec in self.record.fields:
            if cursor.optional():
                images[spec.name] = cursor.cut(_SKIPS[spec.kind])
        return images

    def _mask(
        self,
        change: RawChange,
        changed: tuple[str, ...],
        stale: tuple[str, ...],
        images: Mapping[str, bytes],
        removed: Mapping[str, list[bytes]],
    ) -> None:
        for name in (*changed, *stale):
            if name not in self.record.by_name:
                raise SkipRecord(
                    "unknown_field",
                    f"the mask names {name!r}, no field of {self.record.name}",
                    name,
                )
        for name in changed:
            if self.record.by_name[name].kind == "strings":
                change.added[name] = elements(images[name]) if name in images else []
                change.removed[name] = removed.get(name, [])
            else:
                change.values[name] = images.get(name)
        change.stale = {name: images.get(name) for name in stale}


def _shape(schema: Any) -> Any:
    """What decides the bytes of a schema: names, types and order, without docs and defaults."""
    if isinstance(schema, list):
        return [_shape(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    shape = {key: schema[key] for key in ("type", "name", "symbols", "logicalType") if key in schema}
    for key in ("type", "items", "values"):
        if isinstance(schema.get(key), (dict, list)):
            shape[key] = _shape(schema[key])
        elif key in schema:
            shape[key] = schema[key]
    if "fields" in schema:
        shape["fields"] = [(f["name"], _shape(f["type"])) for f in schema["fields"]]
    return shape


@lru_cache(maxsize=10_000)
def encoded_names(names: tuple[str, ...]) -> bytes:
    """An encoded array of strings: masks are few and repeat."""
    if not names:
        return b"\x00"
    return encode_long(len(names)) + b"".join(map(encode_string, names)) + b"\x00"


def encoded_strings(items: Iterable[bytes]) -> bytes:
    """An encoded array of strings, from encoded elements."""
    parts = list(items)
    return encode_long(len(parts)) + b"".join(parts) + b"\x00" if parts else b"\x00"


def encoded_record(record: RecordType, values: Mapping[str, bytes]) -> bytes:
    """A record image joined from encoded values; a field that is not in `values` is null."""
    get = values.get
    return b"".join(b"\x00" if (raw := get(spec.name)) is None else b"\x02" + raw for spec in record.fields)


def encoded_optional_text(text: str | None) -> bytes:
    """`["null", "string"]`."""
    return b"\x00" if text is None else b"\x02" + encode_string(text)


def encode_value(spec: FieldSpec, value: Any) -> bytes | None:
    """A whole field's bytes from a Python value, as they stand in a record image; None for null."""
    if spec.kind != "strings":
        return encode(spec, value)
    if value is None:
        return None
    return encoded_strings(raw for item in sorted(value) if (raw := encode(spec, item)) is not None)
