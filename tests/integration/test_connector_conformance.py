"""The SQL connector keeps what every connector keeps, on either kind of database."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sql_agency import CATALOGUE, PERSON, Agency, empty_database

from connectors.conformance import SinkCases, SourceCases
from connectors.sql.sink import SqlSink
from connectors.sql.source import SqlSource

BIRTH = "%d/%m/%Y"


class Office:
    """The agency of the SQL connector's tests, as a `System`."""

    def __init__(self, agency: Agency) -> None:
        self._agency = agency

    def source(self) -> SqlSource:
        return self._agency.new_source()

    def sink(self) -> SqlSink:
        return self._agency.new_sink()

    def insert(self, values: Mapping[str, Any]) -> str:
        return self._agency.add(**_columns(values))

    def update(self, local_id: str, values: Mapping[str, Any]) -> None:
        columns = _columns(values)
        sets = ", ".join(f'"{column}" = ?' for column in columns)
        self._agency.sql(f'UPDATE {PERSON} SET {sets} WHERE "المعرف" = ?', *columns.values(), int(local_id))

    def delete(self, local_id: str) -> None:
        self._agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = ?', int(local_id))

    def holds(self) -> dict[str, dict[str, Any]]:
        rows = self._agency.sql(f'SELECT "المعرف", cin, "تاريخ", names FROM {PERSON}')
        return {str(key): _fields(*row) for key, *row in rows}


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    columns = {"cin": values["cin"], "تاريخ": values["birth_date"].strftime(BIRTH)}
    if "family_name_fr" in values:
        columns["names"] = f"{values['family_name_fr']}, {values['given_name_fr']}"
    return columns


def _fields(cin: str | None, born: str | None, names: str) -> dict[str, Any]:
    family, _, given = names.partition(", ")
    day = datetime.datetime.strptime(born, BIRTH).date() if born else None  # noqa: DTZ007
    return {"cin": cin, "birth_date": day, "family_name_fr": family, "given_name_fr": given}


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
class TestSql(SourceCases, SinkCases):
    agency = "entraide"
    record = CATALOGUE.records["person"]
    values: ClassVar = {
        "cin": "SH123456",
        "birth_date": datetime.date(1990, 3, 7),
        "family_name_fr": "El Idrissi",
        "given_name_fr": "Fatima Zahra",
    }
    edit: ClassVar = {"cin": "SH654321", "birth_date": datetime.date(1990, 7, 3)}

    @pytest.fixture
    def system(self, kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
        agency = Agency(kind, empty_database(kind, request, tmp_path), tmp_path)
        yield Office(agency)
        agency.close()
