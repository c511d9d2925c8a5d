"""What a mapping looked like when this side last worked by it: kept in the agency's database.

A mapping is changed by people, between two starts. What a field's columns hold was then never said, or was
said by another list of codes, so the source reads all rows again for that field (`snapshot`), and the sink
writes again what was delivered of it (`replay`). What is still queued was captured by the earlier mapping.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.sql.database import Database
from connectors.sql.mapping import FieldMap, JoinMap, RecordMap, TableMap
from connectors.sql.tables import MAPPED

# Earlier forms that are kept: changes of the queue that were captured by an older one say nothing.
FORMER = 3

_PLACES = ("at", "key_at", "codes_at")
# Whose order says which comes first: kept as pairs, since a database may order the names of an object anew.
_ORDERED = ("codes", "prefix", "fixed")
_LOAD = "SELECT record, mapping, former, progress FROM {mapped} WHERE side = :side"


@dataclass
class Known:
    """One record type's mapping as one side last knew it: its form, earlier forms (the latest first), and how
    far the sink is with writing again."""

    form: dict[str, Any]
    former: list[dict[str, Any]] = field(default_factory=list)
    progress: dict[str, Any] = field(default_factory=dict)


def form_of(record: RecordMap, timezone: str, published: Collection[str] = ()) -> dict[str, Any]:
    """A mapping of one record type as plain JSON, without its places in the file."""
    tables = [_bare(dataclasses.asdict(table)) for table in record.tables]
    said = sorted(set(published).intersection(record.field_names))
    form = {"record": record.record_type, "tables": tables, "timezone": timezone, "published": said}
    return dict(json.loads(json.dumps(form)))


def _bare(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: list(inner.items()) if name in _ORDERED else _bare(inner)
            for name, inner in value.items()
            if name not in _PLACES
        }
    return [_bare(item) for item in value] if isinstance(value, (list, tuple)) else value


def record_of(form: Mapping[str, Any]) -> RecordMap:
    """The mapping that a form was made of."""
    return RecordMap(form["record"], tuple(_table(one) for one in form["tables"]))


def _table(form: Mapping[str, Any]) -> TableMap:
    fields = tuple(
        FieldMap(
            **{
                **one,
                "columns": tuple(one["columns"]),
                "lengths": tuple(one["lengths"]),
                "codes": dict(one["codes"]),
                "prefix": dict(one["prefix"]),
            }
        )
        for one in form["fields"]
    )
    joined = tuple(JoinMap(**{**one, "fields": tuple(one["fields"])}) for one in form["joined"])
    return TableMap(**{**form, "fields": fields, "joined": joined, "fixed": dict(form["fixed"])})


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> frozenset[str]:
    """Fields that `after` has and `before` has not, or has in other columns or by other rules, or that may be
    said by now."""
    old, new = _by_field(before), _by_field(after)
    return frozenset(name for name, way in new.items() if old.get(name) != way)


def _by_field(form: Mapping[str, Any]) -> dict[str, Any]:
    """All on which the value of a field depends."""
    ways: dict[str, Any] = {}
    for table in form["tables"]:
        for one in table["fields"]:
            ways[one["field"]] = (table["table"], one)
        for join in table["joined"]:
            ways |= dict.fromkeys(join["fields"], (table["table"], join))
    return {name: (form["timezone"], name in form["published"], way) for name, way in ways.items()}


def load(db: Database, side: str) -> dict[str, Known]:
    """Record type → how it was mapped when this side last began."""
    return {
        record: Known(dict(form), list(former or []), dict(progress or {}))
        for record, form, former, progress in db.query(_LOAD, {"side": side})
    }


def save(db: Database, side: str, known: Mapping[str, Known]) -> None:
    rows = [
        {"side": side, "record": record, "mapping": one.form, "former": one.former, "progress": one.progress}
        for record, one in known.items()
    ]
    db.upsert(MAPPED, rows)


def succeed(known: Known, form: dict[str, Any]) -> Known:
    """What is known once `form` is in force."""
    return Known(form, [known.form, *known.former][:FORMER])


def former_maps(known: Known | None) -> Sequence[RecordMap]:
    return [record_of(form) for form in known.former] if known else []
