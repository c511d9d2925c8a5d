"""Between local columns and contract fields, both ways. Pure.

A *slot* is a group of columns and the fields that they hold: one of each
mostly, several columns for a value that is split, several fields for columns that join them.
"""

from __future__ import annotations

import datetime
import re
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any

from connectors.sql.local_values import Image, Local, as_text, is_whole, number_in
from connectors.sql.mapping import DEFAULT_TIMEZONE, FieldMap, JoinMap, RecordMap, TableMap
from hub.contracts.records import FieldSpec, RecordType
from hub.contracts.values import InvalidValue, normalise
from hub.errors import SkipRecord

# An ISO instant: a date, then T or a space, a time, perhaps a zone.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_TRUE = frozenset({"true", "t", "1", "yes", "y"})
_FALSE = frozenset({"false", "f", "0", "no", "n"})


class Unmappable(SkipRecord):
    """A value that has no counterpart on the other side; names field and column, repeats no value."""

    def __init__(self, code: str, field: str, column: str, message: str) -> None:
        super().__init__(code, f"field {field}, column {column}: {message}", path=field)
        self.column = column

    def bare(self) -> Unmappable:
        """Itself as a value: its traceback would hold on to the row, in a cycle that only the garbage
        collector ends, and that looks seldom."""
        self.__traceback__ = self.__cause__ = self.__context__ = None
        return self


@dataclass(frozen=True, eq=False)
class Slot:
    """Columns of one table and the fields that they hold."""

    part: int
    fields: tuple[FieldSpec, ...]
    map: FieldMap | JoinMap
    timezone: str

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return (self.map.column,) if isinstance(self.map, JoinMap) else self.map.columns

    @cached_property
    def _local_codes(self) -> dict[str, str]:
        """The local code of each contract one: the first listed; a second spelling is only understood."""
        if isinstance(self.map, JoinMap):
            return {}
        return {code: local for local, code in reversed(tuple(self.map.codes.items()))}

    def read(self, image: Image | None) -> dict[str, Any]:
        """Contract values by field; an `Unmappable` instance stands for a value that has none."""
        locals_ = [image.get(column) if image else None for column in self.columns]
        if isinstance(self.map, JoinMap):
            return self._read_joined(self.map, locals_[0])
        spec = self.fields[0]
        try:
            local = locals_[0] if len(locals_) == 1 else _concatenate(self.map, locals_)
            return {spec.name: _from_local(spec, self.map, local, self.timezone)}
        except Unmappable as error:
            return {spec.name: error.bare()}

    def _read_joined(self, join: JoinMap, local: Local) -> dict[str, Any]:
        text = as_text(local)
        parts = text.split(join.separator, len(self.fields) - 1) if text is not None else []
        values: dict[str, Any] = {}
        for position, spec in enumerate(self.fields):
            part = parts[position] if position < len(parts) else None
            try:
                values[spec.name] = _checked(spec, join.column, part)
            except Unmappable as error:
                values[spec.name] = error.bare()
        return values

    def write(self, values: Mapping[str, Any]) -> dict[str, Local]:
        """Local values by column, from a contract value for each of the slot's fields.

        Raises `Unmappable` for a value that these columns cannot hold.
        """
        if isinstance(self.map, JoinMap):
            return {self.map.column: _join(self.map, [values.get(spec.name) for spec in self.fields])}
        spec, field_map = self.fields[0], self.map
        local = _to_local(spec, field_map, self._local_codes, values.get(spec.name))
        if len(field_map.columns) == 1:
            return {field_map.columns[0]: local}
        return dict(zip(field_map.columns, _split(spec, field_map, local), strict=True))


def _concatenate(field_map: FieldMap, locals_: list[Local]) -> str | None:
    texts = [text for text in map(as_text, locals_) if text]
    return (field_map.separator or "").join(texts) if texts else None


def _split(spec: FieldSpec, field_map: FieldMap, local: Local) -> list[str | None]:
    count = len(field_map.columns)
    if local is None:
        return [None] * count
    text = str(local)
    if field_map.lengths:
        parts = []
        for length in field_map.lengths[: count - 1]:
            parts.append(text[:length])
            text = text[length:]
        return [part or None for part in (*parts, text)]
    parts = text.split(field_map.separator, count - 1) if field_map.separator else [text]
    if len(parts) < count:
        message = f"the value does not part into {count} columns"
        raise Unmappable("bad_value", spec.name, field_map.columns[0], message)
    return [part or None for part in parts]


