"""A mapping as it is remembered in the agency's database: the same again, and what differs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connectors.sql.forms import differing, form_of, record_of
from connectors.sql.mapping import Mapping
from connectors.sql.mapping_reader import read_mapping

ROOT = Path(__file__).parents[2]
MAPPINGS = sorted((ROOT / "deploy" / "connectors").glob("*.yaml"))


def mapping(path: Path) -> Mapping:
    return read_mapping(path)[0]


@pytest.mark.parametrize("path", MAPPINGS, ids=lambda path: path.stem)
def test_a_mapping_comes_back_as_it_was(path: Path) -> None:
    known = mapping(path)
    for record in known.records.values():
        form = form_of(record, known.timezone)
        # As PostgreSQL keeps it: the names of an object in an order of its own.
        kept = json.loads(json.dumps(form, sort_keys=True))
        assert form_of(record_of(kept), known.timezone) == form
        assert differing(kept, form) == frozenset()
        for table, before in zip(record_of(kept).tables, record.tables, strict=True):
            assert [list(one.prefix) for one in table.fields] == [list(one.prefix) for one in before.fields]
            assert table.columns == before.columns


def test_what_a_value_depends_on_differs() -> None:
    known = mapping(ROOT / "deploy" / "connectors" / "ads.yaml")
    person = known.records["person"]
    plain = form_of(person, known.timezone)
    assert differing(plain, form_of(person, "Africa/Cairo")) == set(person.field_names)
    assert differing(plain, form_of(person, known.timezone, ["cin", "unknown"])) == {"cin"}
    assert differing(plain, plain | {"tables": plain["tables"][:1]}) == frozenset()
    assert differing(plain | {"tables": plain["tables"][:1]}, plain) == set(person.tables[1].field_names)
