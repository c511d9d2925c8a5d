"""What the hub would send back to a joining agency, into the columns of its own rows (R17, R28)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from connectors.messages import Reader
from connectors.sdk import Delivery
from connectors.sql.convert import Unmappable
from connectors.sql.dry_run import DryRun, ReadRow
from hub.contracts import topics
from hub.contracts.records import FieldSpec
from hub.contracts.values import encode
from hub.core.projection import UPSERT, primary
from hub.core.settle import Settled
from hub.lanes.messages import Encoder
from hub.ops.join_counts import EMPTIED, FILLED, REPLACED, Example, TypeCounts, tally
from hub.ops.join_effects import Standing, golden_text, masked, rule_for
from hub.ops.parts import Parts
from hub.ops.veil import Veil
from hub.store.transaction import Transaction

# The row holds what its mapping cannot read, and it would be written over.
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Here:
    """Counts what would be written into the agency's rows, by the code that writes."""

    parts: Parts
    dry: DryRun
    encoder: Encoder
    reader: Reader
    veil: Veil

    def count(self, tx: Transaction, found: TypeCounts, row: ReadRow, record: bytes, after: Standing) -> None:
        """Add what would be written into one row; nothing where another row of the agency gets it (R21)."""
        state = after.world.records[record]
        entity = after.world.entity_of[record]
        settled = after.settled[entity]
        mine = [
            after.world.records[one]
            for one, where in after.world.entity_of.items()
            if where == entity and after.world.records[one].key.agency == state.key.agency
        ]
        chosen = primary(mine)
        delivery = self._delivery(tx, settled, state.key.agency)
        if delivery is None or chosen is None or chosen.id != record:
            return
        plan = self.dry.foresee(row, delivery)
        shown = masked(row.local_id, self.veil)
        for code, column in plan.troubles:
            tally(found.here_refused, (code, column), Example(shown))
        if not plan.before:
            return
        found.here_rows += 1
        policy = self.parts.types[state.key.record_type]
        current = self._current(row, state.key.record_type)
        specs = self.parts.catalogue.records[state.key.record_type].by_name
        for name in sorted(plan.before):
            was = current.get(name)
            word = EMPTIED if delivery.values.get(name) in (None, []) else REPLACED
            word = FILLED if was in (None, []) else word
            rule = UNREADABLE if isinstance(was, Unmappable) else rule_for(policy, name, state, settled)
            before = self._shown(specs[name], was)
            now = golden_text(self.parts, state.key.record_type, name, settled.golden.get(name), self.veil)
            found.here_of(name).add(word, rule, Example(shown, before, now))

    def _delivery(self, tx: Transaction, settled: Settled, agency: str) -> Delivery | None:
        """What the agency's connector would be given, with its own local ids in references."""
        told = [one for one in settled.deliveries if one.agency == agency]
        if not told or told[0].content.operation != UPSERT:
            return None
        value = self.encoder.projection(told[0]).value
        assert value is not None
        place = (topics.inbox(agency, settled.entity.record_type), 0)
        delivery = self.reader.delivery(place, value, 0)
        values = {**delivery.values}
        for name in settled.references.keys() & set(delivery.fields):
            values[name] = self._local(tx, settled.references[name], agency)
        # A row that is not here yet is made first; what refers to it waits so long.
        absent = {name for name in settled.references if values.get(name) is None}
        fields = tuple(name for name in delivery.fields if name not in absent)
        return replace(delivery, fields=fields, values={name: values[name] for name in fields})

    @staticmethod
    def _local(tx: Transaction, entity: bytes | None, agency: str) -> str | None:
        """The agency's own record of an entity."""
        if entity is None:
            return None
        members = tx.members({entity}).records.values()
        found = primary(one for one in members if one.key.agency == agency)
        return found.key.local_id if found else None

    def _current(self, row: ReadRow, record_type: str) -> Mapping[str, Any]:
        """What the row says by field; an `Unmappable` where that cannot be read."""
        converter = self.dry.converters[record_type]
        values: dict[str, Any] = {}
        for table in self.dry.mapping.records[record_type].tables:
            values |= converter.read(table.part, row.images.get(table.part))
        return values

    def _shown(self, spec: FieldSpec, value: Any) -> str:
        if value is None or isinstance(value, Unmappable):
            return ""
        if spec.reference is not None:
            return masked(str(value), self.veil)
        items = value if isinstance(value, list) else [value]
        return ", ".join(self.veil.value(spec, encode(spec, item)) for item in items)