def _join(join: JoinMap, values: list[Any]) -> str | None:
    texts = ["" if value is None else str(value) for value in values]
    if not any(texts):
        return None
    while not texts[-1]:
        texts.pop()
    return join.separator.join(texts)


def _from_local(spec: FieldSpec, field_map: FieldMap, local: Local, timezone: str) -> Any:
    column = field_map.columns[0]
    if local is None:
        return None
    if isinstance(local, (bytes, dict)):
        raise Unmappable("bad_value", spec.name, column, "not a plain value")
    if spec.kind == "strings":
        return _checked(
            spec, column, [_element(spec, field_map, item) for item in _elements(field_map, local)]
        )
    if isinstance(local, (list, tuple)):
        raise Unmappable("bad_value", spec.name, column, "an array, where the field holds one value")
    text = (as_text(local) or "").strip()
    if not text:
        return None
    if field_map.codes:
        return _typed(spec, column, _element(spec, field_map, text))
    if spec.kind == "date":
        return _date(spec, field_map, text, timezone)
    return _typed(spec, column, _outward(field_map, text))


def _elements(field_map: FieldMap, local: Local) -> list[str]:
    if isinstance(local, (list, tuple)):
        items = [as_text(item) for item in local]
    else:
        items = list((as_text(local) or "").split(field_map.separator or ","))
    return [item.strip() for item in items if item and item.strip()]


def _element(spec: FieldSpec, field_map: FieldMap, text: str) -> str:
    """The contract code of a local one; text without a code list passes."""
    if not field_map.codes:
        return _outward(field_map, text)
    code = field_map.codes.get(text) or _numbered(field_map, text)
    if code is None:
        message = "a code that the mapping does not have; add it under `codes`"
        raise Unmappable("unknown_code", spec.name, field_map.columns[0], message)
    return code


def _numbered(field_map: FieldMap, text: str) -> str | None:
    """The contract code of a number, however it is written: a column of numbers drops the zero of 01."""
    wanted = number_in(text)
    if wanted is None:
        return None
    return next((code for local, code in field_map.codes.items() if number_in(local) == wanted), None)


def _outward(field_map: FieldMap, text: str) -> str:
    if field_map.strip:
        text = text.translate({ord(character): None for character in field_map.strip})
    if field_map.upper:
        text = text.upper()
    return _swap_beginning(field_map.prefix.items(), text)


def _swap_beginning(pairs: Any, text: str) -> str:
    for old, new in pairs:
        if text.startswith(old):
            return str(new) + text[len(old) :]
    return text


def _typed(spec: FieldSpec, column: str, text: str) -> Any:
    """Text as the field's kind."""
    if spec.kind in ("string", "strings"):
        return _checked(spec, column, text)
    if spec.kind == "boolean":
        return _boolean(spec, column, text)
    try:
        number = Decimal(text)
        if spec.kind == "double":
            return _checked(spec, column, float(number))
        if is_whole(number):
            return _checked(spec, column, int(number))
    except (InvalidOperation, ValueError, OverflowError):
        pass
    raise Unmappable("bad_value", spec.name, column, f"not a number of kind {spec.kind}")


def _boolean(spec: FieldSpec, column: str, text: str) -> bool:
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise Unmappable("bad_value", spec.name, column, "neither true nor false; say which under `codes`")
    return word in _TRUE


def _date(spec: FieldSpec, field_map: FieldMap, text: str, timezone: str) -> datetime.date:
    try:
        if field_map.format:
            return datetime.datetime.strptime(text, field_map.format).date()  # noqa: DTZ007
        if not _INSTANT.match(text):
            return datetime.date.fromisoformat(text)
        instant = datetime.datetime.fromisoformat(text)
        # A moment has no date of its own: 23:30 UTC is tomorrow at the agency. A wall clock time has.
        if instant.tzinfo is not None:
            instant = instant.astimezone(zoneinfo.ZoneInfo(timezone))
        return instant.date()
    except (ValueError, OverflowError):
        wanted = field_map.format or "YYYY-MM-DD; give `format`"
        raise Unmappable(
            "bad_value", spec.name, field_map.columns[0], f"no date of the form {wanted}"
        ) from None


