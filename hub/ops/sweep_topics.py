"""What a sweep of the topics compares: each topic, how to read it, what the store remembers of it (R26)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import text

from hub.contracts import topics
from hub.core.projection import UPSERT
from hub.lanes.messages import hub_name
from hub.ops.parts import Parts
from hub.ops.said import Interpreter, Said
from hub.store.rows import entity_of_row

_PAGE = 2_000
_ENTITIES = text("""
    SELECT id, record_type, version, golden, held, consents, about FROM entity
    WHERE record_type = :kind AND id > :after ORDER BY id LIMIT :limit
""")
_RECORDS = text("""
    SELECT r.id, r.entity, r.asserts, e.version FROM record r JOIN entity e ON e.id = r.entity
    WHERE r.record_type = :kind AND r.id > :after ORDER BY r.id LIMIT :limit
""")


class Expected(NamedTuple):
    """What the store remembers having said under one key.

    `subject`: the entity, or the record (`agency` empty: the topic is the hub's own). `holds`: whether it
    must be there; what an agency was told to let go may be forgotten.
    """

    key: bytes
    digest: bytes
    version: int
    subject: bytes
    holds: bool = True


@dataclass(frozen=True)
class Topic:
    """A topic to compare: how to read a message, and what the store expects on it."""

    name: str
    read: Callable[[bytes], Said]
    expected: Callable[[], Iterator[Expected]]
    agency: str = ""
    of_records: bool = False


class SweepTopics:
    """The topics of an agency, or all; of a record type, or all."""

    def __init__(self, parts: Parts, agency: str | None = None, record_type: str | None = None) -> None:
        self._parts = parts
        self._read = Interpreter(parts.catalogue, parts.events, parts.ids, parts.registry)
        self._agency = agency
        self._kinds = [kind for kind in parts.catalogue.records if record_type in (None, kind)]

    def __iter__(self) -> Iterator[Topic]:
        read, every = self._read, list(self._parts.catalogue.records)
        if self._agency is None:
            for kind in self._kinds:
                golden = partial(self._golden, kind)
                yield Topic(topics.golden(kind), partial(read.golden, kind), golden)
                asserted = partial(self._of_records, [kind], "asserts")
                yield Topic(topics.assertions(kind), read.assertions, asserted, of_records=True)
            if self._kinds == every:
                linked = partial(self._of_records, every, "entity")
                yield Topic(topics.LINKS, read.link, linked, of_records=True)
        for name, agreement in self._parts.agreements.items():
            for kind in agreement.record_types:
                if self._agency in (None, name) and kind in self._kinds:
                    told, held = partial(read.projection, name, kind), partial(self._held, name, kind)
                    yield Topic(topics.inbox(name, kind), told, held, agency=name)

    # What the store remembers

    def _pages(self, statement: Any, kind: str) -> Iterator[list[Any]]:
        after = b""
        while True:
            with self._parts.looking() as tx:
                rows = list(tx.connection.execute(statement, {"kind": kind, "after": after, "limit": _PAGE}))
            if not rows:
                return
            yield rows
            after = bytes(rows[-1].id)

    def _golden(self, kind: str) -> Iterator[Expected]:
        for rows in self._pages(_ENTITIES, kind):
            for row in rows:
                if row.golden:
                    identity = bytes(row.id)
                    yield Expected(hub_name(identity).encode(), bytes(row.golden), row.version, identity)

    def _held(self, agency: str, kind: str) -> Iterator[Expected]:
        name = self._parts.ids.pairwise(agency).name
        for rows in self._pages(_ENTITIES, kind):
            for row in rows:
                one = entity_of_row(row)
                if (held := one.held.get(agency)) is not None:
                    key = name(one.id).encode()
                    yield Expected(key, held.digest, one.version, one.id, held.operation == UPSERT)

    def _of_records(self, kinds: Iterable[str], column: str) -> Iterator[Expected]:
        for kind in kinds:
            for rows in self._pages(_RECORDS, kind):
                for row in rows:
                    identity, content = bytes(row.id), bytes(getattr(row, column))
                    # What one record asserts has its own numbers, not the entity's.
                    version = row.version if column == "entity" else 2**62
                    yield Expected(hub_name(identity).encode(), content, version, identity)
