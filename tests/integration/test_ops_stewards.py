"""A steward's word: holds are released or rejected, pairs are one person or two, and what follows is left
to the workers to publish."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ops_hub import OpsHub, ops_hub
from support.changes import said

from hub.contracts.values import encode
from hub.core.assertions import RecordKey
from hub.core.merge import golden_record
from hub.errors import Fatal
from hub.lanes.messages import hub_name
from hub.lanes.publication import read_named
from hub.local.stack import Stack
from hub.ops.finding import NotFound
from hub.ops.holds import Holds
from hub.ops.reviews import Reviews
from hub.ops.veil import COVER, Veil
from hub.store.positions import leftover_publications
from hub.store.stewardship import HeldChange

BORN, OTHER_DAY = datetime.date(1990, 5, 1), datetime.date(1991, 6, 2)


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("ops")
    with ops_hub(stack, folder) as made:
        yield made


def golden(hub: OpsHub, record: RecordKey, name: str) -> Any:
    """The golden value of the entity that the record stands for, encoded."""
    with hub.parts.looking() as tx:
        entity = tx.records({hub.parts.ids.record(*record)}).entity_of[hub.parts.ids.record(*record)]
        members = tx.members({entity}).records.values()
    won = golden_record(hub.parts.types[record.record_type], members).get(name)
    return won and won.value


def encoded(hub: OpsHub, name: str, value: Any) -> bytes | None:
    return encode(hub.parts.catalogue.records["person"].by_name[name], value)


def entity(hub: OpsHub, record: RecordKey) -> bytes:
    identity = hub.parts.ids.record(*record)
    with hub.parts.looking() as tx:
        return tx.records({identity}).entity_of[identity]


def held(hub: OpsHub, record: RecordKey) -> HeldChange:
    return next(one for one in Holds(hub.parts).list() if one.change.key == record)


def left_to_publish(hub: OpsHub) -> set[bytes]:
    """Entities in publications that a sweeping worker takes at once; takes them away."""
    with hub.parts.store.begin() as tx:
        rows = leftover_publications(tx, "any worker", 15.0)
        tx.drop_publications([row for row, _ in rows])
    return set(read_named(payload for _, payload in rows)[0])


def stale_form(hub: OpsHub, local_id: str, replaced_at: float = 2) -> RecordKey:
    """A phone that was replaced, and a form that puts the old one back, with a name that is new."""
    ads = hub.key("ads", local_id)
    entraide = hub.key("entraide", local_id)
    hub.take(
        said(ads, 1, "insert", cin=f"AB{local_id}", birth_date=BORN, phone="+212611111111"),
        said(entraide, replaced_at, "insert", cin=f"AB{local_id}", birth_date=BORN, phone="+212622222222"),
    )
    hub.take(said(ads, replaced_at + 1, given_name_fr="Zineb", stale={"phone": "+212611111111"}))
    return ads


# Holds


# The later one is a stamp beyond the clock of this machine: another clock ran ahead.
@pytest.mark.parametrize(("local_id", "replaced_at"), [("1", 2), ("11", 30_000_000)])
def test_a_released_stale_form_is_asserted_above_all_that_stands(
    hub: OpsHub, local_id: str, replaced_at: float
) -> None:
    ads = stale_form(hub, local_id, replaced_at)
    assert golden(hub, ads, "phone") == encoded(hub, "phone", "+212622222222")
    hold = held(hub, ads)
    assert (hold.reason, hold.fields) == ("stale_form", ("phone",))

    assert Holds(hub.parts).release(hold.id, "Salma", "she called and confirmed")

    assert golden(hub, ads, "phone") == encoded(hub, "phone", "+212611111111")
    assert left_to_publish(hub) == {entity(hub, ads)}
    assert hold.id not in [one.id for one in Holds(hub.parts).list()]
    decided = next(one for one in Holds(hub.parts).list(all_states=True) if one.id == hold.id)
    assert (decided.state, decided.who, decided.why) == ("released", "Salma", "she called and confirmed")


def test_releasing_again_changes_nothing(hub: OpsHub) -> None:
    ads = stale_form(hub, "2")
    hold = held(hub, ads)
    assert Holds(hub.parts).release(hold.id, "Salma", "confirmed")
    hub.take(said(hub.key("entraide", "2"), 40_000_000, phone="+212633333333"))
    left_to_publish(hub)
    before = hub.rows("SELECT id, version FROM entity ORDER BY id")
    assert not Holds(hub.parts).release(hold.id, "Driss", "once more")
    assert hub.rows("SELECT id, version FROM entity ORDER BY id") == before
    assert left_to_publish(hub) == set()
    assert next(one for one in Holds(hub.parts).list(all_states=True) if one.id == hold.id).who == "Salma"


def test_a_rejected_stale_form_leaves_what_stands(hub: OpsHub) -> None:
    ads = stale_form(hub, "3")
    hold = held(hub, ads)
    assert Holds(hub.parts).reject(hold.id, "Salma", "an old print")
    assert not Holds(hub.parts).reject(hold.id, "Salma", "an old print")
    assert golden(hub, ads, "phone") == encoded(hub, "phone", "+212622222222")
    # A second thought: what was only set aside can still be released.
    assert Holds(hub.parts).release(hold.id, "Salma", "it was right after all")
    with pytest.raises(Fatal, match="was released by Salma"):
        Holds(hub.parts).reject(hold.id, "Driss", "no")


def test_a_released_stale_form_does_not_overtake_what_is_on_its_way(hub: OpsHub) -> None:
    ads = stale_form(hub, "4")
    Holds(hub.parts).release(held(hub, ads).id, "Salma", "confirmed")
    # An edit of another field, made before the release, arrives after it.
    hub.take(said(ads, 4, commune="11.321.01.03"))
    assert golden(hub, ads, "commune") == encoded(hub, "commune", "11.321.01.03")
    state = next(iter(hub.rows("SELECT seen FROM record WHERE id = %s", hub.parts.ids.record(*ads))))
    assert state.seen == said(ads, 4).stamp


def changed_identifier(hub: OpsHub, local_id: str) -> RecordKey:
    ads = hub.key("ads", local_id)
    hub.take(said(ads, 1, "insert", cin=f"CD{local_id}", birth_date=BORN, given_name_fr="Zineb"))
    hub.take(said(ads, 2, cin=f"EF{local_id}", given_name_fr="Zohra"))
    return ads


def test_a_changed_identifier_is_applied_when_it_is_confirmed(hub: OpsHub) -> None:
    ads = changed_identifier(hub, "5")
    assert golden(hub, ads, "cin") == encoded(hub, "cin", "CD5")
    left_to_publish(hub)
    hold = held(hub, ads)
    assert hold.reason == "identifier_changed"
    assert Holds(hub.parts).release(hold.id, "Salma", "a new card")
    assert golden(hub, ads, "cin") == encoded(hub, "cin", "EF5")
    assert golden(hub, ads, "given_name_fr") == encoded(hub, "given_name_fr", "Zohra")
    assert left_to_publish(hub) == {entity(hub, ads)}


def test_who_the_record_meets_by_its_confirmed_identifier_is_found(hub: OpsHub) -> None:
    ads = changed_identifier(hub, "6")
    entraide = hub.key("entraide", "6")
    hub.take(said(entraide, 1, "insert", cin="EF6", birth_date=BORN))
    assert entity(hub, ads) != entity(hub, entraide)
    Holds(hub.parts).release(held(hub, ads).id, "Salma", "a new card")
    assert entity(hub, ads) == entity(hub, entraide)


def test_what_the_record_said_since_stands(hub: OpsHub) -> None:
    ads = changed_identifier(hub, "7")
    hub.take(said(ads, 3, cin="CD7", given_name_fr="Zahra"))
    Holds(hub.parts).release(held(hub, ads).id, "Salma", "late")
    assert golden(hub, ads, "cin") == encoded(hub, "cin", "CD7")
    assert golden(hub, ads, "given_name_fr") == encoded(hub, "given_name_fr", "Zahra")


def test_a_hold_of_a_deleted_record_cannot_be_released(hub: OpsHub) -> None:
    ads = changed_identifier(hub, "8")
    hub.take(said(ads, 3, "delete"))
    with pytest.raises(Fatal, match="has been deleted since; reject it"):
        Holds(hub.parts).release(held(hub, ads).id, "Salma", "too late")
    assert held(hub, ads).state == "held"


def test_a_hold_is_shown_with_its_values_covered(hub: OpsHub) -> None:
    ads = changed_identifier(hub, "9")
    story = Holds(hub.parts).show(held(hub, ads).id, Veil())
    fields = {one.name: one for one in story.fields}
    assert story.entity == hub_name(entity(hub, ads))
    assert (fields["cin"].held, fields["cin"].own) == (f"E{COVER} (3)", f"C{COVER} (3)")
    revealed = Holds(hub.parts).show(story.hold.id, Veil(reveal=True)).fields
    assert {one.name: (one.held, one.golden) for one in revealed} == {
        "cin": ("EF9", "CD9"),
        "given_name_fr": ("Zohra", "Zineb"),
    }
    with pytest.raises(NotFound, match="no hold 123456"):
        Holds(hub.parts).show(123456, Veil())


# Reviews


def pair(hub: OpsHub, number: int) -> tuple[RecordKey, RecordKey]:
    """Two records that share an identifier and nothing else: a review, and no link."""
    ads, entraide = hub.key("ads", f"r{number}"), hub.key("entraide", f"r{number}")
    hub.take(
        said(ads, 1, "insert", cin=f"GH{number}", given_name_fr="Zineb", family_name_fr="Alami"),
        said(entraide, 1, "insert", cin=f"GH{number}", given_name_fr="Karim", family_name_fr="Idrissi"),
    )
    left_to_publish(hub)
    return ads, entraide


def local(record: RecordKey) -> str:
    return f"{record.agency}:{record.local_id}"


def decide(hub: OpsHub, a: str, b: str, *, same: bool) -> tuple[bool, bool]:
    return tuple(Reviews(hub.parts).decide(a, b, "person", same=same, who="Salma", why="seen"))  # type: ignore[return-value]


def test_the_same_are_merged_and_published(hub: OpsHub) -> None:
    ads, entraide = pair(hub, 1)
    review = next(one for one in Reviews(hub.parts).list() if ads in (one.a_key, one.b_key))
    assert (review.reason, review.state) == ("identifier_alone", "open")
    apart = {entity(hub, ads), entity(hub, entraide)}
    assert len(apart) == 2

    assert decide(hub, hub_name(review.a), hub_name(review.b), same=True) == (True, True)

    assert entity(hub, ads) == entity(hub, entraide)
    assert left_to_publish(hub) == apart
    assert review.a not in [one.a for one in Reviews(hub.parts).list()]
    closed = next(one for one in Reviews(hub.parts).list(all_states=True) if one.a == review.a)
    assert (closed.state, closed.same, closed.who, closed.why) == ("same", True, "Salma", "seen")
    assert decide(hub, local(entraide), local(ads), same=True) == (False, True)
    assert left_to_publish(hub) == set()


def test_the_different_stay_apart_whatever_they_come_to_share(hub: OpsHub) -> None:
    ads, entraide = pair(hub, 2)
    assert decide(hub, local(ads), local(entraide), same=False) == (True, False)
    hub.take(said(ads, 5, birth_date=BORN), said(entraide, 5, birth_date=BORN))
    assert entity(hub, ads) != entity(hub, entraide)
    assert not [one for one in Reviews(hub.parts).list() if ads in (one.a_key, one.b_key)]


def test_a_later_decision_undoes_an_earlier_one_exactly(hub: OpsHub) -> None:
    ads, entraide = pair(hub, 3)
    before = (entity(hub, ads), entity(hub, entraide))
    decide(hub, local(ads), local(entraide), same=True)
    versions = dict(hub.rows("SELECT id, version FROM entity"))
    assert decide(hub, local(ads), local(entraide), same=False) == (True, False)
    assert (entity(hub, ads), entity(hub, entraide)) == before
    now = dict(hub.rows("SELECT id, version FROM entity"))
    assert all(now[one] > versions[one] for one in before), "readers would ignore the split"


def test_what_the_rules_linked_a_steward_parts(hub: OpsHub) -> None:
    ads, entraide = hub.key("ads", "r4"), hub.key("entraide", "r4")
    hub.take(
        said(ads, 1, "insert", cin="GH4", birth_date=BORN),
        said(entraide, 1, "insert", cin="GH4", birth_date=BORN),
    )
    assert entity(hub, ads) == entity(hub, entraide)
    assert decide(hub, local(ads), local(entraide), same=False) == (True, False)
    assert entity(hub, ads) != entity(hub, entraide)


def test_a_steward_may_join_records_that_nothing_joins(hub: OpsHub) -> None:
    ads, entraide = hub.key("ads", "r5"), hub.key("entraide", "r5")
    hub.take(
        said(ads, 1, "insert", birth_date=BORN), said(entraide, 1, "insert", birth_date=OTHER_DAY, sex="male")
    )
    assert decide(hub, local(ads), local(entraide), same=True) == (True, True)
    hub.take(said(ads, 2, cin="GH5"))
    assert entity(hub, ads) == entity(hub, entraide)


def test_reviews_that_another_decision_makes_moot_are_settled(hub: OpsHub) -> None:
    ads, entraide = pair(hub, 6)
    health = hub.key("health", "r6")
    hub.take(said(health, 1, "insert", cin="GH6", given_name_fr="Rita", family_name_fr="Bennis"))
    mine = {hub.parts.ids.record(*one) for one in (ads, entraide, health)}

    def open_reviews() -> int:
        return sum({one.a, one.b} <= mine for one in Reviews(hub.parts).list())

    assert open_reviews() == 3
    decide(hub, local(ads), local(entraide), same=True)
    decide(hub, local(entraide), local(health), same=True)
    assert open_reviews() == 0


def test_other_decisions_may_join_a_pair_that_is_said_to_differ(hub: OpsHub) -> None:
    ads, entraide = pair(hub, 7)
    health = hub.key("health", "r7")
    hub.take(said(health, 1, "insert", given_name_fr="Rita"))
    decide(hub, local(ads), local(health), same=True)
    decide(hub, local(entraide), local(health), same=True)
    assert decide(hub, local(ads), local(entraide), same=False) == (True, True)


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ("ads:r1", "ads:r1", "the same local record"),
        ("ads:nobody", "ads:r1", "nobody"),
        ("A" * 22, "ads:r1", "no local record"),
        ("short", "ads:r1", "no local record"),
    ],
)
def test_what_is_no_pair_is_said_to_be_none(hub: OpsHub, a: str, b: str, words: str) -> None:
    a, b = (name.replace("ads:", f"{hub.name('ads')}:") for name in (a, b))
    with pytest.raises(Fatal, match=words):
        decide(hub, a, b, same=True)


def test_holders_are_counted_as_they_are_kept(hub: OpsHub) -> None:
    """After all of the above: merges, splits, retractions, releases."""
    counted = {
        (agency, kind): int(number)
        for agency, kind, number in hub.rows(
            "SELECT agency, record_type, sum(entities) FROM holding GROUP BY 1, 2 HAVING sum(entities) <> 0"
        )
    }
    with hub.parts.looking() as tx:
        world = tx.entities({bytes(row.id) for row in hub.rows("SELECT id FROM entity")})
    kept: dict[tuple[str, str], int] = {}
    for one in world.entities.values():
        for agency, told in one.held.items():
            if told.operation == "upsert":
                kept[agency, one.record_type] = kept.get((agency, one.record_type), 0) + 1
    assert counted == kept
    assert len(kept) >= 3