def _checked(spec: FieldSpec, column: str, value: Any) -> Any:
    try:
        normal = normalise(spec, value)
    except InvalidValue as error:
        raise Unmappable("bad_value", spec.name, column, "not what the contract allows") from error
    if isinstance(normal, str) and "\ufffd" in normal:
        raise Unmappable("bad_value", spec.name, column, "text in a broken encoding")
    return normal


def _to_local(spec: FieldSpec, field_map: FieldMap, codes: Mapping[str, str], value: Any) -> Local:
    if value is None:
        return None
    if spec.kind == "strings":
        items = [_inward(spec, field_map, codes, item) for item in value]
        if field_map.separator is None:
            return items
        if any(field_map.separator in item for item in items):
            message = "an element holds the separator"
            raise Unmappable("bad_value", spec.name, field_map.columns[0], message)
        return field_map.separator.join(items)
    if spec.kind == "date":
        return _formatted(value, field_map.format) if field_map.format else value.isoformat()
    if spec.kind == "boolean" and not field_map.codes:
        return bool(value)
    return _inward(spec, field_map, codes, as_text(value) or "")


def _formatted(day: datetime.date, form: str) -> str:
    # strftime writes the year 800 as "800", which strptime does not read back.
    return day.strftime(form.replace("%Y", f"{day.year:04d}"))


def _inward(spec: FieldSpec, field_map: FieldMap, codes: Mapping[str, str], text: str) -> str:
    if not codes:
        if not field_map.prefix:
            return text
        return _swap_beginning([(new, old) for old, new in field_map.prefix.items()], text)
    if (local := codes.get(text)) is not None:
        return local
    raise Unmappable("unknown_code", spec.name, field_map.columns[0], "no local code under `codes`")


class Converter:
    """Converts rows of one record type."""

    def __init__(
        self,
        record: RecordType,
        record_map: RecordMap,
        timezone: str = DEFAULT_TIMEZONE,
        former: Sequence[Converter] = (),
    ) -> None:
        """`former`: by which rows may have been captured that are still queued, the latest first."""
        self.record = record
        self.map = record_map
        self.timezone = timezone
        self.former = tuple(former)
        self.slots = tuple(slot for table in record_map.tables for slot in _slots(record, table, timezone))
        self.slot_of = {spec.name: slot for slot in self.slots for spec in slot.fields}
        self._by_part = {
            table.part: tuple(slot for slot in self.slots if slot.part == table.part)
            for table in record_map.tables
        }
        self._columns_in = {
            part: frozenset(column for slot in slots for column in slot.columns)
            for part, slots in self._by_part.items()
        }

    def read(self, part: int, image: Image | None) -> dict[str, Any]:
        """Contract values of the fields that a table's row holds; `Unmappable` instances for failures."""
        values: dict[str, Any] = {}
        for slot in self._by_part[part]:
            values.update(slot.read(image))
        return values

    def slots_in(self, part: int) -> tuple[Slot, ...]:
        return self._by_part.get(part, ())

    def slots_captured(self, part: int, *images: Image | None) -> tuple[Slot, ...]:
        """The slots that can be read from images as they were captured, perhaps by a former mapping.

        What an image has no columns for is left out: it is not known to be empty (R3).
        """
        slots, wanted = self.slots_in(part), self._columns_in.get(part, frozenset())
        if any(image is not None and image.keys() >= wanted for image in images):
            return slots
        there = set().union(*(image or {} for image in images))
        found = [slot for slot in slots if there.issuperset(slot.columns)]
        lacking = {spec.name for slot in slots for spec in slot.fields}
        lacking -= {spec.name for slot in found for spec in slot.fields}
        for former in self.former:
            for slot in former.slots_in(part):
                names = {spec.name for spec in slot.fields}
                if names <= lacking and there.issuperset(slot.columns):
                    found.append(slot)
                    lacking -= names
        return tuple(found)

    def preceded_by(self, maps: Sequence[RecordMap]) -> Converter:
        """Itself, knowing by which mappings queued rows may have been captured."""
        former = [Converter(self.record, one, self.timezone) for one in maps]
        return Converter(self.record, self.map, self.timezone, former) if former else self


def _slots(record: RecordType, table: TableMap, timezone: str) -> list[Slot]:
    slots = [
        Slot(table.part, (record.by_name[item.field],), item, timezone)
        for item in table.fields
        if item.field in record.by_name
    ]
    for join in table.joined:
        specs = tuple(record.by_name[name] for name in join.fields if name in record.by_name)
        slots.append(Slot(table.part, specs, join, timezone))
    return slots
