"""What a rebuilt store derives from its records: identities, references, consents (R16, R17, R20).

The crosswalk comes from the topic; here it is held against the evidence. Where the two differ, since the
last word of a worker never came, and where two must not be linked without a person, identification runs as
it does for a steward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sqlalchemy import text

from hub.core.answers import REWRITE_LIMIT
from hub.core.assertions import RecordState
from hub.core.contents import reference_of
from hub.core.crosswalk import World
from hub.core.matching import cluster
from hub.core.merge import golden_record, is_live
from hub.core.projection import Consent
from hub.lanes.consents import CONSENT, PERSON, consent_said
from hub.lanes.identify import claims_of
from hub.lanes.references import references_of
from hub.ops.handing_over import hand_over
from hub.ops.parts import Parts
from hub.store import rebuilding
from hub.store.transaction import Transaction

_PAGE = 2_000
_IDS = text("""
    SELECT id FROM entity WHERE id > :after AND (CAST(:kind AS text) IS NULL OR record_type = :kind)
    ORDER BY id LIMIT :limit
""")


class Reconstruction:
    """Derives page by page; each page is one transaction. Blocks."""

    def __init__(self, parts: Parts, report: Callable[[str, int, int], None]) -> None:
        self._parts = parts
        self._report = report

    def run(self) -> int:
        """All of it; returns how many groups of records were identified again."""
        doubtful = [pair for page in self._pages(None) for pair in self._derive(page)]
        for page in self._pages(CONSENT) if CONSENT in self._parts.types else ():
            self._consents(page)
        again = 0
        finish = hand_over(self._parts.encoder())
        for record_type, records in (*doubtful, *self._sharers()):
            self._parts.intake.reidentify(record_type, records, lambda _: True, finish)
            again += 1
            self._report("looked at again", again, again)
        return again

    def _pages(self, kind: str | None) -> Iterator[list[bytes]]:
        after, seen = b"", 0
        while True:
            with self._parts.deciding() as tx:
                rows = tx.connection.execute(_IDS, {"after": after, "kind": kind, "limit": _PAGE})
                page = [bytes(row.id) for row in rows]
            if not page:
                return
            yield page
            after, seen = page[-1], seen + len(page)
            self._report("consents" if kind else "entities derived", seen, seen)

    def _derive(self, page: Iterable[bytes]) -> list[tuple[str, list[bytes]]]:
        """Identities, references, disputes and decisions; returns groups that need another look."""
        types = self._parts.types
        with self._parts.deciding() as tx:
            world = tx.members(list(page))
            by_type: dict[str, list[RecordState]] = {}
            for state in world.records.values():
                by_type.setdefault(state.key.record_type, []).append(state)
            for record_type, states in by_type.items():
                tx.claim_identities(claims_of(types[record_type], states))
                rows = [(one.id, name, to) for one in states for name, to in references_of(one, types)]
                tx.save_references(rows)
            self._parts.naming.save(tx, world, world.records, new=world.records)
            tx.save_disputes(
                [
                    (state.id, name, state.key)
                    for state in world.records.values()
                    for name, stamps in state.asserts.rewrites.items()
                    if len(stamps) >= REWRITE_LIMIT
                ]
            )
            rebuilding.save_decisions(tx, world.records.values())
            return self._doubtful(tx, world)

    def _doubtful(self, tx: Transaction, world: World) -> list[tuple[str, list[bytes]]]:
        """Entities whose members would not be one by their own evidence, and records linked elsewhere."""
        found = []
        decisions = tx.decisions(list(world.records))
        elsewhere = tx.records({s.linked for s in world.records.values() if s.linked}).entity_of
        for entity, members in world.members().items():
            record_type = members[0].key.record_type
            founders = cluster(self._parts.types[record_type], members, decisions).founder
            linked = {elsewhere.get(s.linked, entity) for s in members if s.linked is not None}
            if set(founders.values()) != {entity} or linked - {entity}:
                found.append((record_type, sorted(state.id for state in members)))
        return found

    def _sharers(self) -> Iterator[tuple[str, list[bytes]]]:
        """Records that share an identity value and stand for different entities: a review, or not yet one."""
        after = b""
        while True:
            with self._parts.deciding() as tx:
                rows = rebuilding.sharers(tx, after, _PAGE)
                shared = {one for _, _, those in rows if len(those) > 1 for one in those}
                entity_of = tx.records(shared).entity_of
            if not rows:
                return
            after = rows[-1][0]
            for _, record_type, those in rows:
                if len(those) > 1 and len({entity_of[one] for one in those}) > 1:
                    yield record_type, those

    def _consents(self, page: list[bytes]) -> None:
        """Make consents inputs of their persons' rows again, before anybody is settled (R17)."""
        record, policy = self._parts.catalogue.records[CONSENT], self._parts.types[CONSENT]
        with self._parts.deciding() as tx:
            world = tx.lock_entities(page)
            said: dict[bytes, tuple[tuple[str, str, str], Consent]] = {}
            for entity, members in world.members().items():
                golden = golden_record(policy, members) if is_live(policy, members) else {}
                consent, won = consent_said(record, golden), golden.get(PERSON)
                reference = won and reference_of(policy, PERSON, won)
                if consent is not None and reference:
                    said[entity] = reference, consent
            targets = tx.look_at_targets({reference for reference, _ in said.values()})
            persons = tx.lock_entities({target.entity for target in targets.values()})
            for entity, (reference, consent) in said.items():
                if (target := targets.get(reference)) is not None:
                    persons.entities[target.entity].consents[entity] = consent
                    world.entities[entity].about = target.entity
            tx.save_entities([*persons.entities.values(), *world.entities.values()])
