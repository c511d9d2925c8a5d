"""One transaction of the hub's store: everything that a batch loads, locks and saves."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import Connection, text

from hub.core.assertions import RecordKey, Replaced
from hub.core.contents import Reference
from hub.core.crosswalk import Entity, World
from hub.core.matching import Review
from hub.core.step import Hold
from hub.store.disclosures import Disclosed, count_disclosures
from hub.store.loading import Loading
from hub.store.rows import ENCODE, columns_of, holders, row_of_entity, row_of_record
from hub.store.staging import Staging

_STAGED_RECORDS = Staging(
    "record",
    {
        "id": "bytea",
        "agency": "text",
        "record_type": "text",
        "local_id": "text",
        "incarnation": "int4",
        "entity": "bytea",
        "born": "int8",
        "seen": "int8",
        "ended": "int8",
        "linked": "bytea",
        "asserts": "bytea",
    },
    updated=("entity", "born", "seen", "ended", "linked", "asserts"),
)

_STAGED_ENTITIES = Staging(
    "entity",
    {
        "id": "bytea",
        "record_type": "text",
        "version": "int8",
        "golden": "bytea",
        "held": "bytea",
        "consents": "bytea",
        "about": "bytea",
    },
    updated=("version", "golden", "held", "consents", "about"),
)

_COUNT_HOLDINGS = text("""
    INSERT INTO holding (agency, record_type, slot, entities)
    SELECT agency, record_type, pg_backend_pid() % 64, entities
    FROM unnest(CAST(:agencies AS text[]), CAST(:types AS text[]), CAST(:entities AS bigint[]))
         AS v(agency, record_type, entities)
    ORDER BY agency, record_type
    ON CONFLICT (agency, record_type, slot) DO UPDATE SET entities = holding.entities + excluded.entities
""")

# In the order of the records, as all who write here take them.
_SAVE_NAMES = text("""
    INSERT INTO record_name AS n (record, keys)
    SELECT v.record, CAST(v.keys AS bigint[])
    FROM unnest(CAST(:records AS bytea[]), CAST(:keys AS text[])) AS v(record, keys)
    ORDER BY v.record
    ON CONFLICT (record) DO UPDATE SET keys = excluded.keys WHERE n.keys <> excluded.keys
""")

_FORGET_NAMES = text("DELETE FROM record_name WHERE record = ANY(CAST(:records AS bytea[]))")

_SAVE_REFERENCES = text("""
    INSERT INTO reference (record, field, agency, record_type, local_id)
    SELECT * FROM unnest(CAST(:record AS bytea[]), CAST(:field AS text[]), CAST(:agency AS text[]),
                         CAST(:record_type AS text[]), CAST(:local_id AS text[]))
    ON CONFLICT (record, field) DO UPDATE SET local_id = excluded.local_id
""")

# Never waits for anybody: no entity here is locked by the one who says so. A row that another transaction
# is just taking is rightly passed over: who takes it has yet to lock what this transaction has changed, or
# had done with it before this transaction could change it.
_SAVE_DUE = text("""
    INSERT INTO due (entity, day)
    SELECT v.entity, v.day FROM unnest(CAST(:entity AS bytea[]), CAST(:day AS int[])) AS v(entity, day)
    WHERE NOT EXISTS (SELECT FROM due d WHERE d.day = v.day AND d.entity = v.entity)
""")

_SAVE_HOLD = text("""
    INSERT INTO hold (record, agency, record_type, event_id, reason, fields, change)
    VALUES (:record, :agency, :record_type, :event_id, :reason, :fields, :change)
    ON CONFLICT (record, event_id, reason) DO NOTHING
""")

_SAVE_REVIEW = text("""
    INSERT INTO review (a, b, record_type, reason, fields)
    VALUES (:a, :b, :record_type, :reason, :fields)
    ON CONFLICT (a, b) DO UPDATE SET reason = excluded.reason, fields = excluded.fields
""")

_SAVE_DISPUTE = text("""
    INSERT INTO dispute (record, field, agency, record_type)
    VALUES (:record, :field, :agency, :record_type)
    ON CONFLICT (record, field) DO NOTHING
""")

# A row for all that one batch replaced of one record: rows cost more than what is in them.
_SAVE_REPLACED = text("""
    INSERT INTO history (record, mark, said)
    SELECT * FROM unnest(CAST(:records AS bytea[]), CAST(:marks AS bytea[]), CAST(:said AS bytea[]))
    ON CONFLICT (record, mark) DO NOTHING
""")

_SAVE_DEAD_LETTER = text("""
    INSERT INTO dead_letter (topic, partition, kafka_offset, agency, record_type, code, path,
                             message, at_ms, key, value)
    VALUES (:topic, :partition, :kafka_offset, :agency, :record_type, :code, :path,
            :message, :at_ms, :key, :value)
    ON CONFLICT (topic, partition, kafka_offset, at_ms) DO NOTHING
