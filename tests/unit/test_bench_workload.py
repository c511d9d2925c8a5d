"""The benchmark's workload: the same for the same seed, valid by the contract, and as it is described."""

from __future__ import annotations

import datetime

import pytest

from hub.contracts.records import Catalogue
from hub.contracts.values import encode
from hub.local.bench.parts import _percentile
from hub.local.bench.workload import COLUMNS, COMMIT_ROWS, INSERTED, made_up, updates, workload
from hub.local.stack import PROJECT


def test_the_same_seed_gives_the_same_rows() -> None:
    assert workload(1_000, 7) == workload(1_000, 7)
    assert workload(1_000, 7) != workload(1_000, 8)


@pytest.mark.parametrize("changes", [10, 200, 1_234, 10_000])
def test_so_many_are_inserts_and_half_of_the_people_are_known_elsewhere(changes: int) -> None:
    load = workload(changes, 1)
    assert load.changes == changes
    inserted = [row for inserts, rows in load.commits if inserts for row in rows]
    assert inserted == load.people
    assert len(inserted) == round(changes * INSERTED)
    assert len(load.known) == len(load.people) // 2
    assert max(len(rows) for _, rows in load.commits) <= COMMIT_ROWS


def test_an_update_is_of_somebody_who_was_inserted_before() -> None:
    there: set[str] = set()
    for inserts, rows in workload(5_000, 1).commits:
        if inserts:
            there.update(row[0] for row in rows)
        else:
            assert {cin for _, _, cin in rows} <= there


def test_two_workloads_of_one_run_share_nobody() -> None:
    one, other = (workload(300, 1, first) for first in (0, 500_000))
    assert not {row[0] for row in one.people} & {row[0] for row in other.people}


def test_people_may_be_made_up_in_pieces_and_each_is_edited_once() -> None:
    people = [*made_up(0, 300, 1), *made_up(300, 200, 1)]
    assert len({row[0] for row in people}) == 500
    edited = [cin for inserts, rows in updates(500, 400, 1).commits if not inserts for _, _, cin in rows]
    assert len(edited) == len(set(edited)) == updates(500, 400, 1).changes == 400
    assert {row[0] for row in people} > set(edited)
    assert updates(500, 1_000, 1).changes == 500


def test_every_value_is_one_that_the_contract_allows() -> None:
    specs = Catalogue.load(PROJECT / "schemas" / "records").records["person"].by_name
    assert set(COLUMNS) == set(specs)
    for row in workload(500, 1).people:
        for name, value in zip(COLUMNS, row, strict=True):
            dated = datetime.date.fromisoformat(value) if specs[name].kind == "date" else value
            for one in value if isinstance(value, list) else [dated]:
                encode(specs[name], one)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(1, 1001)]
    assert [_percentile(values, p) for p in (50, 99, 99.9, 100)] == [500, 990, 999, 1000]
    assert _percentile([3.0], 50) == 3.0
