"""A join planned and reported on real databases: nothing is written, and what is said comes about."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from joining_agency import JoiningAgency, inbox, values_changed
from ops_hub import OpsHub, ops_hub
from sql_agency import empty_database
from support.changes import said
from support.store_hub import empty

from connectors.compose import database
from hub.errors import ConfigurationError, JisrError
from hub.local.join_commands import mapped_fields, plan
from hub.local.join_plan import Wish
from hub.local.stack import Stack
from hub.ops.brakes import Brakes, brake_limits
from hub.ops.join_counts import Elsewhere, JoinCounts, TypeCounts, as_json
from hub.ops.join_report import JoinReporter
from hub.ops.veil import Veil
from hub.store.tables import metadata

BORN = datetime.date(1990, 5, 1)
OLD, NEW = "+212611111111", "+212622222222"
LATE, EARLY = "2026-03-01T10:00:00+00:00", "2020-03-01T10:00:00+00:00"


@pytest.fixture(scope="module")
def made(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    with ops_hub(stack, tmp_path_factory.mktemp("plans"), joining=["entraide"]) as hub:
        yield hub


@pytest.fixture
def hub(made: OpsHub) -> OpsHub:
    """Eight people of ads, one of health."""
    empty(made.parts.store)
    with made.parts.store.begin() as tx:
        tx.connection.exec_driver_sql("DELETE FROM setting")
    made.parts.joining._remaining.add(made.name("entraide"))
    made.outs.clear()
    names = {"family_name_fr": "Alami", "given_name_fr": "Zineb"}
    made.take(
        *(
            said(made.key("ads", f"a{n}"), 1, "insert", cin=f"AB{n}", birth_date=BORN, phone=OLD, **names)
            for n in range(1, 9)
        ),
        said(made.key("health", "h1"), 1, "insert", cin="AB1", birth_date=BORN, disability="none"),
        said(made.key("health", "h7"), 1, "insert", massar_code="M123456789", birth_date=BORN, phone=OLD),
        said(made.key("ads", "x1", "enrolment"), 1, "insert", number="INS-2026-000001", person="a1"),
    )
    made.settle_due()
    return made


@pytest.fixture
def agency(request: pytest.FixtureRequest, hub: OpsHub, tmp_path: Path) -> Iterator[JoiningAgency]:
    kind = getattr(request, "param", "sqlite")
    one = JoiningAgency(hub, kind, empty_database(kind, request, tmp_path), tmp_path)
    fill(one)
    yield one
    one.close()


on_both = pytest.mark.parametrize("agency", ["postgresql", "sqlite"], indirect=True)


def fill(one: JoiningAgency) -> None:
    """Every kind of row that there is."""
    born = BORN.isoformat()
    known = {"naissance": born, "maj": LATE}
    one.add("person", id="p1", cin="AB1", tel=NEW, commune="11.321.01.03", **known)
    one.add("person", id="p2", cin="AB2", nom="ALAMI", prenom="Zineb", maj=LATE)
    one.add("person", id="p3", cin="AB3", naissance="1971-01-01", maj=LATE)
    one.add("person", id="p4", cin="AB4", tel=NEW, maj=LATE)
    one.add("person", id="p5", cin="AB5", tel=NEW, naissance=born, maj=EARLY)
    one.add("person", id="p6", cin="AB6", tel=NEW, nom="Bennani", prenom="Zineb", naissance=born)
    one.add("person", id="p7", cin="AB7", massar="M123456789", naissance=born, maj=EARLY)
    one.add("person", id="n1", cin="ZZ1", nom="Idrissi", naissance=born, sexe="?", maj=LATE)
    one.add("person", id="n2", cin="ZZ1", nom="Idrissi", naissance=born, maj=LATE)
    one.add("person", id="n3", nom="Tazi", langues="ar,fr", naissance="01/02/1980", maj=LATE)
    one.add("person", id="x" * 201, cin="ZZ9", maj=LATE)
    one.add("accord", id="c1", qui="p1", objet="I", pour=one.hub.name("ads"), etat="D")
    one.add("inscription", id="e1", numero="INS-2026-000001", qui="p1", statut="A")
    one.add("inscription", id="e2", numero="INS-2026-000002", qui="nobody", statut="A")
    one.add("inscription", id="e3", numero="INS-2026-000003", qui="p5", statut="P")


def numbers(table: dict[Any, Any]) -> dict[Any, int]:
    return {key: those.number for key, those in table.items()}


def outcomes(fields: dict[str, Any]) -> dict[tuple[str, str], int]:
    return {(name, word): n for name, one in fields.items() for word, n in one.outcomes.items()}


def test_every_row_is_told_by_what_becomes_of_it(agency: JoiningAgency) -> None:
    found = agency.plan()
    person, enrolment = found.types["person"], found.types["enrolment"]
    assert list(found.types) == ["person", "consent", "enrolment"]
    assert person.rows == 11
    assert person.matched == {"identifier_and_birth_date": 4, "identifier_and_name": 1}
    # The pupil of health and the person of ads are one, says p7.
    assert person.merged == 1
    assert person.uncertain == {"contradiction": 1, "identifier_alone": 1}
    assert (person.new, person.duplicates, person.known, person.silent) == (2, 1, 0, 0)
    assert numbers(person.refused) == {("invalid_value", "local_id", "local_id"): 1}
    assert numbers(person.unread) == {
        ("unknown_code", "sex", "sexe"): 1,
        ("bad_value", "birth_date", "naissance"): 1,
    }
    assert numbers(person.reviews) == {
        ("contradiction", "cin, birth_date"): 1,
        ("identifier_alone", "cin"): 1,
    }
    assert numbers(enrolment.waiting) == {("person", "nowhere"): 1}
    assert (enrolment.matched, enrolment.new) == ({"natural_key": 1}, 2)
    assert_each_row_once(person)
    assert_each_row_once(enrolment)


def assert_each_row_once(one: TypeCounts) -> None:
    told = one.silent + one.known + one.matched.total() + one.uncertain.total() + one.duplicates + one.new
    assert told + sum(numbers(one.refused).values()) == one.rows


def test_the_values_that_would_change_are_told_with_the_rule(agency: JoiningAgency) -> None:
    person = agency.plan().types["person"]
    there = person.elsewhere[agency.hub.name("ads")].fields
    # p1 says it later than ads; p5 earlier, p6 at a time that nobody knows.
    assert (there["phone"].outcomes, there["phone"].rules) == ({"replaced": 1}, {"older": 1})
    assert (there["commune"].outcomes, there["commune"].rules) == ({"filled": 1}, {"gap": 1})
    # A family name is the agency's to say, whoever said it before.
    assert (there["family_name_fr"].outcomes, there["family_name_fr"].rules) == (
        {"replaced": 2, "filled": 1},
        {"outranked": 2, "identity": 1},
    )
    assert (person.here["phone"].outcomes, person.here["phone"].rules) == (
        {"replaced": 2, "filled": 2},
        {"older": 2, "gap": 2},
    )
    assert person.here["birth_date"].outcomes == {"filled": 1}
    # With the consent that the agency brings, ads may know it.
    assert (there["disability"].outcomes, there["disability"].rules) == ({"filled": 1}, {"entitled": 1})


@on_both
def test_what_was_planned_comes_about(agency: JoiningAgency) -> None:
    hub = agency.hub
    planned = agency.plan()
    before = agency.rows("person")
    told = deliveries(hub)
    agency.join(brake_limits(hub.parts.settings))
    assert Counter(dead.code for dead in agency.dead) == {"invalid_value": 1}
    assert hub.rows("SELECT reason, count(*) FROM review GROUP BY 1 ORDER BY 1") == [
        ("contradiction", 1),
        ("identifier_alone", 1),
    ]
    for other in ("ads", "health"):
        name = hub.name(other)
        was, now = inbox(told, name), inbox([*told, *agency.told], name)
        there = {kind: one.elsewhere.get(name, Elsewhere()) for kind, one in planned.types.items()}
        changed = Counter((now[entity].record_type, *one) for entity, one in values_changed(was, now))
        assert changed == {
            (kind, *key): n for kind, one in there.items() for key, n in outcomes(one.fields).items()
        }, other
        # What one had is gone on with under another name, where two have become one.
        had = was.keys() | {now[entity].content.merged_into for entity in was}
        made = Counter(one.record_type for entity, one in now.items() if entity not in had)
        assert made == Counter({kind: one.created for kind, one in there.items() if one.created})
    agency.apply()
    after = agency.rows("person")
    columns = {"tel": "phone", "naissance": "birth_date", "commune": "commune", "nom": "family_name_fr"}
    columns |= {
        "massar": "massar_code",
        "prenom": "given_name_fr",
        "langues": "languages",
        "sexe": "sex",
        "cin": "cin",
    }
    written = Counter(
        (columns[column], "filled" if row[column] is None else "replaced")
        for key, row in before.items()
        for column in columns
        if after[key][column] != row[column]
    )
    assert written == outcomes(planned.types["person"].here)
    assert planned.types["person"].here_rows == sum(after[key] != row for key, row in before.items())


def deliveries(hub: OpsHub) -> list[Any]:
    """What every agency has been told so far, as settled."""
    found: list[Any] = []
    with hub.parts.store.begin() as tx:
        ids = {bytes(one) for (one,) in tx.connection.exec_driver_sql("SELECT id FROM entity")}
    agencies = frozenset(hub.parts.agreements)
    hub.parts.intake.restate(
        dict.fromkeys(ids, agencies),
        lambda _, done: found.extend(one for settled in done.settled for one in settled.deliveries),
    )
    return [one for one in found if one.content.operation == "upsert"]


@on_both
def test_nothing_is_written_anywhere(agency: JoiningAgency) -> None:
    def hubs() -> dict[str, Any]:
        return {name: agency.hub.rows(f'SELECT * FROM "{name}"') for name in metadata.tables}

    tables = ("person", "accord", "inscription")
    here = agency.objects(), [agency.rows(table) for table in tables]
    there = hubs()
    agency.plan()
    assert (agency.objects(), [agency.rows(table) for table in tables]) == here
    assert hubs() == there


def test_after_the_join_all_is_known_and_nothing_changes(agency: JoiningAgency) -> None:
    agency.join(brake_limits(agency.hub.parts.settings))
    agency.apply()
    person = agency.plan().types["person"]
    assert person.known == 10 - person.silent
    assert (person.matched, person.new, person.here_rows) == ({}, 0, 0)
    assert all(not there.fields and not there.created for there in person.elsewhere.values())


def test_some_rows_only_and_what_is_beyond_them(agency: JoiningAgency) -> None:
    found = agency.plan(Wish(limit=2, rows_per_s=1e9))
    assert found.sampled
    assert {name: (one.rows, one.more) for name, one in found.types.items()} == {
        "person": (2, True),
        "consent": (1, False),
        "enrolment": (2, True),
    }
    # By the order of keys the people n1 and n2 were read: p1 is there, only not among them.
    assert numbers(found.types["enrolment"].waiting) == {("person", "beyond"): 1, ("person", "nowhere"): 1}
    assert list(agency.plan(Wish("enrolment")).types) == ["enrolment"]


def test_the_brake_is_told_as_it_is_pulled(agency: JoiningAgency) -> None:
    parts = agency.hub.parts
    settings = parts.settings
    parts.settings = settings.model_copy(update={"brake_updates": 1, "brake_updates_percent": 1.0})
    try:
        person = agency.plan().types["person"]
        agency.join(brake_limits(parts.settings))
        (brake,) = Brakes(parts).list()
    finally:
        parts.settings = settings
    assert person.brake.held
    assert (person.brake.overwriting, person.brake.limit) == (brake.held, brake.allowed)
    assert agency.plan().types["person"].brake.held is False


def test_no_value_is_shown_that_was_not_asked_for(agency: JoiningAgency) -> None:
    covered = str(as_json(agency.plan()))
    for secret in ("Bennani", "Alami", "ALAMI", OLD, NEW, "1990-05-01", "p1", "a1"):
        assert f"'{secret}'" not in covered
    shown = str(as_json(agency.plan(reveal=True)))
    assert f"'{NEW}'" in shown
    assert "'p1'" in shown


def test_the_command_tells_people_programs_and_writes_a_page(agency: JoiningAgency, tmp_path: Path) -> None:
    page = tmp_path / "plan.html"
    arguments = ["connector", "plan", str(agency.file), "--database", agency.url, "--html", str(page)]
    told = agency.hub.run(*arguments, "--json", "--language", "ar", "--rows-per-second", "100000")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert (found["kind"], found["agency"], found["sampled"]) == ("plan", agency.name, False)
    assert found["records"]["person"]["matched"] == {"identifier_and_birth_date": 4, "identifier_and_name": 1}
    assert '<html lang="ar" dir="rtl">' in page.read_text(encoding="utf-8")
    assert page.stat().st_mode & 0o077 == 0
    assert NEW not in told.stdout + told.stderr + page.read_text(encoding="utf-8")
    assert agency.hub.rows("SELECT count(*) FROM audit") == [(0,)]


def test_what_is_revealed_is_kept_first(agency: JoiningAgency) -> None:
    wish = [str(agency.file), "--database", agency.url, "--record-type", "person", "--reveal"]
    refused = CliRunner().invoke(plan, wish)
    assert refused.exit_code == 2
    assert "--purpose" in refused.output
    shown = agency.hub.run(
        "connector", "plan", *wish, "--who", "Salma", "--purpose", "the join of this agency"
    )
    assert NEW in shown.stdout
    assert agency.hub.rows("SELECT who, action, agency, purpose FROM audit") == [
        ("Salma", "reveal", agency.name, "the join of this agency")
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--html", "no/such/folder/p.html"], "--html no/such/folder/p.html: cannot be written"),
        (["--limit", "0"], "0 is not in the range"),
    ],
)
def test_a_mistake_is_told_before_anything_is_read(arguments: list[str], complaint: str) -> None:
    told = CliRunner().invoke(plan, [__file__, "--database", "sqlite:///nothing", *arguments])
    assert told.exit_code != 0
    assert complaint in f"{told.output}{told.exception}"


def test_what_there_is_not_is_named(agency: JoiningAgency) -> None:
    with pytest.raises(ConfigurationError, match="'centre' is not mapped; there are"):
        agency.plan(Wish("centre"))
    with pytest.raises(ConfigurationError, match="there is no agreement of 'nobody'"):
        JoinReporter(agency.hub.parts, "nobody", Veil())
    with pytest.raises(ConfigurationError, match=r"is the mapping of entraide.*, not of ads"):
        mapped_fields(agency.file, agency.hub.parts, "ads")
    agency.people.execute("ALTER TABLE person RENAME COLUMN tel TO gsm")
    with pytest.raises(ConfigurationError, match=r"\.yaml:\d+:\d+: table person has no column 'tel'"):
        agency.plan()
    agency.people.execute("DROP TABLE inscription")
    with pytest.raises(ConfigurationError, match="there is no table 'inscription'"):
        agency.plan()


@on_both
def test_a_connection_to_read_is_one_that_cannot_write(agency: JoiningAgency) -> None:
    if agency.kind == "sqlite":
        agency.people.execute("PRAGMA journal_mode = WAL")
        agency.people.close()
        agency.people = agency.session()
    db = database(agency.url, read_only=True)
    db.connect()
    for statement in ("DELETE FROM person", "CREATE TABLE more (a text)"):
        with pytest.raises(JisrError):
            db.execute(statement)
    assert db.query("SELECT count(*) FROM person") == [(11,)]
    db.close()
    agency.people.close()
    files = {path.name for path in agency.file.parent.iterdir()}
    assert not [name for name in files if name.endswith(("-wal", "-shm", "-journal"))]


# Afterwards


def report(agency: JoiningAgency) -> JoinCounts:
    parts = agency.hub.parts
    mapped = mapped_fields(agency.file, parts, agency.name)
    return JoinReporter(parts, agency.name, Veil(), mapped).report()


def comparable(one: TypeCounts) -> dict[str, Any]:
    """What a plan and a report must both say."""
    return {
        "rows": one.rows,
        "matched": one.matched,
        "uncertain": one.uncertain,
        "new": one.new,
        "duplicates": one.duplicates,
        "refused": {key[:2]: n for key, n in numbers(one.refused).items()},
        "reviews": numbers(one.reviews),
        "waiting": numbers(one.waiting),
        "here": outcomes(one.here),
        "elsewhere": {
            name: (there.created, there.ended, outcomes(there.fields))
            for name, there in one.elsewhere.items()
        },
        "limit": one.brake.limit,
    }


def test_the_report_is_what_was_planned(agency: JoiningAgency) -> None:
    # That two have become one is not taken apart again.
    agency.people.execute("DELETE FROM person WHERE id = 'p7'")
    planned = agency.plan()
    agency.join(brake_limits(agency.hub.parts.settings))
    for _ in range(2):
        found = report(agency)
        assert found.kind == "report"
        for kind in planned.types:
            assert comparable(found.types[kind]) == comparable(planned.types[kind]), kind
        # What the hub wrote back is not the agency's word: the report stays the same.
        agency.apply()


def test_who_came_later_was_not_matched_by_the_join(agency: JoiningAgency) -> None:
    agency.join(brake_limits(agency.hub.parts.settings))
    before = report(agency).types["person"]
    one = said(agency.hub.key("health", "h9"), 1, "insert", cin="ZZ1", birth_date=BORN)
    one.stamp = one.effective = 2**61
    agency.hub.take(one)
    after = report(agency).types["person"]
    assert (after.matched, after.new) == (before.matched, before.new)


def test_what_is_held_and_what_the_agency_refuses_stand_in_it(agency: JoiningAgency) -> None:
    parts = agency.hub.parts
    settings = parts.settings
    parts.settings = settings.model_copy(update={"brake_updates": 1, "brake_updates_percent": 1.0})
    try:
        agency.join(brake_limits(parts.settings))
    finally:
        parts.settings = settings
    with parts.store.begin() as tx:
        tx.connection.exec_driver_sql(
            "INSERT INTO undelivered VALUES (%s, %s, 'person', 1, 'refused', 'not_null', 'nom', 0)",
            (agency.name, b"e" * 16),
        )
    person = report(agency).types["person"]
    (brake,) = Brakes(parts).list()
    assert (person.brake.held, person.brake.overwriting) == (True, brake.held)
    assert numbers(person.here_refused) == {("not_null", "nom"): 1}


def test_the_command_reports_in_words_and_for_programs(agency: JoiningAgency, tmp_path: Path) -> None:
    agency.join(brake_limits(agency.hub.parts.settings))
    page = tmp_path / "report.html"
    wish = ["connector", "report", agency.name, "--mapping", str(agency.file), "--json"]
    told = agency.hub.run(*wish, "--language", "fr", "--html", str(page))
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert found["kind"] == "report"
    assert found["records"]["person"]["matched"] == {"identifier_and_birth_date": 4, "identifier_and_name": 1}
    assert "Bilan du raccordement" in page.read_text(encoding="utf-8")
    assert NEW not in told.stdout + page.read_text(encoding="utf-8")
