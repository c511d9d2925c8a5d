"""What captured rows assert: grouping, stamps and masks, without a database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors.sdk import Change
from connectors.sql.assemble import STALE_WINDOW_MS, Assembled, assemble, group, noted
from connectors.sql.convert import Converter
from connectors.sql.mapping import FieldMap, JoinMap, RecordMap, TableMap
from connectors.sql.rows import Captured, Shadow
from hub.contracts.records import Catalogue
from hub.core import stamps

CATALOGUE = Catalogue.load(Path(__file__).parents[2] / "schemas" / "records")
MAIN = TableMap(
    0,
    "people",
    "id",
    fields=(FieldMap("cin", ("cin",)), FieldMap("languages", ("langs",), separator=",")),
    joined=(JoinMap("name", ("family_name_fr", "given_name_fr"), ", "),),
)
PART = TableMap(1, "contacts", "person", fields=(FieldMap("phone", ("tel",)),))
CONVERTER = Converter(CATALOGUE.records["person"], RecordMap("person", (MAIN, PART)))
ALL = frozenset(CONVERTER.slot_of)
NOW_MS = 1_800_000_000_000


def row(seq: int, op: str, old: Any = None, new: Any = None, **more: Any) -> Captured:
    given = {"txid": 1, "part": 0, "local_id": "7", "incarnation": 0, "known": 0, "clock_ms": NOW_MS, **more}
    return Captured(seq=seq, record="person", op=op, old=old, new=new, **given)


def said(rows: list[Captured], shadow: Shadow | None = None, published: Any = ALL) -> list[Assembled]:
    return [
        assemble(edit, shadow, CONVERTER, published, lambda record, seq: f"{record}-{seq}")
        for edit in group(rows)
    ]


def change(rows: list[Captured], shadow: Shadow | None = None, published: Any = ALL) -> Change | None:
    (only,) = said(rows, shadow, published)
    return only.change


def kinds(rows: list[Captured]) -> list[tuple[str, int, int]]:
    return [(edit.operation, edit.incarnation, edit.first_seq) for edit in group(rows)]


def test_what_different_actors_did_are_different_edits_but_for_parts_that_name_nobody() -> None:
    rows = [
        row(1, "I", new={"cin": "A1"}, actor="nadia"),
        row(2, "I", new={"tel": "1"}, part=1),
        row(3, "U", {"cin": "A1"}, {"cin": "A2"}, actor="nadia"),
        row(4, "U", {"cin": "A2"}, {"cin": "A3"}, actor="said"),
        row(5, "U", {"cin": "A3"}, {"cin": "A4"}),
        row(6, "D", {"cin": "A4"}, actor="nadia"),
        row(7, "D", {"tel": "1"}, part=1, actor="postgres"),
    ]
    assert [(edit.first_seq, edit.actor) for edit in group(rows)] == [
        (1, "nadia"),
        (4, "said"),
        (5, None),
        (6, "nadia"),
    ]


def test_rows_of_one_transaction_and_key_are_one_edit_and_others_their_own() -> None:
    rows = [
        row(1, "I", new={"cin": "A1"}),
        row(2, "U", {"cin": "B1"}, {"cin": "B2"}, local_id="8"),
        row(3, "U", {"cin": "A1"}, {"cin": "A2"}),
        row(4, "I", new={"tel": None}, part=1),
        row(5, "U", {"cin": "A2"}, {"cin": "A3"}, txid=2),
    ]
    assert kinds(rows) == [("insert", 0, 1), ("update", 0, 2), ("update", 0, 5)]
    first = group(rows)[0]
    assert (first.old[0], first.new[0]) == (None, {"cin": "A2"})


@pytest.mark.parametrize(
    ("ops", "expected"),
    [
        ("IUD", [("delete", 0, 1)]),
        ("UDI", [("delete", 0, 1), ("insert", 1, 3)]),
        ("DIDI", [("delete", 0, 1), ("delete", 1, 2), ("insert", 2, 4)]),
        ("LU", [("link", 0, 1), ("update", 0, 2)]),
        ("LXI", [("link", 0, 1), ("unlink", 0, 2), ("insert", 1, 3)]),
        ("UTU", [("update", 0, 1)]),
    ],
)
def test_a_delete_ends_an_edit_and_the_key_used_again_is_another(
    ops: str, expected: list[tuple[str, int, int]]
) -> None:
    life, rows = 0, []
    for seq, op in enumerate(ops, start=1):
        new = {"entity": "E"} if op in "LX" else {"cin": f"A{seq}"}
        rows.append(row(seq, op, {"cin": "A"}, new, incarnation=life))
        life += op in "DX"
    assert kinds(rows) == expected


def test_a_part_before_its_records_insert_belongs_to_it() -> None:
    rows = [row(1, "I", new={"tel": "+212612345678"}, part=1), row(2, "I", new={"cin": "A1"}, incarnation=3)]
    (only,) = group(rows)
    assert (only.operation, only.incarnation) == ("insert", 3)


def test_a_part_that_goes_with_its_record_says_nothing() -> None:
    rows = [
        row(1, "D", {"cin": "A1"}),
        row(2, "D", {"tel": "+212612345678"}, part=1),
    ]
    assert [a.change.operation for a in said(rows) if a.change] == ["delete"]


def test_a_stamp_is_the_clock_unless_that_would_lose() -> None:
    clock = stamps.at(NOW_MS)
    edit = [row(1, "U", {"cin": "A1"}, {"cin": "A2"})]
    assert change(edit).stamp == clock  # type: ignore[union-attr]
    assert change(edit, Shadow("person", "7", last=clock)).stamp == clock + 1  # type: ignore[union-attr]
    ahead = [row(1, "U", {"cin": "A1"}, {"cin": "A2"}, known=clock + 99)]
    assert change(ahead).stamp == clock + 100  # type: ignore[union-attr]


def test_only_what_may_be_published_is_said() -> None:
    edit = [row(1, "U", {"cin": "A1", "name": "X, Y"}, {"cin": "A2", "name": "X, Z"})]
    assert change(edit, published=frozenset({"cin"})).changed == ("cin",)  # type: ignore[union-attr]
    assert change(edit, published=frozenset({"phone"})) is None


def test_the_hubs_own_value_is_not_an_assertion_unless_contradicted_since() -> None:
    shadow = Shadow("person", "7", delivered={"cin": ["A2", ["A2"]]})
    edit = [row(1, "U", {"cin": "A1"}, {"cin": "A2"})]
    assert change(edit, shadow) is None
    shadow.own["cin"] = 1
    assert change(edit, shadow).changed == ("cin",)  # type: ignore[union-attr]
    # Of an earlier life the shadow says nothing.
    shadow.own.clear()
    shadow.incarnation = 1
    assert change(edit, shadow).changed == ("cin",)  # type: ignore[union-attr]


def test_a_value_put_back_is_stale_within_the_window_only() -> None:
    edit = [row(1, "U", {"cin": "A2"}, {"cin": "A1"})]
    shadow = Shadow("person", "7", replaced={"cin": [["A1"], NOW_MS - STALE_WINDOW_MS]})
    stale = change(edit, shadow)
    assert stale is not None
    assert (stale.changed, stale.stale, stale.values) == ((), ("cin",), {"cin": "A1"})
    shadow.replaced["cin"][1] -= 1
    assert change(edit, shadow).changed == ("cin",)  # type: ignore[union-attr]


def test_what_is_sent_is_noted() -> None:
    shadow = Shadow(
        "person", "7", delivered={"cin": ["A", ["A"]]}, kept={"cin": "B"}, replaced={"cin": [["C"], 0]}
    )
    sent = Change("e", "person", "7", "update", stamp=5, changed=("cin",), stale=("phone",))
    noted(shadow, sent)
    assert (shadow.own, shadow.last) == ({"cin": 5, "phone": 5}, 5)
    assert (shadow.delivered, shadow.kept, shadow.replaced) == ({}, {}, {})
    # A life that has ended since is over; only the clock goes on.
    shadow.incarnation = 1
    noted(shadow, Change("f", "person", "7", "update", stamp=9, changed=("languages",)))
    assert ("languages" in shadow.own, shadow.last) == (False, 9)


def test_an_edit_within_one_batch_that_comes_back_says_nothing() -> None:
    rows = [
        row(1, "U", {"cin": "A1"}, {"cin": "A2"}, txid=0),
        row(2, "U", {"cin": "A2"}, {"cin": "A1"}, txid=0),
    ]
    assert change(rows) is None


def test_a_null_list_and_an_empty_one_are_the_same() -> None:
    assert change([row(1, "U", {"langs": None}, {"langs": ""})]) is None
    assert change([row(1, "U", {"langs": "ar,fr"}, {"langs": "fr , ar"})]) is None
