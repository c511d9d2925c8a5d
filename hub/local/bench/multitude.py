"""A store as it is when the hub has known very many people for years: filled by COPY, not by intake.

Every person is known to two agencies, which spell the name differently; half have an enrolment at one centre.
Some wait for somebody: pairs to review, changes that are held, deliveries, fields in dispute. Beside them lie
as many that were decided, letters that could not be used, and a trail of deeds.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from random import Random
from typing import Any

import fastavro
import psycopg

from hub.contracts import topics
from hub.contracts.values import encode
from hub.contracts.wire import frame, write
from hub.core import stamps
from hub.core.assertions import Assertions, Change, RecordKey, pack
from hub.core.crosswalk import Held
from hub.core.projection import UPSERT
from hub.lanes.identify import identity_key
from hub.lanes.messages import hub_name
from hub.local.demo.names import Name, family_names, given_names
from hub.ops.parts import Parts
from hub.store.rows import ENCODE

CENTRE = "CENTRE-1"
_BEGUN_MS = 1_700_000_000_000
_STEP_MS = 20_000
_COMMUNES = ("06.321.03.01", "06.321.03.03", "06.275.01.01")
_CODES = ("invalid_value", "undecodable", "unknown_code", "not_permitted")
_ACTIONS = ("reveal", "find", "release", "same", "different", "redrive")
_PURPOSE = "a call of the centre"

Row = tuple[Any, ...]


class Multitude:
    """`entities` persons, the same for the same seed, among the agencies of `parts` that publish persons."""

    def __init__(self, parts: Parts, entities: int, seed: int) -> None:
        self._parts = parts
        self._entities = entities
        self._rng = Random(seed)  # noqa: S311  (people made up, no secrets)
        publishing = [one.agency for one in parts.agreements.values() if "person" in one.publishes]
        self.first, self.second = publishing[:2]
        self._encoders: dict[tuple[str, str], Callable[[Any], bytes | None]] = {}
        self.records: list[bytes] = []
        self.called: list[tuple[str, datetime.date]] = []

    def local_id(self, number: int) -> str:
        return f"DOSSIER-{number:07}"

    def cin(self, number: int) -> str:
        return f"SH{number:06}"

    def name(self, number: int) -> tuple[str, datetime.date]:
        """As the first agency writes it in Latin letters, and the birth date."""
        return self.called[number]

    def fill(self) -> None:
        """Fill the tables, which must be empty, and have the server learn what is in them. Blocks."""
        raw = self._parts.store.engine.raw_connection()
        try:
            driver: Any = raw.driver_connection
            with driver.cursor() as cursor:
                self._people(cursor)
                self._enrolments(cursor)
                self._waiting(cursor)
                self._letters(cursor)
                self._deeds(cursor)
            driver.commit()
            driver.autocommit = True
            driver.execute("VACUUM (ANALYZE)")
            driver.autocommit = False
        finally:
            raw.close()

    # Who there is

    def _people(self, cursor: psycopg.Cursor[Any]) -> None:
        """Records and entities first, then who shares an identifier: one COPY after the other."""
        ids = self._parts.ids
        self.records = [
            ids.record(self.first, "person", self.local_id(number), 0) for number in range(self._entities)
        ]
        names: list[Row] = []
        _copy(cursor, "record", _RECORD, self._person_records(names))
        _copy(cursor, "record_name", "record, keys", names)
        held = self._held()
        _copy(cursor, "entity", _ENTITY, (self._entity(one, "person", held) for one in self.records))
        _copy(
            cursor,
            "identity",
            "value, records",
            (
                (
                    identity_key("person", "cin", self._encoded("person", "cin", self.cin(number)) or b""),
                    [record, self._elsewhere(number)],
                )
                for number, record in enumerate(self.records)
            ),
        )
        counted = [(agency, "person", 0, self._entities) for agency in (self.first, self.second)]
        _copy(cursor, "holding", "agency, record_type, slot, entities", counted)

    def _elsewhere(self, number: int) -> bytes:
        """The record of the same person at the other agency."""
        return self._parts.ids.record(self.second, "person", self.local_id(number), 0)

    def _person_records(self, names: list[Row]) -> Iterator[Row]:
        """The rows; `names` gets under which keys each is found."""
        keys = cache(self._keys)
        rng, families = self._rng, family_names()
        for number, record in enumerate(self.records):
            sex = rng.choice(("female", "male"))
            family, given = rng.choice(families), rng.choice(given_names(sex))
            born = datetime.date(1950, 1, 1) + datetime.timedelta(rng.randrange(21_000))
            said = {"cin": self.cin(number), "birth_date": born, "sex": sex}
            phone = f"+2126{rng.randrange(10**8):08}"
            here = {**said, **_named(family, given), "commune": rng.choice(_COMMUNES), "phone": phone}
            there = {**said, "family_name_fr": family.misspelt_french(rng), "given_name_fr": given.french}
            stamp = stamps.at(_BEGUN_MS + number * _STEP_MS)
            self.called.append((f"{given.french} {family.french}", born))
            dated = (self._parts.naming.born(born), self._parts.naming.born_in(born.year))
            latin = (there["given_name_fr"], there["family_name_fr"])
            names.append((record, [*keys(*_named(family, given).values()), *dated]))
            names.append((self._elsewhere(number), [*keys(*latin), *dated]))
            yield self._record(record, self.first, "person", number, record, stamp, here)
            yield self._record(
                self._elsewhere(number), self.second, "person", number, record, stamp + 1, there
            )

    def _keys(self, *names: str) -> tuple[int, ...]:
        """As a record with these names has them (`Naming.keys`, by the same functions)."""
        return tuple({key for name in names for key in self._parts.naming.named(name)})

    def _enrolments(self, cursor: psycopg.Cursor[Any]) -> None:
        """Of every other person, at the same centre."""
        ids = self._parts.ids
        those = {
            number: ids.record(self.first, "enrolment", self.local_id(number), 0)
            for number in range(0, self._entities, 2)
        }
        stamp = stamps.at(_BEGUN_MS)
        centre = ids.record(self.first, "centre", CENTRE, 0)
        said = {"pathway": "listening", "status": "active", "centre": CENTRE}
        records = (
            self._record(
                one, self.first, "enrolment", number, one, stamp, {**said, "person": self.local_id(number)}
            )
            for number, one in those.items()
        )
        _copy(cursor, "record", _RECORD, records)
        own = (centre, self.first, "centre", CENTRE, 0, centre, stamp, stamp, 0, None, pack(Assertions()))
        _copy(cursor, "record", _RECORD, [own])
        entities = [self._entity(centre, "centre", b"\x80")]
        entities += [self._entity(one, "enrolment", b"\x80") for one in those.values()]
        _copy(cursor, "entity", _ENTITY, entities)
        references = (
            row
            for number, one in those.items()
            for row in (
                (one, "centre", self.first, "centre", CENTRE),
                (one, "person", self.first, "person", self.local_id(number)),
            )
        )
        _copy(cursor, "reference", "record, field, agency, record_type, local_id", references)

    # What waits, or was decided

    def _waiting(self, cursor: psycopg.Cursor[Any]) -> None:
        some = self.records[::2]
        later = datetime.datetime.fromtimestamp(_BEGUN_MS / 1000, datetime.UTC)
        alike = ("person", "identifier_alone", ["cin"])
        _copy(
            cursor,
            "review",
            "a, b, record_type, reason, fields, state, created_at",
            (
                (*pair, *alike, ("open", "different")[place % 2], _at(place))
                for place, pair in enumerate(itertools.pairwise(some))
            ),
        )
        _copy(
            cursor,
            "hold",
            "record, agency, record_type, event_id, reason, fields, change, state, who, why, decided_at",
            (self._hold(place, one, later) for place, one in enumerate(some)),
        )
        _copy(
            cursor,
            "undelivered",
            "agency, entity, record_type, version, state, code, column_name, since_ms",
            (
                (self.second, one, "person", 1, ("refused", "waiting")[place % 2], "23514", "telephone",
                 _BEGUN_MS + place)
                for place, one in enumerate(some)
            ),
        )  # fmt: skip
        _copy(
            cursor,
            "dispute",
            "record, field, agency, record_type",
            ((one, "phone", self.first, "person") for one in some[::2]),
        )

    def _hold(self, place: int, record: bytes, decided: datetime.datetime) -> Row:
        agency = (self.first, self.second)[place % 2]
        key = RecordKey(agency, "person", self.local_id(place), 0)
        stale = {"phone": self._encoded("person", "phone", "+212611111111")}
        stamp = stamps.at(_BEGUN_MS)
        change = Change(
            key=key, operation="update", stamp=stamp, effective=stamp, event_id=f"e{place}", stale=stale
        )
        word = ("held", None, None, None) if place % 4 < 2 else ("rejected", "Salma", "an old form", decided)
        return (record, agency, "person", f"e{place}", "stale_form", ["phone"], ENCODE(change), *word)

    def _letters(self, cursor: psycopg.Cursor[Any]) -> None:
        record = self._parts.catalogue.records["person"]
        schema = self._parts.events.change(record)
        parsed = fastavro.parse_schema(schema)
        names = {agency: topics.changes(agency, "person") for agency in (self.first, self.second)}
        numbers = {
            agency: self._parts.registry.lookup(topics.subject(topic), schema)
            for agency, topic in names.items()
        }
        empty = dict.fromkeys(spec.name for spec in record.fields)

        def letter(place: int) -> Row:
            agency = (self.first, self.second)[place % 2]
            at_ms = _BEGUN_MS + place * _STEP_MS
            event = {
                "event_id": f"e{place}",
                "local_id": self.local_id(place % self._entities),
                "incarnation": 0,
                "operation": "update",
                "stamp": stamps.at(at_ms),
                "changed": ["phone"],
                "record": {**empty, "phone": "0612345678"},
            }
            code = _CODES[place // 2 % len(_CODES)]
            value = b"\0nonsense" if code == "undecodable" else frame(numbers[agency], write(parsed, event))
            state = ("open", "redriven", "discarded")[place // 8 % 3]
            word = (None, None) if state == "open" else ("Salma", "mended")
            place_in_log = (names[agency], 0, place, at_ms)
            return (*place_in_log, agency, "person", code, "phone", "no number", b"t", value, state, *word)

        _copy(
            cursor,
            "dead_letter",
            "topic, partition, kafka_offset, at_ms, agency, record_type, code, path, message, key, value,"
            " state, who, why",
            map(letter, range(self._entities)),
        )

    def _deeds(self, cursor: psycopg.Cursor[Any]) -> None:
        """Of a steward who does most of it, and another who did little and long ago."""

        def deed(place: int) -> Row:
            who = "Idriss" if place < 20 else "Salma"
            subject = f"person {hub_name(self.records[place % len(self.records)])}"
            action = _ACTIONS[place % len(_ACTIONS)]
            return (
                who,
                f"{who.lower()}@desk",
                action,
                subject,
                self.first,
                "person",
                _PURPOSE,
                "",
                _at(place),
            )

        _copy(
            cursor,
            "audit",
            "who, account, action, subject, agency, record_type, purpose, detail, at",
            map(deed, range(self._entities)),
        )

    # Rows

    def _record(
        self,
        record: bytes,
        agency: str,
        kind: str,
        number: int,
        entity: bytes,
        stamp: int,
        said: dict[str, Any],
    ) -> Row:
        values = {name: (stamp, self._encoded(kind, name, value)) for name, value in said.items()}
        asserts = pack(Assertions(values=values))
        return (record, agency, kind, self.local_id(number), 0, entity, stamp, stamp, 0, None, asserts)

    def _entity(self, entity: bytes, kind: str, held: bytes) -> Row:
        return entity, kind, 1, b"digest", held, b"\x80", None

    def _held(self) -> bytes:
        return ENCODE({agency: Held(b"digest", UPSERT, 1) for agency in (self.first, self.second)})

    def _encoded(self, kind: str, name: str, value: Any) -> bytes | None:
        if (kind, name) not in self._encoders:
            spec = self._parts.catalogue.records[kind].by_name[name]
            self._encoders[kind, name] = cache(lambda said: encode(spec, said))
        return self._encoders[kind, name](value)


_RECORD = "id, agency, record_type, local_id, incarnation, entity, born, seen, ended, linked, asserts"
_ENTITY = "id, record_type, version, golden, held, consents, about"


def _named(family: Name, given: Name) -> dict[str, str]:
    return {
        "family_name_fr": family.french,
        "given_name_fr": given.french,
        "family_name_ar": family.arabic,
        "given_name_ar": given.arabic,
    }


def _at(place: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp((_BEGUN_MS + place * _STEP_MS) / 1000, datetime.UTC)


def _copy(cursor: psycopg.Cursor[Any], table: str, columns: str, rows: Iterator[Row] | Sequence[Row]) -> None:
    # All names are our own.
    with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
