"""A new record type needs no code (R1): one `.avsc`, its place in the agreements, one mapping per agency."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from hub.local.stack import PROJECT, AgencyDatabase, Endpoints, Stack, StackOptions

WORKSHOP = {
    "type": "record",
    "name": "workshop",
    "namespace": "ma.jisr.records",
    "doc": "A workshop.",
    "doc_ar": "ورشة.",
    "doc_fr": "Un atelier.",
    "delete": "propagate",
    "fields": [
        {"name": "code", "type": ["null", "string"], "default": None, "authority": ["*"], "privacy": "none",
         "natural_key": True, "doc": "Code.", "doc_ar": "الرمز.", "doc_fr": "Code."},
        {"name": "title_ar", "type": ["null", "string"], "default": None, "authority": ["*"],
         "privacy": "none", "doc": "Title.", "doc_ar": "العنوان.", "doc_fr": "Titre."},
        {"name": "seats", "type": ["null", "int"], "default": None, "authority": ["*"], "privacy": "none",
         "doc": "Seats.", "doc_ar": "المقاعد.", "doc_fr": "Places."},
        {"name": "held_on", "type": ["null", {"type": "int", "logicalType": "date"}], "default": None,
         "authority": ["*"], "privacy": "none", "doc": "Day.", "doc_ar": "اليوم.", "doc_fr": "Jour."},
    ],
}  # fmt: skip

AGREEMENT = """
agency: {agency}
name: {{ar: "{agency}", fr: "{agency}", en: "{agency}"}}
until: 2099-12-31
publishes:
  workshop: [code, title_ar, seats, held_on]
receives:
  workshop:
    fields: [code, title_ar, seats, held_on]
    purpose: training
    legal_basis: public-mission
    create: true
"""

MAPPINGS = {
    "left": """
agency: left
records:
  workshop:
    tables:
      - table: ورشات
        key: الرقم
        fields: {code: الرمز, title_ar: العنوان, seats: المقاعد, held_on: {column: اليوم, format: "%d/%m/%Y"}}
""",
    "right": """
agency: right
records:
  workshop:
    tables:
      - table: atelier
        key: id
        fields: {code: code, title_ar: intitule, seats: places, held_on: jour}
""",
}

TABLES = {
    "left": 'CREATE TABLE "ورشات" ("الرقم" serial PRIMARY KEY, "الرمز" text, "العنوان" text, '
    '"المقاعد" int, "اليوم" text)',
    "right": "CREATE TABLE atelier (id serial PRIMARY KEY, code text, intitule text, places int, jour date)",
}


@pytest.fixture
def hub() -> Iterator[Stack]:
    home = Path(tempfile.mkdtemp(prefix="jisr-type-"))
    try:
        with Stack(_options(home)) as running:
            yield running
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _options(home: Path) -> StackOptions:
    """A release of its own: the project's schemas and one more, two agencies that know only that."""
    schemas = home / "schemas"
    shutil.copytree(PROJECT / "schemas", schemas)
    (schemas / "records" / "workshop.avsc").write_text(json.dumps(WORKSHOP), encoding="utf-8")
    for folder in ("agreements", "connectors"):
        (home / folder).mkdir()
    for agency, mapping in MAPPINGS.items():
        (home / "agreements" / f"{agency}.yaml").write_text(AGREEMENT.format(agency=agency), encoding="utf-8")
        (home / "connectors" / f"{agency}.yaml").write_text(mapping, encoding="utf-8")

    def populate(endpoints: Endpoints) -> None:
        for agency, ddl in TABLES.items():
            with _engine(endpoints, agency).begin() as connection:
                connection.execute(text(ddl))

    return StackOptions(
        home=home / "data",
        agencies=[AgencyDatabase("left"), AgencyDatabase("right")],
        processes="full",
        schemas=schemas,
        agreements=home / "agreements",
        connectors=home / "connectors",
        populate=populate,
    )


def _engine(endpoints: Endpoints, agency: str) -> Engine:
    return create_engine(endpoints.agencies[agency])


def _until(rows: Callable[[], Any], expected: Any, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while (found := rows()) != expected:
        assert time.monotonic() < deadline, f"expected {expected}, found {found}"
        time.sleep(0.05)


def test_a_record_type_of_one_avsc_and_mappings_flows_both_ways(hub: Stack) -> None:
    left, right = (_engine(hub.endpoints, agency) for agency in ("left", "right"))

    def run(engine: Engine, statement: str) -> list[tuple[Any, ...]]:
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    run(
        left,
        """INSERT INTO "ورشات" ("الرمز", "العنوان", "المقاعد", "اليوم")
                 VALUES ('W-1', 'الخياطة', 12, '05/03/2026')""",
    )
    seen = "SELECT code, intitule, places, jour::text FROM atelier"
    _until(lambda: run(right, seen), [("W-1", "الخياطة", 12, "2026-03-05")])

    run(right, "UPDATE atelier SET places = 15, jour = '2026-04-06'")
    back = 'SELECT "الرمز", "العنوان", "المقاعد", "اليوم" FROM "ورشات"'
    _until(lambda: run(left, back), [("W-1", "الخياطة", 15, "06/04/2026")])

    run(left, 'DELETE FROM "ورشات"')
    # The contract says `delete: propagate`: gone here is gone everywhere, also what the other had edited.
    _until(lambda: run(right, seen), [])
