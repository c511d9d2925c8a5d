"""Undo on a real store: afterwards everybody holds what they would hold, had it never been said (R8)."""

from __future__ import annotations

import datetime
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ops_hub import OpsHub, ops_hub
from support.changes import _START_MS, said
from support.store_hub import empty

from hub.contracts.values import encode
from hub.core.assertions import Change, RecordKey
from hub.core.crosswalk import Held
from hub.core.merge import golden_record
from hub.core.projection import UPSERT
from hub.core.settle import Delivery
from hub.core.undo import taken_back_fields
from hub.errors import Fatal
from hub.lanes.converged import Converged
from hub.local.stack import Stack
from hub.ops.undo import Undo, Undone, Wanted
from hub.store.history import forget

BORN = datetime.date(1990, 5, 1)
_HELD = msgspec.msgpack.Decoder(dict[str, Held])


@pytest.fixture(scope="module")
def made(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("undo")
    with ops_hub(stack, folder) as hub:
        yield hub


@pytest.fixture
def hub(made: OpsHub) -> OpsHub:
    empty(made.parts.store)
    return made


def moment(at_minute: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(_START_MS / 1000 + at_minute * 60, datetime.UTC)


def undoing(hub: OpsHub) -> Undo:
    """An hour after the tests' day began."""
    return Undo(hub.parts, clock=lambda: _START_MS / 1000 + 3600)


def wanted(hub: OpsHub, since: float = 10, until: float | None = 20, **more: Any) -> Wanted:
    end = None if until is None else moment(until)
    return undoing(hub).wanted(hub.name("ads"), moment(since), end, **more)


def undo(hub: OpsHub, **more: Any) -> Undone:
    return undoing(hub).apply(wanted(hub, **more), "Salma", "a bad import")


def holdings(hub: OpsHub) -> dict[tuple[bytes, str], bytes]:
    """(Entity, agency) → the digest of what it holds."""
    rows = hub.rows("SELECT id, held FROM entity")
    return {
        (bytes(row.id), agency): held.digest
        for row in rows
        for agency, held in _HELD.decode(row.held).items()
        if held.operation == UPSERT
    }


def emptied(hub: OpsHub) -> set[tuple[bytes, str]]:
    """(Entity, agency) whose own row is told to hold nothing, since nobody says anything of it any more."""
    found = set()
    for row in hub.rows("SELECT id FROM record WHERE ended = 0"):
        identity = bytes(row.id)
        with hub.parts.looking() as tx:
            world = tx.records({identity})
            entity = world.entity_of[identity]
            members = tx.members({entity}).records.values()
        state = world.records[identity]
        won = golden_record(hub.parts.types[state.key.record_type], members)
        if taken_back_fields(state, won):
            found.add((entity, state.key.agency))
    return found


def golden(hub: OpsHub, record: RecordKey, name: str = "phone") -> Any:
    identity = hub.parts.ids.record(*record)
    with hub.parts.looking() as tx:
        entity = tx.records({identity}).entity_of[identity]
        members = tx.members({entity}).records.values()
    won = golden_record(hub.parts.types[record.record_type], members).get(name)
    return won and won.value


def encoded(hub: OpsHub, name: str, value: Any) -> bytes | None:
    return encode(hub.parts.catalogue.records["person"].by_name[name], value)


def good(hub: OpsHub) -> list[Change]:
    """What is said outside the span, by several agencies."""
    ads = [hub.key("ads", str(n)) for n in range(6)]
    entraide, health = hub.key("entraide", "e0"), hub.key("health", "h1")
    return [
        *(
            said(k, 1, "insert", cin=f"AB{n}", birth_date=BORN, phone="+212611111111")
            for n, k in enumerate(ads)
        ),
        said(entraide, 1, "insert", cin="AB0", birth_date=BORN, commune="11.321.01.03", languages=["ar"]),
        said(health, 1, "insert", cin="AB1", birth_date=BORN, disability="motor"),
        said(ads[2], 5, phone="+212622222222", languages=["fr"]),
        # While the import ran, and after it: not what is taken back.
        said(entraide, 15, commune="12.066.01.01"),
        said(ads[3], 25, phone="+212633333333"),
        said(ads[5], 30, "delete"),
    ]


def bad(hub: OpsHub) -> list[Change]:
    """What is taken back: phones, lists, an identifier that makes two persons one, somebody who is nobody."""
    ads = [hub.key("ads", str(n)) for n in range(6)]
    return [
        *(said(key, 11, phone="+212699999999") for key in ads),
        said(ads[2], 12, phone="+212688888888", languages=["ber"], removed={"languages": ["fr"]}),
        said(ads[4], 13, massar_code="R130000001"),
        said(hub.key("ads", "x"), 14, "insert", cin="AB1", birth_date=BORN, phone="+212677777777"),
        said(hub.key("ads", "y"), 14, "insert", massar_code="R130000001", birth_date=BORN),
    ]


def take(hub: OpsHub, changes: Sequence[Change], size: int = 3) -> list[Converged]:
    done = [hub.take(*changes[start : start + size]) for start in range(0, len(changes), size)]
    hub.settle_due()
    return done


@pytest.mark.parametrize("seed", [2, 3])
def test_everybody_holds_what_they_would_hold_had_it_never_been_said(hub: OpsHub, seed: int) -> None:
    take(hub, good(hub))
    expected = holdings(hub)
    empty(hub.parts.store)
    # In the order of each record's key, else mixed, so that deletions and lives stay as they were.
    mixed = [*good(hub), *bad(hub)]
    order = random.Random(seed)
    order.shuffle(mixed)
    take(hub, mixed, size=order.randint(1, 6))
    assert holdings(hub) != expected
    versions = {bytes(r.id): r.version for r in hub.rows("SELECT id, version FROM entity")}
    assert undo(hub).records == 8
    hub.settle_due()
    # The pupil's code that nobody else had said: it is to leave the agency's own row as well.
    told = emptied(hub) & expected.keys()
    assert len(told) == 1
    assert {place: held for place, held in holdings(hub).items() if place not in told} == {
        place: held for place, held in expected.items() if place not in told
    }
    expected = holdings(hub)
    for row in hub.rows("SELECT id, version FROM entity"):
        assert row.version >= versions.get(bytes(row.id), 0)
    # What was taken back comes again, in another order: nothing follows from it, no hold either.
    again = bad(hub)
    order.shuffle(again)
    take(hub, again)
    assert holdings(hub) == expected
    assert hub.rows("SELECT 1 FROM hold WHERE reason = 'identifier_changed' AND state = 'held'") == []
    assert undo(hub).records == 0


def test_a_preview_says_what_would_happen_and_changes_nothing(hub: OpsHub) -> None:
    take(hub, [*good(hub), *bad(hub)])
    before = hub.rows("SELECT * FROM record ORDER BY id")
    found = undoing(hub).preview(wanted(hub))
    assert hub.rows("SELECT * FROM record ORDER BY id") == before
    assert hub.rows("SELECT 1 FROM audit") == []
    assert found.records == 8
    assert found.back["person.phone"] == 5
    assert found.gone["person.massar_code"] == 2
    assert found.elsewhere > 0
    done = undo(hub)
    assert (done.records, done.back, done.gone) == (found.records, found.back, found.gone)


def undone(hub: OpsHub) -> list[Delivery]:
    """Undo, and give what everybody is told."""
    settled: list[Converged] = []
    apply = hub.parts.intake.undo
    hub.parts.intake.undo = lambda *a: settled.append(apply(*a)) or settled[-1]  # type: ignore[method-assign,func-returns-value]
    try:
        undo(hub)
    finally:
        del hub.parts.intake.undo
    return [delivery for done in settled for s in done.settled for delivery in s.deliveries]


def test_the_agency_is_told_so_that_its_own_row_is_corrected(hub: OpsHub) -> None:
    take(hub, good(hub))
    record = hub.key("ads", "1")
    edit = said(record, 11, phone="+212699999999")
    hub.take(edit)
    (delivery,) = [one for one in undone(hub) if one.agency == hub.name("ads")]
    assert delivery.content.values["phone"] == encoded(hub, "phone", "+212611111111")
    assert delivery.seen >= edit.stamp


def test_where_nobody_says_anything_any_more_the_agencys_own_row_is_emptied(hub: OpsHub) -> None:
    take(hub, good(hub))
    record = hub.key("ads", "1")
    hub.take(said(record, 11, commune="11.321.01.03"))
    told = {one.agency: one.content for one in undone(hub)}
    # Known to be empty, at the agency whose row holds it; to the others nothing is said of it.
    assert "commune" in told[hub.name("ads")].fields
    assert "commune" not in told[hub.name("ads")].values
    assert "commune" not in told[hub.name("health")].fields


def test_later_edits_stand_and_other_spans_can_be_undone_too(hub: OpsHub) -> None:
    take(hub, [*good(hub), *bad(hub)])
    record = hub.key("ads", "3")
    undo(hub)
    assert golden(hub, record) == encoded(hub, "phone", "+212633333333")
    hub.take(said(record, 40, phone="+212644444444"))
    assert golden(hub, record) == encoded(hub, "phone", "+212644444444")
    undo(hub, since=20, until=None)
    assert golden(hub, record) == encoded(hub, "phone", "+212611111111")
    hub.take(said(record, 50, phone="+212644444444"))
    assert golden(hub, record) == encoded(hub, "phone", "+212644444444")


def test_deletions_of_the_span_are_taken_back_and_the_rows_are_asked_for_again(hub: OpsHub) -> None:
    take(hub, good(hub))
    records = [hub.key("ads", "1"), hub.key("ads", "2")]
    before = {place: held for place, held in holdings(hub).items() if place[1] != hub.name("ads")}
    hub.take(*(said(record, 12, "delete") for record in records))
    assert golden(hub, records[1]) is None
    assert undo(hub).deleted == 2
    hub.settle_due()
    assert golden(hub, records[1]) == encoded(hub, "phone", "+212622222222")
    after = {place: held for place, held in holdings(hub).items() if place[1] != hub.name("ads")}
    assert after == before
    # The same deletions come again: they ended the life that they were of, and no other.
    hub.take(*(said(record, 12, "delete") for record in records))
    assert golden(hub, records[1]) == encoded(hub, "phone", "+212622222222")


def test_one_record_or_one_record_type_alone(hub: OpsHub) -> None:
    take(hub, [*good(hub), *bad(hub)])
    assert undo(hub, local_id="2").records == 1
    assert undo(hub, record_type="enrolment").records == 0
    assert golden(hub, hub.key("ads", "2")) == encoded(hub, "phone", "+212622222222")
    assert golden(hub, hub.key("ads", "0")) == encoded(hub, "phone", "+212699999999")


def test_a_reference_that_was_taken_back_is_waited_for_no_longer(hub: OpsHub) -> None:
    take(hub, good(hub))
    enrolment = hub.key("ads", "n", "enrolment")
    hub.take(said(enrolment, 5, "insert", number="INS-2026-000001", person="1"))
    hub.take(said(enrolment, 12, person="nobody"))
    hub.settle_due()
    assert len(hub.rows("SELECT 1 FROM reference WHERE local_id = 'nobody'")) == 1
    undo(hub)
    hub.settle_due()
    assert [row.local_id for row in hub.rows("SELECT local_id FROM reference")] == ["1"]
    assert (hub.parts.ids.record(*enrolment), hub.name("entraide")) in holdings(hub)


def test_first_loads_keep_no_history_and_what_is_old_goes(hub: OpsHub) -> None:
    take(hub, good(hub)[:8])
    assert hub.rows("SELECT 1 FROM history") == []
    take(hub, [*bad(hub), *bad(hub)])
    rows = len(hub.rows("SELECT 1 FROM history"))
    assert 0 < rows <= 2 * len(bad(hub))
    with hub.parts.store.begin() as tx:
        assert forget(tx, 30) == 0
        tx.connection.exec_driver_sql("UPDATE history SET kept_at = now() - interval '31 days'")
        assert forget(tx, 30) == rows


def test_what_cannot_be_undone_is_said(hub: OpsHub) -> None:
    with pytest.raises(Fatal, match="kept for 30 days"):
        undoing(hub).wanted(hub.name("ads"), moment(-60 * 24 * 31), None)
    with pytest.raises(Fatal, match="no agency 'tourism'"):
        undoing(hub).wanted("tourism", moment(0), None)
    with pytest.raises(Fatal, match="no record type 'persons'"):
        wanted(hub, record_type="persons")
    with pytest.raises(Fatal, match="--until is before --since"):
        wanted(hub, since=20, until=10)


def test_from_the_command_line(hub: OpsHub) -> None:
    key = hub.key("ads", "1")
    now_ms = int(datetime.datetime.now(datetime.UTC).timestamp() * 1000)
    minutes = (now_ms - _START_MS) / 60_000
    hub.take(said(key, minutes - 300, "insert", cin="AB1", birth_date=BORN, phone="+212611111111"))
    hub.take(said(key, minutes - 5, phone="+212699999999"))
    asked = ["undo", "--agency", hub.name("ads"), "--since", "2h"]
    shown = hub.run(*asked)
    assert "person.phone: an earlier word stands again for 1" in shown.stdout
    assert "nothing was changed" in shown.stdout
    refused = hub.run(*asked, "--apply")
    assert (refused.returncode, "--who NAME and --why TEXT" in refused.stderr) == (2, True)
    done = json.loads(hub.run(*asked, "--apply", "--who", "Salma", "--why", "test", "--json").stdout)
    assert (done["records"], done["back"]) == (1, {"person.phone": 1})
    assert golden(hub, key) == encoded(hub, "phone", "+212611111111")
    assert "undo" in hub.run("audit", "list", "--action", "undo").stdout
    assert "said nothing" in hub.run(*asked).stdout
    hub.take(said(key, minutes - 4, phone="+212688888888", actor="import-7"))
    refused = hub.run(*asked, "--list-actors")
    assert (refused.returncode, "--list-actors needs --who" in refused.stderr) == (2, True)
    looked = hub.run(*asked, "--list-actors", "--who", "Salma", "--why", "who was it?").stdout
    assert looked.split() == ["1", "import-7"]
    trail = hub.run("audit", "list", "--action", "actors").stdout
    assert "who was it?" in trail
    assert "import-7" not in trail
    asked += ["--actor", "import-7"]
    assert "what was said by 'import-7' from" in hub.run(*asked).stdout
    done = json.loads(hub.run(*asked, "--apply", "--who", "Salma", "--why", "test", "--json").stdout)
    assert (done["actor"], done["records"]) == ("import-7", 1)
    assert golden(hub, key) == encoded(hub, "phone", "+212611111111")


def test_what_one_actor_said_is_taken_back_and_the_rest_stands(hub: OpsHub) -> None:
    """A script ran while people worked, in the same minutes and on the same records."""
    form = [msgspec.structs.replace(change, actor="form") for change in good(hub)]
    take(hub, form)
    edits = [
        said(hub.key("ads", "2"), 12.5, family_name_fr="Alami", phone="+212655555555", actor="form"),
        said(hub.key("ads", "4"), 11.5, languages=["es"], actor="form"),
        said(hub.key("ads", "x"), 14, "insert", cin="AB1", birth_date=BORN),
    ]
    take(hub, edits)
    expected = holdings(hub)
    empty(hub.parts.store)
    script = [
        msgspec.structs.replace(change, actor="script") for change in bad(hub) if change.key.local_id != "x"
    ]
    deletion = said(hub.key("ads", "0"), 16, "delete", actor="script")
    mixed = [*form, *edits, *script, deletion]
    order = random.Random(5)
    order.shuffle(mixed)
    take(hub, mixed, size=4)
    assert holdings(hub) != expected
    counted = undoing(hub).actors(wanted(hub), "Salma", "a script ran")
    # Phones of six, of one another and a list's two elements, two identifiers and a birth date, a deletion.
    assert counted == {"script": 6 + 3 + 1 + 2 + 1, "form": 3, None: 2}
    found = undoing(hub).preview(wanted(hub, actor="script"))
    done = undo(hub, actor="script")
    assert (done.records, done.deleted) == (found.records, 1)
    assert undo(hub, actor="nobody").records == 0
    hub.settle_due()
    mine = hub.name("ads")
    after = {place: held for place, held in holdings(hub).items() if place[1] != mine}
    assert after == {place: held for place, held in expected.items() if place[1] != mine}
    # The messages come again; the script's change nothing.
    order.shuffle(mixed)
    take(hub, mixed)
    after = {place: held for place, held in holdings(hub).items() if place[1] != mine}
    assert after == {place: held for place, held in expected.items() if place[1] != mine}
    assert undoing(hub).actors(wanted(hub), "Salma", "once more").keys() == {"form", None}


def test_no_actor_leaves_the_history(hub: OpsHub) -> None:
    key = hub.key("ads", "1")
    hub.take(said(key, 1, "insert", cin="AB1", birth_date=BORN, phone="+212611111111", actor="nadia.b"))
    done = hub.take(said(key, 2, phone="+212622222222", actor="nadia.b"))
    tables = [
        row.tablename for row in hub.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    ]
    holding = [
        table
        for table in tables
        if hub.rows(f"SELECT 1 FROM {table} t WHERE strpos(t::text, encode('nadia.b', 'hex')) > 0 LIMIT 1")
        or hub.rows(f"SELECT 1 FROM {table} t WHERE strpos(t::text, 'nadia.b') > 0 LIMIT 1")
    ]
    assert holding == ["history"]
    assert b"nadia.b" not in msgspec.msgpack.encode([done.settled, [s.asserts for s in done.states.values()]])
