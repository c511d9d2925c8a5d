"""The agencies' tables as their people see them, in the contracts' terms.

Not by the connectors' mappings: whoever checks their work must not read through their eyes.
"""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Values = dict[str, Any]


@dataclass(frozen=True)
class Box:
    """One field on a form: its column, and how its value is written and read there."""

    column: str
    write: Callable[[Any], Any] = lambda value: value
    read: Callable[[Any], Any] = lambda value: value


@dataclass(frozen=True)
class Form:
    """A record type at an agency. `beside`: boxes of a second table, whose rows name theirs in `joins`."""

    table: str
    boxes: Mapping[str, Box]
    second: str = ""
    joins: str = ""
    beside: Mapping[str, Box] = field(default_factory=dict)

    def read(self, db: sqlite3.Connection, local_id: str) -> Values | None:
        row = _one(db, self.table, "id", self.boxes, local_id)
        if row is not None and self.second:
            row |= _one(db, self.second, self.joins, self.beside, local_id) or dict.fromkeys(self.beside)
        return None if row is None else row

    def all(self, db: sqlite3.Connection) -> dict[str, Values]:
        ids = [str(one) for (one,) in db.execute(f"SELECT id FROM {self.table} ORDER BY id")]
        return {one: row for one in ids if (row := self.read(db, one)) is not None}

    def insert(self, db: sqlite3.Connection, values: Values, local_id: str | None = None) -> str:
        main = _written(self.boxes, values) | ({} if local_id is None else {"id": int(local_id)})
        names, marks = ", ".join(main), ", ".join("?" for _ in main)
        made = db.execute(f"INSERT INTO {self.table} ({names}) VALUES ({marks})", list(main.values()))
        key = str(made.lastrowid)
        self._second(db, key, values)
        return key

    def update(self, db: sqlite3.Connection, local_id: str, values: Values) -> None:
        _update(db, self.table, "id", _written(self.boxes, values), local_id)
        self._second(db, local_id, values)

    def delete(self, db: sqlite3.Connection, local_id: str) -> None:
        db.execute(f"DELETE FROM {self.table} WHERE id = ?", [int(local_id)])

    def _second(self, db: sqlite3.Connection, local_id: str, values: Values) -> None:
        those = _written(self.beside, values)
        if not those:
            return
        present = db.execute(
            f"SELECT 1 FROM {self.second} WHERE {self.joins} = ?", [int(local_id)]
        ).fetchone()
        if present is None:
            db.execute(f"INSERT INTO {self.second} ({self.joins}) VALUES (?)", [int(local_id)])
        _update(db, self.second, self.joins, those, local_id)


def _one(
    db: sqlite3.Connection, table: str, key: str, boxes: Mapping[str, Box], local_id: str
) -> Values | None:
    columns = ", ".join(box.column for box in boxes.values())
    row = db.execute(f"SELECT {columns} FROM {table} WHERE {key} = ?", [int(local_id)]).fetchone()
    if row is None:
        return None
    return {
        name: None if raw in (None, "") else box.read(raw)
        for (name, box), raw in zip(boxes.items(), row, strict=True)
    }


def _written(boxes: Mapping[str, Box], values: Values) -> Values:
    """Columns and what is written there; boxes that share a column are written together."""
    written: Values = {}
    for name, box in boxes.items():
        if name in values:
            value = None if values[name] in (None, []) else box.write(values[name])
            if box.column in written and value is not None:
                value = f"{written[box.column]}, {value}"
            written[box.column] = value
    return written


def _update(db: sqlite3.Connection, table: str, key: str, columns: Values, local_id: str) -> None:
    if columns:
        those = ", ".join(f"{name} = ?" for name in columns)
        db.execute(f"UPDATE {table} SET {those} WHERE {key} = ?", [*columns.values(), int(local_id)])


def _coded(column: str, codes: Mapping[str, str]) -> Box:
    back = {contract: local for local, contract in codes.items()}
    return Box(column, back.__getitem__, lambda raw: codes.get(str(raw), raw))


def _day(column: str, form: str = "%Y-%m-%d") -> Box:
    return Box(
        column,
        lambda day: day.strftime(form),
        lambda raw: datetime.datetime.strptime(raw, form).date(),  # noqa: DTZ007 — a day, not a moment
    )


def _list(column: str, separator: str = ",") -> Box:
    return Box(column, separator.join, lambda raw: sorted(raw.split(separator)))


def _local(column: str) -> Box:
    return Box(column, str, str)


_LEVELS = {"0": "none", "1": "primary", "2": "higher"}
_HANDICAPS = {"0": "none", "1": "motor", "2": "visual"}
_STATES = {"P": "planned", "A": "active", "C": "completed"}
_NAMES = {
    "family_name_fr": Box("noms", read=lambda raw: raw.partition(", ")[0] or None),
    "given_name_fr": Box("noms", read=lambda raw: raw.partition(", ")[2] or None),
}

FORMS: dict[str, dict[str, Form]] = {
    "entraide": {
        "person": Form(
            "personne",
            {
                "cin": Box("cin"),
                "family_name_fr": Box("nom"),
                "given_name_fr": Box("prenom"),
                "birth_date": _day("ne_le"),
                "sex": _coded("sexe", {"F": "female", "M": "male"}),
                "phone": Box("tel"),
                "education_level": _coded("niveau", _LEVELS),
                "disability": _coded("handicap", _HANDICAPS),
                "languages": _list("langues"),
                "received_on": _day("recu"),
            },
        ),
        "enrolment": Form(
            "inscription",
            {
                "number": Box("numero"),
                "person": _local("personne"),
                "status": _coded("statut", _STATES),
                "modules": _list("modules"),
            },
        ),
        "consent": Form(
            "accord",
            {
                "person": _local("personne"),
                "purpose": Box("finalite"),
                "recipients": _list("pour"),
                "status": _coded("statut", {"O": "given", "N": "withdrawn"}),
                "given_on": _day("le"),
            },
        ),
    },
    "ads": {
        "person": Form(
            "beneficiaire",
            {
                "cin": Box("cin"),
                **_NAMES,
                "birth_date": _day("naissance", "%d/%m/%Y"),
                "sex": _coded("genre", {"1": "male", "2": "female"}),
                "disability": _coded("handicap", _HANDICAPS),
                "languages": _list("langues", ";"),
                "received_on": _day("accueil"),
            },
            "contact",
            "qui",
            {
                "phone": Box("gsm", lambda phone: "0" + phone[4:], lambda raw: "+212" + raw[1:]),
                "education_level": _coded("etudes", _LEVELS),
            },
        ),
        "enrolment": Form(
            "parcours",
            {
                "number": Box("reference"),
                "person": _local("qui"),
                "status": _coded("etat", _STATES),
                "modules": _list("modules"),
            },
        ),
        "consent": Form(
            "consentement",
            {
                "person": _local("qui"),
                "purpose": Box("objet"),
                "recipients": _list("qui_sait"),
                "status": _coded("etat", {"donne": "given", "retire": "withdrawn"}),
                "given_on": _day("depuis"),
            },
        ),
    },
    "health": {
        "person": Form(
            "patient",
            {
                "cin": Box("cin"),
                "family_name_fr": Box("nom"),
                "given_name_fr": Box("prenom"),
                "birth_date": _day("ne_le"),
                "sex": _coded("sexe", {"F": "female", "M": "male"}),
                "disability": _coded("handicap", _HANDICAPS),
            },
        ),
    },
}
