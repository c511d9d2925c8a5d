"""What the hub told agencies, and published of itself, against what should be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hub.contracts import topics
from hub.core.assertions import unpack
from hub.lanes.messages import hub_name
from simulation.evidence import SCHEMAS, Evidence
from simulation.reference import Entity
from simulation.said import Name, plain


class Tellings(Evidence):
    """What was told wrongly, or not at all."""

    def told_wrongly(self) -> Iterator[str]:
        yield from self._told()
        yield from self._believed()
        yield from self._kept()
        yield from self._named_in_keys()

    def _inbox(self, agency: str, kind: str) -> tuple[dict[str, Any], list[str]]:
        """(what a reader ends with that ignores lower versions, versions told in two ways)"""
        state: dict[str, Any] = {}
        told: dict[tuple[str, int], Any] = {}
        problems = []
        for one in self._messages(topics.inbox(agency, kind)):
            content = [one[part] for part in ("operation", "merged_into", "fields", "record")]
            problems += self._unnamed(agency, kind, one)
            if told.setdefault((one["entity"], one["version"]), content) != content:
                problems.append(f"{agency}: {kind} {one['entity']}: one version was told in two ways")
            if one["entity"] not in state or state[one["entity"]]["version"] <= one["version"]:
                state[one["entity"]] = one
        return state, problems

    def _unnamed(self, agency: str, kind: str, told: Any) -> list[str]:
        """References that are not the agency's names of anything (R4, R20)."""
        pairwise, known = self.given.ids.pairwise(agency), set(self.hub_id.values())
        found = {
            s.name: (told["record"] or {}).get(s.name) for s in self.given.catalogue.records[kind].references
        }
        return [
            f"{agency}: {kind} {told['entity']}: its {name} is no name of anything"
            for name, value in found.items()
            if value is not None and pairwise.hub_id(value) not in known
        ]

    def _told(self) -> Iterator[str]:
        for agency, agreement in self.given.agreements.items():
            for kind in agreement.receives:
                state, problems = self._inbox(agency, kind)
                yield from problems
                for entity in self.reference.entities:
                    if entity.kind == kind:
                        told = state.pop(self._name(agency, entity), None)
                        yield from self._told_of(agency, entity, told)
                for name, told in state.items():
                    if told["operation"] == "upsert":
                        yield f"{agency}: {kind} {name}: told of what is nothing, or part of another"

    def _told_of(self, agency: str, entity: Entity, told: Any) -> Iterator[str]:
        where = f"{agency}: {entity.kind} of {entity.founder.name}"
        fields = self.reference.may_hold(agency, entity)
        if not fields:
            if told is not None and told["operation"] == "upsert":
                yield f"{where}: may not hold it, and was told"
            return
        if told is None or told["operation"] != "upsert":
            yield f"{where}: may hold it, and was not told ({told and told['operation']})"
            return
        if set(told["fields"]) != fields:
            yield f"{where}: told {sorted(told['fields'])}, may hold {sorted(fields)}"
        for name in fields.intersection(told["fields"]):
            value, wanted = plain((told["record"] or {}).get(name)), entity.golden[name]
            if value != (self._name(agency, wanted) if isinstance(wanted, Entity) else wanted):
                yield f"{where}: told another {name} than is believed"

    def _believed(self) -> Iterator[str]:
        """Golden records published, against what is to be believed."""
        for kind in self.given.catalogue.records:
            golden: dict[str, Any] = {}
            for envelope in self._messages(topics.golden(kind)):
                one = SCHEMAS.decode(envelope["payload"])
                if one["entity"] not in golden or golden[one["entity"]]["version"] <= one["version"]:
                    golden[one["entity"]] = one
            for entity in self.reference.entities:
                # A row that was made for what is nothing any more was never believed by itself.
                if entity.kind == kind and (entity.live or entity.founder.linked is None):
                    yield from self._believed_of(
                        entity, golden.get(hub_name(self.hub_id[entity.founder.name]))
                    )

    def _believed_of(self, entity: Entity, told: Any) -> Iterator[str]:
        where = f"{entity.kind} of {entity.founder.name}"
        if told is None:
            yield f"{where}: no golden record was published"
        elif told["live"] != entity.live:
            yield f"{where}: published as {'living' if told['live'] else 'nothing'}"
        elif set(told["fields"]) != entity.golden.keys():
            yield f"{where}: published with {sorted(told['fields'])}, believed {sorted(entity.golden)}"
        else:
            for name, wanted in entity.golden.items():
                value = plain((told["record"] or {}).get(name))
                if value != (
                    hub_name(self.hub_id[wanted.founder.name]) if isinstance(wanted, Entity) else wanted
                ):
                    yield f"{where}: published with another {name} than is believed"

    def _kept(self) -> Iterator[str]:
        """The kept topics have every record's assertions and entity, so that a store can be rebuilt (R31)."""
        links, states = {}, {}
        for envelope in self._messages(topics.LINKS):
            one = SCHEMAS.decode(envelope["payload"])
            if one["record"] not in links or links[one["record"]]["version"] <= one["version"]:
                links[one["record"]] = one
        for kind in self.given.catalogue.records:
            for envelope in self._messages(topics.assertions(kind)):
                one = SCHEMAS.decode(envelope["payload"])
                if one["record"] not in states or states[one["record"]]["seen"] <= one["seen"]:
                    states[one["record"]] = one
        for name, record in self.reference.records.items():
            where = hub_name(self.hub_id[name])
            entity = hub_name(self.hub_id[self.reference.entity_of[name].founder.name])
            if links.get(where, {}).get("entity") != entity:
                yield f"{name}: the kept link leads elsewhere than to its entity"
            if where not in states:
                yield f"{name}: no assertions were kept"
            else:
                state = unpack(states[where]["state"])
                kept = {n: stamp for n, (stamp, _) in state.values.items()}
                if kept != {n: stamp for n, (stamp, _) in record.values.items()}:
                    yield f"{name}: other assertions were kept than were said"
                decided = {other: same for other, (_, same) in state.decided.items()}
                if decided != self._decided_of(name):
                    yield f"{name}: other decisions were kept than a steward made"

    def _decided_of(self, name: Name) -> dict[bytes, bool]:
        pairs = [(pair, same) for pair, same in self.decided.items() if name in pair]
        return {self.hub_id[other]: same for pair, same in pairs for other in pair - {name}}

    def _named_in_keys(self) -> Iterator[str]:
        """A key tells nobody who is meant (R4)."""
        for one, record in self._keyed():
            if record.key is None or one["local_id"].encode() == record.key or len(record.key) != 22:
                yield f"a key of {one['local_id']} names its record"

    def _keyed(self) -> Iterator[tuple[Any, Any]]:
        for place, log in self.region.broker.log.items():
            if place[0].endswith(".changes"):
                for record in log:
                    yield SCHEMAS.decode(record.value or b""), record