""")

_SAVE_PUBLICATION = text("INSERT INTO publication (worker, payload) VALUES (:worker, :payload) RETURNING id")

_DROP_PUBLICATIONS = text("DELETE FROM publication WHERE id = ANY(CAST(:ids AS bigint[]))")


STAGED = (_STAGED_RECORDS, _STAGED_ENTITIES)


class Transaction(Loading):
    """The statements of one batch, on one connection inside one transaction. Blocks; not thread-safe."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        # By how many more (or fewer) of the locked entities each agency holds now.
        self._holdings: Counter[tuple[str, str]] = Counter()
        self._told: Counter[Disclosed] = Counter()
        self._taken_back: Counter[Disclosed] = Counter()

    # Saving

    def save_records(self, world: World, ids: Iterable[bytes]) -> None:
        entity_of = world.entity_of
        rows = [row_of_record(world.records[record], entity_of[record]) for record in sorted(ids)]
        _STAGED_RECORDS.save(self.connection, rows)

    def save_names(self, keys: Mapping[bytes, Collection[int]]) -> None:
        """Keep under which keys each of these records is found by name: no others, and none where empty."""
        if named := [(record, sorted(those)) for record, those in sorted(keys.items()) if those]:
            # Each array as a text: one parameter for each number costs nearly twice as much here.
            lists = ["{" + ",".join(map(str, those)) + "}" for _, those in named]
            self.connection.execute(_SAVE_NAMES, {"records": [record for record, _ in named], "keys": lists})
        if nameless := sorted(record for record, those in keys.items() if not those):
            self.connection.execute(_FORGET_NAMES, {"records": nameless})

    def save_entities(self, entities: Iterable[Entity]) -> None:
        those = list(entities)
        self._count_holders(those)
        rows = [row_of_entity(one) for one in sorted(those, key=lambda entity: entity.id)]
        _STAGED_ENTITIES.save(self.connection, rows)

    def _count_holders(self, entities: Iterable[Entity]) -> None:
        for entity in entities:
            before, now = self._holders.get(entity.id, frozenset()), holders(entity)
            if now != before:
                for agency in now ^ before:
                    self._holdings[agency, entity.record_type] += 1 if agency in now else -1
                self._holders[entity.id] = now

    def count_disclosed(self, told: Counter[Disclosed], taken_back: Counter[Disclosed]) -> None:
        """Have these counted at the end, by how many entities (R17)."""
        self._told += told
        self._taken_back += taken_back

    def save_counts(self) -> None:
        """Count how many entities each agency holds, was told of and had taken back: the last statements
        before the commit.

        These rows are locked after all others, so that whoever waits for them keeps nobody else waiting.
        """
        if both := self._told | self._taken_back:
            count_disclosures(
                self.connection, {what: (self._told[what], self._taken_back[what]) for what in both}
            )
            self._told, self._taken_back = Counter(), Counter()
        counts = sorted((place, count) for place, count in self._holdings.items() if count)
        self._holdings.clear()
        if counts:
            self.connection.execute(
                _COUNT_HOLDINGS,
                {
                    "agencies": [agency for (agency, _), _ in counts],
                    "types": [record_type for (_, record_type), _ in counts],
                    "entities": [count for _, count in counts],
                },
            )

    def save_references(self, rows: Sequence[tuple[bytes, str, Reference]]) -> None:
        """Keep what records refer to: (record, field, reference)."""
        if not rows:
            return
        self.connection.execute(
            _SAVE_REFERENCES,
            {
                "record": [record for record, _, _ in rows],
                "field": [field for _, field, _ in rows],
                **columns_of([reference for _, _, reference in rows], singular=True),
            },
        )

    def save_due(self, days: Mapping[bytes, int]) -> None:
        if days:
            entities = sorted(days)
            self.connection.execute(
                _SAVE_DUE, {"entity": entities, "day": [days[entity] for entity in entities]}
            )

    def save_holds(self, holds: Sequence[Hold]) -> None:
        """Keep changes that wait for a person's word; the same one twice is one (R13, R14)."""
        if holds:
            self.connection.execute(
                _SAVE_HOLD,
                [
                    {
                        "record": one.record,
                        "agency": one.change.key.agency,
                        "record_type": one.change.key.record_type,
                        "event_id": one.change.event_id,
                        "reason": one.reason,
                        "fields": list(one.fields),
                        "change": ENCODE(one.change),
                    }
                    for one in holds
                ],
            )

    def save_reviews(self, world: World, reviews: Sequence[Review]) -> None:
        """Keep pairs of records that a person must look at (R16)."""
        if reviews:
            self.connection.execute(
                _SAVE_REVIEW,
                [
                    {
                        "a": one.a,
                        "b": one.b,
                        "record_type": world.records[one.a].key.record_type,
                        "reason": one.reason,
                        "fields": list(one.fields),
                    }
                    for one in reviews
                ],
            )

    def save_disputes(self, disputes: Sequence[tuple[bytes, str, RecordKey]]) -> None:
        """Keep which fields the hub stopped rewriting: (record, field, the record's key) (R19)."""
        if disputes:
            self.connection.execute(
                _SAVE_DISPUTE,
                [
                    {"record": record, "field": name, "agency": key.agency, "record_type": key.record_type}
                    for record, name, key in disputes
                ],
            )

    def save_replaced(self, replaced: Mapping[bytes, Sequence[Replaced]]) -> None:
        """Keep assertions that do not stand any more, by record; the same ones twice are kept once."""
        if replaced:
            rows = [(record, ENCODE(those)) for record, those in sorted(replaced.items())]
            self.connection.execute(
                _SAVE_REPLACED,
                {
                    "records": [record for record, _ in rows],
                    "marks": [hashlib.blake2b(said, digest_size=8).digest() for _, said in rows],
                    "said": [said for _, said in rows],
                },
            )

    def save_dead_letters(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Keep messages that could not be used, whole; `rows` as the table's columns (R27)."""
        if rows:
            self.connection.execute(_SAVE_DEAD_LETTER, list(rows))

    # Publication

    def save_publication(self, worker: str, payload: bytes) -> int:
        """Note what this transaction changed, so that it is published even if the worker dies (R26)."""
        row = self.connection.execute(_SAVE_PUBLICATION, {"worker": worker, "payload": payload})
        return int(row.scalar_one())

    def drop_publications(self, ids: Collection[int]) -> None:
        if ids:
            self.connection.execute(_DROP_PUBLICATIONS, {"ids": sorted(ids)})
