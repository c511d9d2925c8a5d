"""What people learn at the centres: the modules and workshops on offer, and what came of taking them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from random import Random

from hub.local.demo import geography
from hub.local.demo.cases import day_since, days_later, drawn, make_cases, on_books_of
from hub.local.demo.centres import Centre
from hub.local.demo.copies import Copy, Values
from hub.local.demo.directory import Entry
from hub.local.demo.followup import Shelved
from hub.local.demo.people import AS_OF, Person
from hub.local.demo.person_copies import Acquaintance, changed_at

# Subject → how a module of it is called, in French and in Arabic.
SUBJECTS: Mapping[str, tuple[str, str]] = {
    "sewing": ("Coupe et couture", "الفصالة والخياطة"),
    "literacy": ("Lire, écrire, compter", "القراءة والكتابة والحساب"),
    "digital": ("Bureautique", "المعلوميات المكتبية"),
    "cooking": ("Cuisine marocaine", "الطبخ المغربي"),
    "business_plan": ("Construire son plan d'affaires", "إعداد مخطط الأعمال"),
    "life_skills": ("Confiance en soi", "الثقة بالنفس"),
    "french": ("Français usuel", "الفرنسية المتداولة"),
    "weaving": ("Tissage de la khaïma", "نسيج الخيمة"),
    "hairdressing": ("Coiffure et soins", "الحلاقة والعناية"),
    "childcare": ("Garde de jeunes enfants", "حضانة الأطفال"),
    "elderly_care": ("Auxiliaire de vie", "المساعدة المنزلية للمسنين"),
    "fish_processing": ("Transformation du poisson", "تحويل السمك"),
    "financial_education": ("Gérer son budget", "تدبير الميزانية"),
    "cooperative_management": ("Gérer une coopérative", "تدبير التعاونية"),
    "job_search": ("Chercher un emploi", "البحث عن عمل"),
}
WORKSHOPS = ("life_skills", "financial_education", "job_search", "business_plan")
CERTIFIERS = ("entraide", "vocational_training", "crafts", "education")
STATUSES = ("planned", "open", "open", "open", "full", "open", "closed")
HOURS = (20, 40, 60, 120, 240, 400)
PLACES = (10, 12, 15, 20, 25)
TAKEN_SHARE = 0.1
LONGEST_SESSION = timedelta(days=100)
OUTCOMES = {"in_progress": 25, "passed": 45, "failed": 8, "attended": 12, "dropped_out": 10}
# Entraide Nationale runs the centres and offers the modules; how likely the others know of one.
KNOWN_BY = {"ads": 0.6, "region-laayoune": 0.4}


def make_modules(count: int, centres: Sequence[Centre], rng: Random) -> list[Entry]:
    """`count` modules and workshops, each at a centre that all who know of it have on their books."""
    return [_module(number, centres, rng) for number in range(count)]


def make_results(
    persons: Sequence[Person], known: Sequence[Acquaintance], modules: Sequence[Entry], rng: Random
) -> Iterator[Shelved]:
    """Results: each is on record at the agency that held the session."""
    by_number = {module.number: module for module in modules}
    for number, case in enumerate(make_cases(persons, known, TAKEN_SHARE, rng)):
        agency = rng.choice(case.agencies)
        module = by_number[rng.choice(on_books_of(modules, [agency]))]
        references = {"person": case.person.number, "module": module.number}
        values, last = _result(number, module, day_since(case.person.received_on, rng), rng)
        yield agency, "module_result", Copy(number, values, changed_at(rng, last), references)


def _module(number: int, centres: Sequence[Centre], rng: Random) -> Entry:
    subject = list(SUBJECTS)[number % len(SUBJECTS)]
    french, arabic = SUBJECTS[subject]
    agencies = ("entraide", *(a for a, chance in KNOWN_BY.items() if number == 0 or rng.random() < chance))
    level = 1 + number // len(SUBJECTS)
    certifying = subject not in WORKSHOPS
    values: Values = {
        "code": f"MOD-{geography.PROVINCE_LETTERS[geography.communes()[0].province]}-{number + 1:04d}",
        "title_ar": f"{arabic} - المستوى {level}",
        "title_fr": f"{french} - niveau {level}",
        "kind": "certifying" if certifying else "workshop",
        "subject": subject,
        "hours": rng.choice(HOURS),
        "places": rng.choice(PLACES),
        "status": STATUSES[number % len(STATUSES)],
    }
    if certifying:
        values["certified_by"] = CERTIFIERS[number % len(CERTIFIERS)]
    return Entry(number, values, {"centre": rng.choice(on_books_of(centres, agencies))}, agencies)


def _result(number: int, module: Entry, first: date, rng: Random) -> tuple[Values, date]:
    """The values, and the day of what happened last."""
    outcome = drawn(OUTCOMES, rng)
    values: Values = {"session_from": first, "outcome": outcome}
    if outcome == "in_progress":
        return values, first
    # A session that has ended began long enough ago.
    values["session_from"] = first = min(first, AS_OF - LONGEST_SESSION)
    values["session_to"] = last = days_later(first, LONGEST_SESSION.days, rng)
    values["attendance"] = rng.randint(10, 60) if outcome == "dropped_out" else rng.randint(70, 100)
    if outcome == "passed" and module.values["kind"] == "certifying":
        values["certificate_number"] = f"CRT-{last.year}-{number + 1:06d}"
        values["certified_on"] = days_later(last, 30, rng)
    return values, last
