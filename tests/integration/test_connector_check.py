"""`jisr connector check --database`: what the tables of an agency do not fit, before anything runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sql_agency import PROJECT, empty_database
from sqlalchemy import make_url

from connectors.commands import connector
from connectors.compose import open_database
from connectors.sql.database import Database
from hub.errors import Retriable
from hub.local.demo.agencies import databases

MAPPING = """
agency: ads
records:
  person:
    tables:
      - table: people
        key: id
        fields:
          cin: cin
          birth_date: birth
          education_level: {column: level, codes: {P: primary}}
          languages: spoken
          family_name_fr: surname
          given_name_fr: {column: given, format: "%d"}
          received_on: received
      - table: contacts
        joins: person
        fields: {phone: tel}
"""
TABLES = """
CREATE TABLE people (id integer, cin varchar(4), birth integer, level integer, spoken text, surnam text,
    given text, received text, mother text NOT NULL);
CREATE TABLE others (id integer PRIMARY KEY);
"""


@pytest.fixture(params=["postgresql", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return empty_database(request.param, request, tmp_path)


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    db = open_database(url)
    yield db
    db.close()


def execute(db: Any, script: str) -> None:
    for statement in filter(str.strip, script.split(";")):
        db.execute(statement)


def invoke(*arguments: str) -> Any:
    options = ["--schemas", str(PROJECT / "schemas"), "--agreements", str(PROJECT / "deploy" / "agreements")]
    return CliRunner().invoke(connector, [*arguments, *options], catch_exceptions=False)


def test_why_there_is_no_connection_is_told_without_the_password(url: str, tmp_path: Path) -> None:
    if url.startswith("sqlite"):
        pytest.skip("a file has no password")
    file = tmp_path / "ads.yaml"
    file.write_text(MAPPING, encoding="utf-8")
    wrong = make_url(url).set(password="wr0ng").render_as_string(hide_password=False)
    with pytest.raises(Retriable, match="password authentication failed") as refused:
        invoke("check", str(file), "--database", wrong)
    assert "wr0ng" not in str(refused.value)


def test_everything_that_does_not_fit_is_told(db: Database, url: str, tmp_path: Path) -> None:
    execute(db, TABLES)
    file = tmp_path / "ads.yaml"
    file.write_text(MAPPING, encoding="utf-8")
    result = invoke("check", str(file), "--database", url)
    assert result.exit_code == 1
    for told in (
        f"{file}:7:9: column 'id' of people is not unique",
        f"{file}:9:11: warning: column 'cin' holds 4 characters, cin may have 9",
        f"{file}:10:11: column 'birth' is",
        f"{file}:11:11: column 'level' is",
        f"{file}:12:11: languages is a list: give the `separator` used in 'spoken'",
        f"{file}:13:11: table people has no column 'surname'; did you mean 'surnam'?",
        f"{file}:14:11: given_name_fr: `format` is for dates",
        f"{file}:6:9: column 'mother' may not be empty, has no default, and no received field fills it",
        f"{file}:16:9: no table 'contacts' in this database",
    ):
        assert told in result.output, result.output


def test_a_view_is_told_from_a_table(db: Database, url: str, tmp_path: Path) -> None:
    execute(db, "CREATE TABLE people (id integer PRIMARY KEY, cin text)")
    execute(db, "CREATE VIEW counter AS SELECT id, cin FROM people")
    file = tmp_path / "ads.yaml"
    mapping = "agency: ads\nrecords: {person: {tables: [{table: counter, key: id, fields: {cin: cin}}]}}\n"
    file.write_text(mapping, encoding="utf-8")
    told = invoke("check", str(file), "--database", url).output
    assert "'counter' is a view" in told
    assert "is not unique" not in told
    refused = CliRunner().invoke(connector, ["install", str(file), "--database", url])
    assert "'counter' is a view" in str(refused.exception)


def test_a_key_that_nobody_makes_is_told(db: Database, url: str, tmp_path: Path) -> None:
    # SQLite takes a row without a key here, and so does a column that is unique and may be empty.
    execute(db, "CREATE TABLE people (id text UNIQUE, cin text)")
    file = tmp_path / "ads.yaml"
    mapping = "agency: ads\nrecords: {person: {tables: [{table: people, key: KEY, fields: {cin: cin}}]}}\n"
    file.write_text(mapping.replace("KEY", "id"), encoding="utf-8")
    told = invoke("check", str(file), "--database", url).output
    assert "the database makes no key for people; say how" in told
    as_json = invoke("check", str(file), "--database", url, "--json")
    assert as_json.exit_code == 1
    (problem,) = (one for one in json.loads(as_json.output)["problems"] if not one["warning"])
    assert problem["message"].startswith("the database makes no key for people; say how")
    assert f"{file}:{problem['line']}:{problem['column']}: {problem['message']}" in told
    file.write_text(mapping.replace("KEY", "{column: id, generated: uuid}"), encoding="utf-8")
    assert invoke("check", str(file), "--database", url).exit_code == 0


@pytest.mark.parametrize("agency", sorted(databases.AGENCY_DATABASES))
def test_the_demonstrations_mappings_fit_its_tables(
    agency: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = empty_database(databases.AGENCY_DATABASES[agency][0], request, tmp_path)
    databases.create(url, agency)
    file = PROJECT / "deploy" / "connectors" / f"{agency}.yaml"
    result = invoke("check", str(file), "--database", url)
    assert result.output.endswith("0 error(s), 0 warning(s)\n"), result.output


def test_installing_status_and_uninstalling(db: Database, url: str, tmp_path: Path) -> None:
    execute(db, "CREATE TABLE people (id integer PRIMARY KEY, cin text)")
    file = tmp_path / "ads.yaml"
    mapping = "agency: ads\nrecords: {person: {tables: [{table: people, key: id, fields: {cin: cin}}]}}\n"
    file.write_text(mapping, encoding="utf-8")
    status = CliRunner().invoke(connector, ["status", str(file), "--database", url])
    assert "capture is not installed" in str(status.exception)
    for command in (["resnapshot", "--yes"], ["sweep"]):
        refused = CliRunner().invoke(connector, [*command, str(file), "--database", url])
        assert "capture is not installed" in str(refused.exception), command
    for _ in range(2):
        assert invoke("install", str(file), "--database", url).exit_code == 0
    execute(db, "INSERT INTO people VALUES (1, 'SH1')")
    status = CliRunner().invoke(connector, ["status", str(file), "--database", url])
    assert "captured and not sent: 1 rows" in status.output
    assert invoke("sweep", str(file), "--database", url, "--rows-per-second", "1000").exit_code == 0
    status = CliRunner().invoke(connector, ["status", str(file), "--database", url, "--json"])
    told = json.loads(status.output)
    assert (told["agency"], told["epoch"], told["restored_ms"]) == ("ads", 1, None)
    assert (told["queue"], told["deliveries"]) == ({"rows": 1, "marked": 0}, [])
    assert [one["last"]["cost"]["rows"] for one in told["sweeps"]] == [1]
    CliRunner().invoke(connector, ["resnapshot", str(file), "--database", url, "--yes"])
    status = CliRunner().invoke(connector, ["status", str(file), "--database", url])
    assert "epoch 2" in status.output
    other = tmp_path / "entraide.yaml"
    other.write_text(mapping.replace("agency: ads", "agency: entraide"), encoding="utf-8")
    for command in (["install"], ["status"], ["resnapshot", "--yes"], ["sweep"], ["uninstall", "--yes"]):
        refused = CliRunner().invoke(connector, [*command, str(other), "--database", url])
        assert "this database is ads's, and the mapping is entraide's" in str(refused.exception), command
    CliRunner().invoke(connector, ["uninstall", str(file), "--database", url, "--yes"])
    execute(db, "INSERT INTO people VALUES (2, 'SH2')")
    status = CliRunner().invoke(connector, ["status", str(file), "--database", url])
    assert "capture is not installed" in str(status.exception)
