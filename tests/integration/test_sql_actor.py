"""Capture tells which account at the agency made an edit, so that it can be taken back by who made it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sql_agency import MAPPING, PERSON, TABLES, Agency, empty_database

from hub.local.stack import Stack


def made(kind: str, request: pytest.FixtureRequest, folder: Path, mapping: str = MAPPING) -> Agency:
    notes_who = TABLES[kind].replace("recu date,", "recu date, saisi_par text,", 1)
    return Agency(kind, empty_database(kind, request, folder), folder, notes_who, mapping)


@pytest.fixture(params=["postgresql", "sqlite"])
def agency(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agency]:
    mapping = MAPPING.replace("modified_at: maj", "modified_at: maj\n        actor: saisi_par")
    agency = made(request.param, request, tmp_path, mapping)
    agency.start()
    yield agency
    agency.close()


@pytest.fixture
def one_account(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agency]:
    """On PostgreSQL, where no column tells."""
    agency = made("postgresql", request, tmp_path)
    agency.start()
    yield agency
    agency.close()


def edit(agency: Agency, key: str, what: str) -> None:
    agency.sql(f'UPDATE {PERSON} SET {what} WHERE "المعرف" = {key}')


def test_a_column_tells_who_wrote_the_row(agency: Agency) -> None:
    key = agency.add(cin="SH1", saisi_par="nadia")
    assert agency.change().actor == "nadia"
    edit(agency, key, "cin = 'SH2', saisi_par = 'said'")
    assert agency.change().actor == "said"
    # Who wrote it is no value: it alone says nothing, and a name that the hub would refuse stops nothing.
    edit(agency, key, "saisi_par = 'nadia'")
    assert agency.changes() == []
    edit(agency, key, f"cin = 'SH3', saisi_par = ' {'x' * 300}\n'")
    change = agency.change()
    assert (change.actor, change.values) == ("x" * 200, {"cin": "SH3"})
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {key}')
    user = agency.sql("SELECT session_user")[0][0] if agency.kind == "postgresql" else None
    change = agency.change()
    assert (change.operation, change.actor) == ("delete", user)


def test_what_different_actors_did_are_different_changes(agency: Agency) -> None:
    key = agency.add(cin="SH1", saisi_par="nadia")
    agency.changes()
    agency.sql("BEGIN")
    edit(agency, key, "cin = 'SH2', saisi_par = 'nadia'")
    edit(agency, key, "\"الجنس\" = 'أ'")
    edit(agency, key, "cin = 'SH3', saisi_par = 'script'")
    agency.sql("COMMIT")
    first, second = agency.changes()
    assert (first.actor, first.values) == ("nadia", {"cin": "SH2", "sex": "female"})
    assert (second.actor, second.values) == ("script", {"cin": "SH3"})
    assert first.stamp < second.stamp
    assert first.event_id != second.event_id


def test_else_it_is_the_account_of_the_session_or_what_the_application_says(
    one_account: Agency, stack: Stack
) -> None:
    agency = one_account
    user = agency.sql("SELECT session_user")[0][0]
    key = agency.add(cin="SH1")
    assert agency.change().actor == user
    agency.sql(f"GRANT UPDATE, SELECT ON {PERSON} TO PUBLIC")
    clerk, url = f"clerk_{uuid.uuid4().hex}", stack.superuser_url(agency.url.rpartition("/")[2])
    with psycopg.connect("postgresql://" + url.partition("://")[2], autocommit=True) as session:
        session.execute(f"CREATE ROLE {clerk}")
        session.execute(f"SET ROLE {clerk}")
        session.execute(f"UPDATE {PERSON} SET cin = 'SH2' WHERE \"المعرف\" = {key}")
        session.execute("RESET ROLE")
        session.execute(f"DROP ROLE {clerk}")
    assert agency.change().actor == clerk
    agency.sql("BEGIN")
    agency.sql("SELECT set_config('jisr.actor', 'import-2026-03', true)")
    edit(agency, key, "cin = 'SH4'")
    agency.sql(f"INSERT INTO contact (qui, commune) VALUES ({key}, '12.066.01.01')")
    agency.sql("COMMIT")
    change = agency.change()
    assert change.actor == "import-2026-03"
    assert change.values == {"cin": "SH4", "commune": "12.066.01.01"}
    # The setting was the transaction's.
    edit(agency, key, "cin = 'SH5'")
    assert agency.change().actor == user
