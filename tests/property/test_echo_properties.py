"""Echo filtering: what is left follows from what was told and from the changes, not from their order (R8)."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from support.changes import _START_MS, encoded, key, said
from support.contracts import IDS, TYPES
from support.histories import _VALUES

from hub.core.assertions import Change, RecordState, pack
from hub.core.crosswalk import Entity, Held, World
from hub.core.echoes import KEPT, WINDOW_MS, Echoes, Telling, note_told, without_echoes
from hub.core.merge import Winner
from hub.core.projection import RETRACT, UPSERT, Content
from hub.core.step import absorb_all

ADS, EN = key("ads", "1"), key("entraide", "1")
RECORD = IDS.record(*ADS)
FIELDS = ("phone", "sex", "languages")


def at_ms(number: float) -> int:
    return _START_MS + int(number * 60_000)


def tell(before: Echoes | None, number: float, by: Any = EN, **values: Any) -> Echoes:
    """What ADS is told at a minute; `by`: whose word it is."""
    golden = {
        name: Winner(None, 0, 0, by, tuple(encoded("person", name, item) for item in value))
        if isinstance(value, list)
        else Winner(None if value is None else encoded("person", name, value), 0, 0, by)
        for name, value in values.items()
    }
    content = Content(UPSERT, None, None, tuple(golden))
    return note_told(before, "ads", content, golden, FIELDS, at_ms(number))


def left(change: Change, echoes: Echoes, appended: float | None = None) -> Change:
    if appended is not None:
        change = msgspec.structs.replace(change, appended_ms=at_ms(appended))
    return without_echoes(change, echoes.told, frozenset())


@st.composite
def tellings(draw: st.DrawFn) -> Echoes:
    echoes = None
    for number in sorted(draw(st.lists(st.integers(0, 60), min_size=1, max_size=6))):
        names = draw(st.sets(st.sampled_from(FIELDS)))
        values = {name: draw(st.sampled_from(_VALUES["person"][name])) for name in sorted(names)}
        echoes = tell(echoes, number, draw(st.sampled_from([ADS, EN])), **values)
    assert echoes is not None
    return echoes


@st.composite
def changes(draw: st.DrawFn) -> Change:
    names = draw(st.sets(st.sampled_from(FIELDS), min_size=1))
    values = {name: draw(st.sampled_from(_VALUES["person"][name])) for name in sorted(names)}
    removed = draw(st.sampled_from([None, {"languages": ["fr"]}, {"languages": ["ar"]}]))
    number = draw(st.integers(0, 70))
    change = said(ADS, number, removed=removed, **values)
    return msgspec.structs.replace(change, appended_ms=at_ms(number + draw(st.integers(0, 60))))


def absorbed(batches: list[list[Change]], echoes: Echoes) -> tuple[bytes, dict[str, int]]:
    """What the record asserts after these batches, and the echoes noted."""
    world = World()
    world.records[RECORD] = RecordState(id=RECORD, key=ADS)
    world.entity_of[RECORD] = RECORD
    held = Held(b"", UPSERT, 1, copy.deepcopy(echoes))
    world.entities[RECORD] = Entity(id=RECORD, record_type="person", held={"ads": held})
    for batch in batches:
        absorb_all(world, batch, lambda record: IDS.record(*record), TYPES)
    assert held.echoes is not None
    return pack(world.records[RECORD].asserts), held.echoes.dropped


@given(st.data(), tellings(), st.lists(changes(), max_size=8))
def test_r8_order_repetition_and_batches_do_not_matter(
    data: st.DataObject, echoes: Echoes, those: list[Change]
) -> None:
    expected = absorbed([those], echoes)
    mixed = data.draw(st.permutations(those + those[: len(those) // 2]))
    assert absorbed([mixed], echoes) == expected
    assert absorbed([[change] for change in mixed], echoes) == expected


@given(tellings(), tellings(), changes())
def test_r8_what_is_told_after_a_change_reached_the_broker_does_not_matter(
    echoes: Echoes, later: Echoes, change: Change
) -> None:
    """So a redrive, a repetition or a late worker decides as would have been decided at once."""
    more = copy.deepcopy(echoes)
    for name, those in later.told.items():
        base = max(change.appended_ms, more.told[name][-1].at_ms) + 1
        more.told[name] += [one._replace(at_ms=base + one.at_ms - _START_MS) for one in those]
    assert left(change, more) == left(change, echoes)


@given(tellings(), changes())
def test_nothing_is_lost_or_made_up(echoes: Echoes, change: Change) -> None:
    own = left(change, echoes)
    out = own.echoes or msgspec.structs.replace(change, values={}, added={}, removed={})
    assert {**own.values, **out.values} == change.values
    assert not own.values.keys() & out.values.keys()
    for whole, kept, gone in (
        (change.added, own.added, out.added),
        (change.removed, own.removed, out.removed),
    ):
        assert {n: set(those) for n, those in whole.items()} == {
            n: {*those, *gone.get(n, ())} for n, those in kept.items()
        }


def test_r12_a_whole_record_written_back_says_nothing_but_what_was_edited() -> None:
    told = tell(None, 1, phone="+212611111111", languages=["ar", "fr"])
    written = said(ADS, 5, phone="+212611111111", sex=None, languages=["ar", "fr", "es"])
    own = left(written, told)
    assert (own.values, own.added) == ({}, {"languages": [encoded("person", "languages", "es")]})
    assert own.echoes is not None
    assert own.echoes.values == {"phone": encoded("person", "phone", "+212611111111"), "sex": None}
    edited = left(said(ADS, 5, phone="+212622222222", sex="male", removed={"languages": ["fr"]}), told)
    assert edited.echoes is None


def test_an_update_in_flight_is_not_overwritten_and_a_way_back_is_open_later_on() -> None:
    told = tell(tell(None, 1, phone="+212611111111"), 10, phone="+212622222222", sex="male")
    back = {"phone": "+212611111111", "sex": None}
    within = 10 + WINDOW_MS / 60_000
    assert left(said(ADS, within - 1, **back), told).values == {}
    assert left(said(ADS, within, **back), told).echoes is None
    # What the agency had replaced itself it knew to be replaced.
    own = tell(tell(None, 1, phone="+212611111111"), 10, ADS, phone="+212622222222")
    assert left(said(ADS, 11, phone="+212611111111"), own).echoes is None


def test_what_it_said_before_it_was_told_is_its_own_word() -> None:
    told = tell(None, 10, phone="+212611111111")
    same = said(ADS, 9, phone="+212611111111")
    assert left(same, told, appended=9.5).echoes is None
    # It was told before its change reached the broker: a clock that is behind, up to the bound on skew.
    assert left(same, told, appended=11).values == {}
    assert left(said(ADS, 4, phone="+212611111111"), told, appended=11).echoes is None


def test_after_a_retraction_what_was_told_is_no_word_of_its_own_either() -> None:
    told = tell(None, 1, phone="+212611111111")
    told = note_told(told, "ads", Content(RETRACT), {}, FIELDS, at_ms(10))
    assert left(said(ADS, 12, phone="+212611111111"), told).values == {}
    assert left(said(ADS, 60, phone="+212611111111"), told).echoes is None


def test_what_is_kept_is_bounded() -> None:
    told = None
    for number in range(20):
        told = tell(told, number, phone=f"+2126{number:08}")
    assert told is not None
    assert [one.at_ms for one in told.told["phone"]] == [at_ms(n) for n in range(20 - KEPT, 20)]
    # A clock that was set back does not mix the order.
    assert tell(told, 5, phone="+212600000000").told["phone"][-1].at_ms == at_ms(19)
    assert told.told["sex"] == [Telling(at_ms(0), b"", own=False)]
