"""Where people's pathways lead: the pathway step by step, the plan that accompanies it, the own project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from random import Random

from hub.local.demo.cases import (
    ROLES,
    Case,
    behind,
    day_since,
    days_later,
    drawn,
    make_cases,
    on_books_of,
)
from hub.local.demo.centres import Centre
from hub.local.demo.copies import Copy, Values
from hub.local.demo.followup import Shelved
from hub.local.demo.people import AS_OF, Person
from hub.local.demo.person_copies import Acquaintance, changed_at

PATHWAY_SHARE = 0.12
PROJECT_SHARE = 0.08
# Of the assessments, those on which a plan is built.
PLANNED_SHARE = 0.6
# Of the projects of people whom the region can recognise, those that it has on its own books.
AT_REGION_SHARE = 0.6
STEPS = {"received": 15, "listened_to": 20, "diagnosed": 20, "oriented": 22, "integrated": 15, "left": 8}
# The steps in their order, with the date that each leaves behind.
DATED = {
    "received": "received_on", "listened_to": "listened_on", "diagnosed": "diagnosed_on",
    "oriented": "oriented_on", "integrated": "integrated_on",
}  # fmt: skip
ORIENTATIONS = {
    "schooling": 15,
    "training": 35,
    "employment": 20,
    "entrepreneurship": 15,
    "social_support": 15,
}
INTEGRATIONS = {
    "job": 30, "own_activity": 20, "cooperative": 12, "school": 15, "further_training": 15, "family": 8,
}  # fmt: skip
GOALS = (
    "autonomy", "back_to_school", "civil_papers", "employment", "family_mediation", "health_care", "housing",
    "income_activity", "literacy", "protection", "psychological_support", "qualification",
)  # fmt: skip
PLAN_STATES = {"draft": 10, "agreed": 20, "under_way": 40, "achieved": 20, "interrupted": 10}
KINDS = {"self_employment": 45, "salaried": 20, "cooperative": 20, "training": 15}
STATES = {"idea": 20, "study": 20, "submitted": 25, "funded": 12, "running": 15, "abandoned": 8}
_GRANTED = ("funded", "running")
# Sector → what people of the region set up in it, in French and in Arabic.
SECTORS: Mapping[str, tuple[str, str]] = {
    "crafts": ("Atelier de couture", "ورشة خياطة"),
    "fishing": ("Vente de poisson frais", "بيع السمك الطري"),
    "agriculture": ("Élevage de chèvres", "تربية الماعز"),
    "trade": ("Épicerie de quartier", "دكان الحي"),
    "tourism": ("Table d'hôtes sahraouie", "مائدة الضيافة الصحراوية"),
    "personal_services": ("Garde d'enfants à domicile", "حضانة منزلية"),
    "building": ("Peinture en bâtiment", "صباغة المباني"),
    "digital": ("Impression et saisie", "الطباعة والرقن"),
}


def make_pathways(
    persons: Sequence[Person], known: Sequence[Acquaintance], centres: Sequence[Centre], rng: Random
) -> Iterator[Shelved]:
    """Pathways: each is on record at the agency whose centre leads it."""
    for number, case in enumerate(make_cases(persons, known, PATHWAY_SHARE, rng)):
        agency = rng.choice(case.agencies)
        values, last = _steps(case.person.received_on, rng)
        yield agency, "pathway", Copy(number, values, changed_at(rng, last), _led(case, agency, centres, rng))


def make_plans(assessments: Mapping[str, Sequence[Copy]], rng: Random) -> Iterator[Shelved]:
    """Plans of support for some of those assessed, at the same agency and centre; `assessments` by agency.

    The first assessment always leads to one.
    """
    number = 0
    for agency, assessed in assessments.items():
        for assessment in assessed:
            if number == 0 or rng.random() < PLANNED_SHARE:
                references = {**assessment.references, "assessment": assessment.number}
                assessed_on = assessment.values["assessed_on"]
                assert isinstance(assessed_on, date)
                values, last = _plan(assessed_on, rng)
                yield agency, "support_plan", Copy(number, values, changed_at(rng, last), references)
                number += 1


def make_projects(
    persons: Sequence[Person], known: Sequence[Acquaintance], centres: Sequence[Centre], rng: Random
) -> Iterator[Shelved]:
    """Projects; the region has some on its own books, and says alone what it granted."""
    for number, case in enumerate(make_cases(persons, known, PROJECT_SHARE, rng)):
        agencies = case.opened_at(rng)
        at_region = "region-laayoune" in case.known.agencies and case.known.linked
        funding = at_region and rng.random() < AT_REGION_SHARE
        books = (*agencies, "region-laayoune") if funding else agencies
        references = {"person": case.person.number, "centre": rng.choice(on_books_of(centres, books))}
        values, last = _project(number, case.person.received_on, rng)
        copy = Copy(number, values, changed_at(rng, last), references)
        yield agencies[0], "project", copy
        for other in agencies[1:]:
            yield other, "project", behind(copy, ("started_on",), state="study")
        if funding:
            yield "region-laayoune", "project", _at_region(copy, last, rng)


def _led(case: Case, agency: str, centres: Sequence[Centre], rng: Random) -> dict[str, int]:
    return {"person": case.person.number, "centre": rng.choice(on_books_of(centres, [agency]))}


def _steps(received_on: date, rng: Random) -> tuple[Values, date]:
    """The values, and the day of the last step."""
    step = drawn(STEPS, rng)
    reached = list(DATED)
    # Who left did so after one step or another.
    taken = reached[: reached.index(step) + 1] if step != "left" else reached[: rng.randint(1, 4)]
    values: Values = {"step": step}
    last = received_on
    for one in taken:
        values[DATED[one]] = last = last if one == "received" else days_later(last, 60, rng)
    if "oriented" in taken:
        values["orientation"] = drawn(ORIENTATIONS, rng)
    if "integrated" in taken:
        values["integration"] = drawn(INTEGRATIONS, rng)
    if step == "left":
        values["left_on"] = last = days_later(last, 60, rng)
    return values, last


def _plan(assessed_on: date, rng: Random) -> tuple[Values, date]:
    """The values, and the day of what happened last."""
    state = drawn(PLAN_STATES, rng)
    values: Values = {
        "goals": sorted(rng.sample(GOALS, rng.randint(1, 4))),
        "referent_role": rng.choice(ROLES),
        "state": state,
    }
    if state == "draft":
        return values, assessed_on
    values["agreed_on"] = last = days_later(assessed_on, 20, rng)
    if state != "agreed":
        values["last_review_on"] = last = days_later(last, 90, rng)
    if state in ("achieved", "interrupted"):
        values["closed_on"] = last = days_later(last, 180, rng)
    else:
        values["next_review_on"] = date.fromordinal(AS_OF.toordinal() + 1 + int(rng.random() * 90))
    return values, last


def _project(number: int, received_on: date, rng: Random) -> tuple[Values, date]:
    """The values, and the day of what happened last."""
    begun = day_since(received_on, rng)
    sector = list(SECTORS)[number % len(SECTORS)]
    french, arabic = SECTORS[sector]
    state = drawn(STATES, rng)
    values: Values = {
        "number": f"PRJ-{begun.year}-{number + 1:06d}",
        "title_ar": arabic,
        "title_fr": french,
        "kind": drawn(KINDS, rng),
        "sector": sector,
        "state": state,
        "funding_asked": 5_000 * rng.randint(2, 40),
    }
    if state == "running":
        values["started_on"] = begun = days_later(begun, 180, rng)
    return values, begun


def _at_region(copy: Copy, last: date, rng: Random) -> Copy:
    """The project on the region's books: what it is, and what was granted."""
    kept = ("number", "title_ar", "title_fr", "kind", "sector", "state", "funding_asked")
    values = {name: copy.values[name] for name in kept}
    asked = values["funding_asked"]
    if values["state"] in _GRANTED and isinstance(asked, int):
        values["funding_granted"] = asked * rng.randint(5, 10) // 10
        values["granted_on"] = last
    return replace(copy, values=values)
