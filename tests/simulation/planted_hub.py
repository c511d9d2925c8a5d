"""Mistakes in what runs at the hub."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from hub.core import assertions, contents, matching, merge, projection, settle, stamps, step
from hub.lanes import intake, intake_lane, settling
from hub.lanes.intake import Intake
from hub.lanes.intake_lane import IntakeLane
from hub.lanes.messages import Encoder
from hub.lanes.reading import Reading
from simulation.plants import Change, plant


@plant("R3", "a field that a message does not speak of is taken for empty")
def _() -> list[Change]:
    change_of = Reading._change

    def all_known(self: Reading, message: Any) -> Any:
        change = change_of(self, message)
        if change.operation == "update":
            specs = self._specs[change.key.record_type]
            single = [name for name, one in specs.items() if one.spec.kind != "strings"]
            change.values = {**dict.fromkeys(single), **change.values}
        return change

    return [(Reading, "_change", all_known)]


@plant("R8", "what comes last stands, not what was said last", 2)
def _() -> list[Change]:
    return [(assertions, "greater", lambda _a, _b: True)]


@plant("R9", "time decides, whoever has authority", 2)
def _() -> list[Change]:
    strength = merge.strength
    return [(merge, "strength", lambda claim: strength(claim._replace(rank=0)))]


@plant("R10", "the bound on a clock that runs ahead is not kept")
def _() -> list[Change]:
    return [(stamps, "bounded", lambda stamp, _append_ms, _offset: stamp)]


@plant("R14", "the incarnation of a local id is ignored", 1)
def _() -> list[Change]:
    change_of = Reading._change

    def first_life(self: Reading, message: Any) -> Any:
        change = change_of(self, message)
        change.key = change.key._replace(incarnation=0)
        return change

    return [(Reading, "_change", first_life)]


@plant("R15", "a deleted record still has its say", 18, often=("dismiss",))
def _() -> list[Change]:
    golden_record = settle.golden_record

    def with_the_dead(policy: Any, members: Any) -> Any:
        return golden_record(policy, [msgspec.structs.replace(member, ended=0) for member in members])

    return [(settle, "golden_record", with_the_dead)]


@plant("R16", "an identifier links whatever contradicts it", 3, often=("receive", "learn"))
def _() -> list[Change]:
    return [(matching, "contradictions", lambda *_: ()), (matching, "agreement", lambda *_: True)]


@plant("R18", "a merge does not raise all versions above the highest", 18, often=("learn", "receive"))
def _() -> list[Change]:
    regroup = step.regroup

    def forgetful(world: Any, founder: Any) -> Any:
        before = {entity.id: entity.version for entity in world.entities.values()}
        moves = regroup(world, founder)
        for entity in world.entities.values():
            entity.version = before.get(entity.id, 0)
        return moves

    return [(step, "regroup", forgetful)]


@plant("R25", "entities are locked before identities", 2)
def _() -> list[Change]:
    find_block = intake.find_block

    def locked_first(tx: Any, policy: Any, changes: Any, guess: Any, record_id: Any) -> Any:
        tx.lock_entities(set(guess.entity_of.values()))
        return find_block(tx, policy, changes, guess, record_id)

    return [(intake, "find_block", locked_first)]


@plant("R25", "positions move in a transaction of their own, before their effects", 0)
def _() -> list[Change]:
    converge = Intake.converge

    def move_first(self: Intake, read: Any, advances: Any, finish: Any) -> Any:
        with self._begin() as tx:
            tx.advance(intake.LANE, advances)
        return converge(self, read, [], finish)

    return [(Intake, "converge", move_first)]


@plant("R27", "what refers to something unknown is forgotten", 7)
def _() -> list[Change]:
    return [(Intake, "_dependents", lambda *_: None)]


@plant("R17", "a withdrawn consent still holds", 9, often=("consent", "withdraw", "diagnose"))
def _() -> list[Change]:
    consent_of = settling.consent_of

    def always_given(record: Any, settled: Any) -> Any:
        consent = consent_of(record, settled)
        return consent and msgspec.structs.replace(consent, given=True, withdrawn=False)

    return [(settling, "consent_of", always_given)]


@plant("R19", "who loses is not answered", 36)
def _() -> list[Change]:
    return [(settle, "answer", lambda *_, **__: None)]


@plant("R20", "a record is shown where what it refers to is not")
def _() -> list[Change]:
    def project(
        entity: Any, golden: Any, mine: Any, allowed: Any, encoded: Any, references: Any, *rest: Any
    ) -> Any:
        blind = {name: target or b"" for name, target in references.items()}
        return original(entity, golden, mine, allowed, encoded, blind, *rest)

    original = contents.project
    return [(contents, "project", project)]


@plant("R21", "the newest of an agency's records receives, not the oldest", 6)
def _() -> list[Change]:
    def newest(members: Any) -> Any:
        return max((m for m in members if m.live), key=lambda m: (m.born, m.key), default=None)

    return [(projection, "primary", newest), (settle, "primary", newest), (contents, "primary", newest)]


@plant("R26", "a publication is forgotten before the broker has it", 3)
def _() -> list[Change]:
    publish = IntakeLane._publish

    async def forget_first(self: IntakeLane, out: Any) -> None:
        if out.publication is not None:
            self._published.append(out.publication)
            await self.in_thread(self._drop_published)
        await publish(self, dataclasses.replace(out, publication=None))

    return [(IntakeLane, "_publish", forget_first)]


@plant("R26", "nobody looks whether another worker moved on meanwhile", 90)
def _() -> list[Change]:
    return [(intake_lane, "behind", lambda _tx, _out: {})]


@plant("R29", "a tombstone is written before the agency has read what stood there", 36)
def _() -> list[Change]:
    def take_all(tx: Any, _limit: int) -> Any:
        taken = [(key, (*row[:3], row[6])) for key, row in tx.session.rows("farewell")]
        for key, _row in taken:
            tx.session.delete("farewell", key)
        return [row for _key, row in taken]

    return [(intake_lane, "take_farewells", take_all)]


@plant("R31", "an assertion is kept without what it says")
def _() -> list[Change]:
    kept = Encoder.assertions

    def empty(self: Encoder, state: Any) -> Any:
        return kept(self, msgspec.structs.replace(state, asserts=assertions.Assertions()))

    return [(Encoder, "assertions", empty)]
