"""A person's way step by step: read off records that are shown, never off what is covered."""

from __future__ import annotations

from hub.ops.pathway import Stage, Step, pathway
from hub.ops.related import Related
from hub.ops.veil import COVER


def record(kind: str, entity: str, *, towards: bool = False, live: bool = True, **values: str) -> Related:
    return Related(entity, kind, "person", towards, live, values)


def test_steps_come_by_their_days() -> None:
    found = pathway(
        "person",
        {"received_on": "2024-01-10"},
        [
            record("enrolment", "e2", pathway="training", started_on="2024-05-01", ended_on="2024-06-30"),
            record("enrolment", "e1", pathway="listening", started_on="2024-02-03"),
            record("assessment", "a1", assessed_on="2024-02-20"),
            record("referral", "r1", issued_on="2024-03-01", closed_on="2024-03-09"),
        ],
    )
    assert [(one.stage, one.day, one.until, one.entity) for one in found] == [
        (Stage.RECEIVED, "2024-01-10", None, None),
        (Stage.LISTENED_TO, "2024-02-03", None, "e1"),
        (Stage.DIAGNOSED, "2024-02-20", None, "a1"),
        (Stage.ORIENTED, "2024-03-01", "2024-03-09", "r1"),
        (Stage.INTEGRATED, "2024-05-01", "2024-06-30", "e2"),
    ]


def test_on_one_day_the_stages_keep_their_order() -> None:
    those = [
        record("enrolment", "x", pathway="orientation", started_on="2024-01-10"),
        record("enrolment", "y", pathway="diagnosis", started_on="2024-01-10"),
    ]
    found = pathway("person", {"received_on": "2024-01-10"}, those)
    assert [one.stage for one in found] == [Stage.RECEIVED, Stage.DIAGNOSED, Stage.ORIENTED]


def test_what_is_covered_gone_or_about_somebody_else_is_no_step() -> None:
    those = [
        record("enrolment", "covered", pathway=COVER, started_on=COVER),
        record("enrolment", "undated", pathway="listening"),
        record("enrolment", "unsaid", started_on="2024-01-10"),
        record("enrolment", "gone", live=False, pathway="listening", started_on="2024-01-10"),
        record("assessment", "referred-to", towards=True, assessed_on="2024-01-10"),
    ]
    assert pathway("person", {"received_on": COVER}, those) == []


def test_a_step_says_which_pathway() -> None:
    those = [record("enrolment", "x", pathway="employment", started_on="2024-01-10")]
    assert pathway("person", {}, those) == [
        Step(Stage.INTEGRATED, "2024-01-10", None, "enrolment", "x", "employment")
    ]
