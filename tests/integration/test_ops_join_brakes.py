"""The brake of a join: what a snapshot would put in place of others' values waits, its rows do not (R32)."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from braked_worker import Worker
from ops_hub import OpsHub, ops_hub
from support.changes import minute, said
from support.store_hub import empty

from hub.contracts.values import encode
from hub.core.assertions import Change, RecordKey
from hub.core.brakes import MASS_JOIN
from hub.core.merge import golden_record
from hub.core.stamps import LOWEST
from hub.local.stack import Stack
from hub.ops.brakes import Brakes

BORN = datetime.date(1990, 5, 1)


@pytest.fixture(scope="module")
def made(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("joins")
    with ops_hub(stack, folder, joining=["region"]) as hub:
        yield hub


@pytest.fixture
def hub(made: OpsHub) -> OpsHub:
    """Twelve people of ads, each with a telephone number."""
    empty(made.parts.store)
    Worker(made).take(
        [
            said(made.key("ads", str(n)), 1, "insert", cin=f"AB{n}", birth_date=BORN, phone="+212611111111")
            for n in range(12)
        ]
    )
    return made


def snapshot(hub: OpsHub, count: int, at_minute: float = 2, **values: Any) -> list[Change]:
    """The rows of region, each of a person of ads, as old as `at_minute`."""
    return [
        said(
            hub.key("region", f"r{n}"),
            50,
            "snapshot",
            asserted=minute(at_minute) if at_minute else LOWEST,
            cin=f"AB{n}",
            birth_date=BORN,
            **values,
        )
        for n in range(count)
    ]


def phones(hub: OpsHub, count: int = 12) -> set[Any]:
    """The golden telephone numbers of the first people."""
    found = set()
    for n in range(count):
        identity = hub.parts.ids.record(*hub.key("ads", str(n)))
        with hub.parts.looking() as tx:
            entity = tx.records({identity}).entity_of[identity]
            members = tx.members({entity}).records.values()
        found.add(golden_record(hub.parts.types["person"], members)["phone"].value)
    return found


def phone(hub: OpsHub, value: str) -> Any:
    return encode(hub.parts.catalogue.records["person"].by_name["phone"], value)


OLD, NEW = "+212611111111", "+212622222222"


def linked(hub: OpsHub, records: Sequence[RecordKey]) -> bool:
    """Whether each of these stands for somebody whom ads knows."""
    ids = {hub.parts.ids.record(*record) for record in records}
    with hub.parts.looking() as tx:
        entities = tx.records(ids).entity_of
    return len(entities) == len(ids) and not ids & set(entities.values())


def test_what_would_change_others_waits_and_the_rows_are_known(hub: OpsHub) -> None:
    rows = snapshot(hub, 12, phone=NEW, commune="11.321.01.03")
    done = Worker(hub).take(rows)
    assert phones(hub) == {phone(hub, OLD)}
    assert linked(hub, [row.key for row in rows])
    (brake,) = Brakes(hub.parts).list()
    assert (brake.kind, brake.held, brake.agency) == (MASS_JOIN, 12, hub.name("region"))
    assert [(n.reason, n.records) for n in done.notes if n.kind == "held"] == [(MASS_JOIN, 12)]
    # Once more, and the day after: nothing of it slips through.
    Worker(hub).take(rows[:2], at_minute=3000)
    assert phones(hub) == {phone(hub, OLD)}
    Brakes(hub.parts).release(brake.id, "Salma", "they are right")
    assert phones(hub) == {phone(hub, NEW)}


def test_values_of_unknown_age_are_not_replaced_either_before_a_person_has_looked(hub: OpsHub) -> None:
    """Neither where others' age is unknown, too, nor where age does not decide."""
    empty(hub.parts.store)
    others = {"phone": OLD, "education_level": "primary"}
    Worker(hub).take(
        [
            said(
                hub.key("ads", str(n)),
                1,
                "snapshot",
                asserted=LOWEST,
                cin=f"AB{n}",
                birth_date=BORN,
                **others,
            )
            for n in range(12)
        ]
    )
    Worker(hub).take(snapshot(hub, 12, phone=NEW, education_level="higher"))
    assert phones(hub) == {phone(hub, OLD)}
    (brake,) = Brakes(hub.parts).list()
    assert brake.held == 12
    Brakes(hub.parts).release(brake.id, "Salma", "they are right")
    assert phones(hub) == {phone(hub, NEW)}


def test_a_released_join_leaves_the_state_of_one_that_was_never_held(hub: OpsHub) -> None:
    query = "SELECT id, entity, born, seen, asserts FROM record ORDER BY id"
    rows = snapshot(hub, 12, phone=NEW)
    worker = Worker(hub)
    worker.take(rows[:5])
    worker.take(rows[5:])
    brakes = Brakes(hub.parts)
    for brake in brakes.list():
        brakes.release(brake.id, "Salma", "they are right")
    after = hub.rows(query)
    empty(hub.parts.store)
    people = [
        said(hub.key("ads", str(n)), 1, "insert", cin=f"AB{n}", birth_date=BORN, phone=OLD) for n in range(12)
    ]
    hub.take(*people)
    hub.take(*rows)
    assert hub.rows(query) == after


def test_a_rejected_join_leaves_others_as_they_are_and_tells_the_newcomer(hub: OpsHub) -> None:
    rows = snapshot(hub, 12, phone=NEW)
    worker = Worker(hub)
    worker.take(rows)
    brakes = Brakes(hub.parts)
    assert brakes.reject(brakes.list()[0].id, "Salma", "an old table") == 12
    worker.take(rows[:2], at_minute=3000)
    assert phones(hub) == {phone(hub, OLD)}
    worker.take([said(hub.key("region", "r0"), 60, phone="+212633333333")], at_minute=3001)
    assert phones(hub, 1) == {phone(hub, "+212633333333")}


@pytest.mark.parametrize(
    ("at_minute", "values", "count"),
    [
        (2, {"phone": NEW}, 4),
        (2, {"commune": "11.321.01.03", "phone": OLD}, 12),
        (0, {"phone": NEW}, 12),
        (0.5, {"phone": NEW}, 12),
    ],
    ids=["few", "fills gaps and agrees", "of unknown age", "older"],
)
def test_what_changes_nobodys_value_or_few_is_no_mass(
    hub: OpsHub, at_minute: float, values: dict[str, Any], count: int
) -> None:
    Worker(hub).take(snapshot(hub, count, at_minute, **values))
    assert Brakes(hub.parts).list() == []


def test_agencies_that_join_together_hold_up_nobody(made: OpsHub) -> None:
    empty(made.parts.store)
    worker = Worker(made)
    worker.take(snapshot(made, 12, 1, phone=OLD))
    worker.take(
        [
            said(
                made.key("ads", str(n)),
                5,
                "snapshot",
                asserted=minute(3),
                cin=f"AB{n}",
                birth_date=BORN,
                phone=NEW,
            )
            for n in range(12)
        ]
    )
    assert Brakes(made.parts).list() == []
    assert phones(made) == {phone(made, NEW)}
