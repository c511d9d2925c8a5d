"""The second act's own judge, and the newcomer's data: what differs is found, and nothing else."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
from click.testing import CliRunner

from hub.local.demo.command import demo
from hub.local.demo.everyday.holdings import ROW, Difference, differences, digests, of_rows_in
from hub.local.demo.everyday.joining import came_true, nothing_replaced
from hub.local.demo.everyday.members import members_of
from hub.local.demo.everyday.release import Release
from hub.local.demo.everyday.stage import Stage
from hub.local.demo.population import population
from hub.local.demo.proof.verdict import Rows
from hub.local.demo.story.scene import NotSeen

AMINA = {"family_name_fr": "Alami", "phone": "+212612345678", "commune": None}
BEFORE: Rows = {
    "entraide": {"person": {"1": {**AMINA}}, "enrolment": {"7": {"person": "1", "status": "active"}}},
    "ads": {"person": {"9": {**AMINA}}},
}


def changed(agency: str = "ads", local_id: str = "9", **values: object) -> Rows:
    """All tables with some values of one person changed."""
    after = copy.deepcopy(BEFORE)
    after[agency]["person"][local_id].update(values)
    return after


def stage() -> Stage:
    """One whose judgements alone are asked for: no region is behind it."""
    made = Stage.__new__(Stage)
    made.remark = lambda _: None  # type: ignore[method-assign]
    return made


def test_every_value_and_every_row_that_differs_is_told_and_no_other() -> None:
    assert differences(BEFORE, copy.deepcopy(BEFORE)) == []
    assert differences(BEFORE, changed(phone=None)) == [
        Difference("ads", "person", "9", "phone", "+212612345678", None)
    ]
    gone = copy.deepcopy(BEFORE)
    del gone["entraide"]["enrolment"]["7"]
    gone["ads"]["person"]["10"] = AMINA
    found = differences(BEFORE, gone)
    assert [one[:4] for one in found] == [
        ("entraide", "enrolment", "7", ROW),
        ("ads", "person", "10", ROW),
    ]
    assert of_rows_in(BEFORE, found) == found[:1]


def test_digests_differ_for_the_agency_alone_whose_tables_do() -> None:
    before, after = digests(BEFORE), digests(changed(commune="11.321.01.03"))
    assert (before["entraide"] == after["entraide"], before["ads"] == after["ads"]) == (True, False)


@pytest.mark.parametrize(
    "planted", [{"phone": "+212699999999"}, {"phone": None}, {"commune": "11.321.01.03"}]
)
def test_a_planted_wrong_value_fails_the_step_and_is_named_without_being_shown(
    planted: dict[str, str | None],
) -> None:
    stage().same(BEFORE, copy.deepcopy(BEFORE), "all tables")
    with pytest.raises(NotSeen, match=f"ads: {next(iter(planted))} of person 9") as raised:
        stage().same(BEFORE, changed(**planted), "all tables")
    assert all(str(value) not in str(raised.value) for value in planted.values() if value)


def test_what_was_expected_to_differ_and_does_not_fails_the_step() -> None:
    expected = [("ads", "person", "9", "phone"), ("ads", "person", "9", "commune")]
    with pytest.raises(NotSeen, match="does not: ads: commune of person 9"):
        stage().only(expected, differences(BEFORE, changed(phone="+212699999999")), "all tables")


def test_a_value_that_a_held_join_replaced_or_emptied_fails_it() -> None:
    filled = differences(BEFORE, changed(commune="11.321.01.03"))
    nothing_replaced(filled, stage())
    with pytest.raises(NotSeen, match="a held join replaced"):
        nothing_replaced(differences(BEFORE, changed(phone="+212699999999")), stage())
    plan = {"elsewhere": {"ads": {"fields": {"commune": {"filled": 1, "replaced": 0}}}}}
    came_true(stage(), plan, BEFORE, changed(commune="11.321.01.03"))
    with pytest.raises(NotSeen, match="a sparse newcomer emptied"):
        came_true(stage(), plan, BEFORE, changed(phone=None))
    with pytest.raises(NotSeen, match="values changed elsewhere"):
        came_true(stage(), plan, BEFORE, changed(phone="+212699999999"))


@pytest.mark.parametrize("seed", [1, 2])
def test_the_newcomers_data_are_what_is_told_of_them(seed: int) -> None:
    people = population(60, seed)
    members = members_of(people)
    assert members_of(people) == members
    cards = {copy_.values.get("cin") for held in people.copies.values() for copy_ in held["person"]}
    own = Counter(str(copy_.values["cin"]) for copy_ in members.copies)
    assert sum(cin in cards for cin in own) == members.matched + members.uncertain
    assert sum(cin not in cards for cin in own) == members.new
    assert sum(count - 1 for count in own.values()) == members.twice
    assert members.matched >= 20
    for number, phone in members.unreadable.items():
        assert members.copies[number].values["phone"] != phone


def test_too_few_people_are_refused_before_anything_starts() -> None:
    told = CliRunner().invoke(demo, ["--act", "2", "--people", "59"])
    assert (told.exit_code, "at least --people 60" in told.output) == (2, True)


def test_a_release_changes_in_its_own_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    release = Release(tmp_path_factory.mktemp("demo") / "release")
    assert release.add("youth").is_file()

    def end(agreement: dict[str, str]) -> None:
        agreement["until"] = "2020-01-01"

    planned = release.plan("youth", end)
    assert "2020-01-01" in (planned / "youth.yaml").read_text(encoding="utf-8")
    assert "2020-01-01" not in (release.agreements / "youth.yaml").read_text(encoding="utf-8")
    release.change("youth", end)
    assert "2020-01-01" in (release.agreements / "youth.yaml").read_text(encoding="utf-8")
    release.remove("youth")
    assert not (release.connectors / "youth.yaml").exists()
