"""What other agreements would do to what the agencies hold, found out before they are in force (R17).

Intake itself works out, in rehearsal, what each agency may hold of each entity: once under the agreements of
the release, once under those that are planned. The difference is what the workers of a release with the
planned ones would publish.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import text

from hub.contracts.agreements import Agreement
from hub.contracts.policies import terms_by_type
from hub.core.contents import Reference, Target
from hub.core.projection import UPSERT, Content, Terms
from hub.lanes.intake import Intake
from hub.ops.parts import Parts
from hub.ops.rehearsal import Onlooker, publish_nothing
from hub.store.transaction import Transaction

_PAGE = 500
_IDS = text("""
    SELECT id FROM entity WHERE record_type = :record_type AND id > :after ORDER BY id LIMIT :limit
""")

# (agency, record type)
Place = tuple[str, str]
# Agency → what it may hold of one entity.
_Held = dict[str, Content]


@dataclass
class Forecast:
    """What would change, in numbers of entities.

    `looked`: entities looked at, by record type. `begun`: told to an agency for the first time; `ended`:
    taken back as a whole; `gained` and `lost`: of those that stay there, by field.
    """

    looked: Counter[str] = field(default_factory=Counter)
    begun: Counter[Place] = field(default_factory=Counter)
    ended: Counter[Place] = field(default_factory=Counter)
    gained: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    lost: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def places(self) -> list[Place]:
        """Where anything would change."""
        whole = self.begun.keys() | self.ended.keys()
        return sorted(whole | {name[:2] for name in self.gained.keys() | self.lost.keys()})

    def add(self, record_type: str, before: _Held, after: _Held) -> None:
        for agency in before.keys() | after.keys():
            was, will = before.get(agency), after.get(agency)
            if was is None:
                self.begun[agency, record_type] += 1
            elif will is None:
                self.ended[agency, record_type] += 1
            else:
                self.gained.update(
                    (agency, record_type, one) for one in set(will.fields).difference(was.fields)
                )
                self.lost.update(
                    (agency, record_type, one) for one in set(was.fields).difference(will.fields)
                )


def forecast(parts: Parts, planned: Mapping[str, Agreement], limit: int | None = None) -> Forecast:
    """Compare what may be held under `planned` with what may be held under the release's agreements.

    `limit`: entities per record type, None for all. Ids are keyed hashes, so the first by id are a fair
    sample. Reads a page at a time and locks nothing; a change that arrives meanwhile may be seen or not.
    """
    found = Forecast()
    agencies = frozenset(parts.agreements.keys() | planned.keys())
    # What refers to a person may be held where the person may be: what refers comes after.
    before, after = _Ledger(parts, parts.terms), _Ledger(parts, terms_by_type(planned))
    for record_type in parts.catalogue.dependency_order():
        for page in _pages(parts, record_type, limit):
            with parts.looking() as tx:
                was, will = before.held(tx, page, agencies), after.held(tx, page, agencies)
            found.looked[record_type] += len(page)
            for entity in page:
                found.add(record_type, was[entity], will[entity])
    return found


def _pages(parts: Parts, record_type: str, limit: int | None) -> Iterator[list[bytes]]:
    after, left = b"", limit
    while left is None or left > 0:
        size = _PAGE if left is None else min(_PAGE, left)
        with parts.looking() as tx:
            asked = {"record_type": record_type, "after": after, "limit": size}
            page = [bytes(entity) for (entity,) in tx.connection.execute(_IDS, asked)]
        if page:
            yield page
            after = page[-1]
        if len(page) < size:
            return
        left = None if left is None else left - size


class _Ledger:
    """What each agency may hold under one set of terms; remembers who may hold what was looked at."""

    def __init__(self, parts: Parts, terms: Mapping[str, tuple[Terms, ...]]) -> None:
        self._parts = parts
        self._terms = terms
        self._holders: dict[bytes, frozenset[str]] = {}

    def held(
        self, tx: Transaction, entities: Collection[bytes], agencies: frozenset[str]
    ) -> dict[bytes, _Held]:
        """Entity → agency → what it may hold; who may hold nothing is not in it."""

        @contextmanager
        def begin() -> Iterator[Transaction]:
            yield _Supposing(tx, self._holders)

        intake = self._parts.intake_over(Intake, begin, terms=self._terms)
        done = intake.restate(dict.fromkeys(entities, agencies), publish_nothing)
        held: dict[bytes, _Held] = {entity: {} for entity in entities}
        for settled in done.settled:
            for delivery in settled.deliveries:
                if delivery.content.operation == UPSERT and delivery.entity in held:
                    held[delivery.entity][delivery.agency] = delivery.content
        self._holders |= {entity: frozenset(those) for entity, those in held.items()}
        return held


class _Supposing(Onlooker):
    """Looks at the store as if agencies held what they may hold under the terms supposed."""

    def __init__(self, tx: Transaction, holders: Mapping[bytes, frozenset[str]]) -> None:
        super().__init__(tx)
        self._supposed = holders

    def targets(
        self, references: Collection[Reference], *, locked: bool, patient: bool = True
    ) -> dict[Reference, Target]:
        found = super().targets(references, locked=locked, patient=patient)
        return {
            reference: target._replace(holders=self._supposed.get(target.entity, target.holders))
            for reference, target in found.items()
        }
