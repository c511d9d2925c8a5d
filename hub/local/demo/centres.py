"""The region's social centres, and which agency has each of them on its books."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from random import Random

from hub.local.demo import geography
from hub.local.demo.copies import Copy, Values
from hub.local.demo.person_copies import changed_at

# Kind → how a centre of that kind is called, in French and in Arabic.
TITLES = {
    "womens_club": ("Club féminin", "النادي النسوي"),
    "multidisciplinary_complex": ("Complexe pluridisciplinaire", "المركب متعدد التخصصات"),
    "womens_multifunction_space": (
        "Espace multifonctionnel pour femmes",
        "الفضاء متعدد الوظائف للنساء",
    ),
    "social_centre": ("Centre social Jisr", "مركز جسر الاجتماعي"),
    "child_protection_centre": (
        "Centre d'accompagnement pour la protection de l'enfance",
        "مركز المواكبة لحماية الطفولة",
    ),
    "anti_begging_centre": (
        "Centre de protection contre la mendicité",
        "مركز الحماية من التسول",
    ),
    "education_training_centre": ("Centre d'éducation et de formation", "مركز التربية والتكوين"),
    "apprenticeship_centre": (
        "Centre de formation par apprentissage",
        "مركز التكوين بالتدرج المهني",
    ),
    "disability_orientation_centre": (
        "Centre d'orientation et d'assistance des personnes en situation de handicap",
        "مركز توجيه ومساعدة الأشخاص في وضعية إعاقة",
    ),
    "elderly_centre": ("Centre d'accueil des personnes âgées", "مركز استقبال الأشخاص المسنين"),
}
# Proper names that such centres bear.
NAMES = (
    ("Al Amal", "الأمل"),
    ("Al Wahda", "الوحدة"),
    ("Annahda", "النهضة"),
    ("Al Massira", "المسيرة"),
    ("Al Qods", "القدس"),
    ("Al Fath", "الفتح"),
    ("Al Aouda", "العودة"),
    ("Al Inbiaât", "الانبعاث"),
    ("Al Moustaqbal", "المستقبل"),
    ("Essalam", "السلام"),
    ("Al Kheir", "الخير"),
    ("Attadamoun", "التضامن"),
    ("Al Karama", "الكرامة"),
    ("Ennour", "النور"),
    ("Al Ikhlas", "الإخلاص"),
    ("Al Yasmine", "الياسمين"),
    ("Assafa", "الصفاء"),
    ("Al Manar", "المنار"),
    ("Al Bahja", "البهجة"),
)
CAPACITIES = (40, 60, 80, 100, 120, 150, 200, 250)
OPENED_FROM, OPENED_TO = date(1998, 1, 5), date(2025, 12, 15)
# How likely each agency has a centre on its books; the first centre is on all of theirs.
KNOWN_BY = {"entraide": 0.9, "ads": 0.6, "region-laayoune": 0.5}
_NO_REFERENCES: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class Centre:
    """One centre: all that is known of it, and the agencies that know it."""

    number: int
    values: Values
    agencies: tuple[str, ...]


def centres_for(people: int) -> int:
    """How many centres serve so many people: 24 for 5,000, never fewer than 8."""
    return max(8, min(240, round(24 * math.sqrt(people / 5000))))


def make_centres(count: int, rng: Random) -> list[Centre]:
    """`count` centres: one in each commune in turn, the most populous first and most often."""
    towns = geography.communes()
    rest = rng.choices(towns, cum_weights=geography.cumulative_weights(), k=count)
    places = (*towns[: count // 2], *rest)[:count]
    return [_centre(number, place, rng) for number, place in enumerate(places)]


def copies_of_centre(centre: Centre, rng: Random) -> dict[str, Copy]:
    """Each knowing agency's copy; the other agencies are less sure of the capacity and telephone."""
    copies = {}
    for agency in centre.agencies:
        values = dict(centre.values)
        if agency != "entraide" and rng.random() < 0.3:
            values["capacity"] = rng.choice(CAPACITIES)
        if rng.random() < 0.2:
            del values["phone"]
        copies[agency] = Copy(centre.number, values, changed_at(rng), _NO_REFERENCES)
    return copies


def _centre(number: int, place: geography.Commune, rng: Random) -> Centre:
    kind = list(TITLES)[number % len(TITLES)]
    # The two cycles have no common divisor: no two of the first 190 centres are called alike.
    name_fr, name_ar = NAMES[number % len(NAMES)]
    title_fr, title_ar = TITLES[kind]
    values: Values = {
        "code": f"MA-{geography.PROVINCE_LETTERS[place.province]}-{number + 1:04d}",
        "name_ar": f"{title_ar} {name_ar} - {place.arabic}",
        "name_fr": f"{title_fr} {name_fr} - {place.french}",
        "kind": kind,
        "commune": place.code,
        "capacity": rng.choice(CAPACITIES),
        "phone": f"+2125288{rng.randrange(10**5):05d}",
        "opened_on": _opened_on(rng),
    }
    agencies = tuple(a for a, chance in KNOWN_BY.items() if number == 0 or rng.random() < chance)
    return Centre(number, values, agencies or ("entraide",))


def _opened_on(rng: Random) -> date:
    return date.fromordinal(rng.randint(OPENED_FROM.toordinal(), OPENED_TO.toordinal()))
