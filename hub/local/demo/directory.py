"""The region's directory: associations and services, and which agency has each of them on its books."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from random import Random

from hub.local.demo import geography
from hub.local.demo.centres import NAMES, Centre
from hub.local.demo.copies import Copy, Values
from hub.local.demo.person_copies import changed_at

# Domain → what an association of that domain adds to its name, in French and in Arabic.
CAUSES: Mapping[str, tuple[str, str]] = {
    "women": ("pour la femme", "للمرأة"),
    "childhood": ("pour l'enfance", "للطفولة"),
    "youth": ("pour la jeunesse", "للشباب"),
    "ageing": ("pour les personnes âgées", "للمسنين"),
    "disability": ("pour le handicap", "للإعاقة"),
    "education": ("pour l'éducation", "للتربية"),
    "health": ("pour la santé", "للصحة"),
    "income_activities": ("pour les coopératives", "للتعاونيات"),
    "legal_aid": ("pour les droits", "للحقوق"),
}
STANDINGS = ("declared", "public_utility", "social_protection")
# Sector → how a service of that sector is called; the health services' own comes first.
SECTORS: Mapping[str, tuple[str, str]] = {
    "health": ("Consultation médicale", "الفحص الطبي"),
    "social": ("Cellule d'écoute", "خلية الاستماع"),
    "education": ("Réinsertion scolaire", "الإدماج المدرسي"),
    "training": ("Orientation vers la formation", "التوجيه نحو التكوين"),
    "employment": ("Placement en emploi", "الوساطة في التشغيل"),
    "legal": ("Consultation juridique", "الاستشارة القانونية"),
    "civil_status": ("Aide aux démarches d'état civil", "المساعدة في الحالة المدنية"),
    "housing": ("Hébergement d'urgence", "الإيواء الاستعجالي"),
    "financing": ("Montage de dossiers de financement", "إعداد ملفات التمويل"),
}
AUDIENCE = (
    "children", "families", "job_seekers", "older_persons", "persons_with_disabilities", "women", "youth",
)  # fmt: skip
# How likely each agency has an association or service on its books; the first is on all of theirs.
KNOWN_BY = {"entraide": 0.7, "ads": 0.8, "region-laayoune": 0.5}
_STILL_KNOWN = 0.8
# Of so many in turn, the last but one rests and the last has ended.
_TURN = 7


@dataclass(frozen=True, slots=True)
class Entry:
    """One association, service or module: all that is known of it, and the agencies that know it."""

    number: int
    values: Values
    references: Mapping[str, int]
    agencies: tuple[str, ...]


def entries_for(people: int) -> int:
    """How many associations serve so many people: 8 for 300, 24 for 3,000, never fewer than 4."""
    return max(4, round(math.sqrt(people / 5)))


def make_associations(count: int, rng: Random) -> list[Entry]:
    """`count` associations, each with its seat in one of the region's communes."""
    return [_association(number, _place(rng), rng) for number in range(count)]


def make_services(
    count: int, centres: Sequence[Centre], associations: Sequence[Entry], rng: Random
) -> list[Entry]:
    """`count` services: in turn an institution's own, a centre's and an association's."""
    services = []
    for number in range(count):
        references: dict[str, int] = {}
        agencies = _known_by(number, rng)
        if number % 3 == 1:
            centre = rng.choice(centres)
            references, agencies = {"centre": centre.number}, _still(centre.agencies, rng)
        elif number % 3 == 2:
            association = rng.choice(associations)
            references, agencies = {"association": association.number}, _still(association.agencies, rng)
        services.append(_service(number, references, agencies, rng))
    return services


def copies_of(entry: Entry, rng: Random) -> Iterator[tuple[str, Copy]]:
    """(agency, its copy); the health services do not say who offers a service, others lack a number."""
    for agency in entry.agencies:
        values = dict(entry.values)
        if "phone" in values and rng.random() < 0.2:
            del values["phone"]
        references = {} if agency == "health" else entry.references
        yield agency, Copy(entry.number, values, changed_at(rng), references)


def _turn_of(number: int, states: tuple[str, str, str]) -> str:
    """The first of three states for most, the others now and then."""
    return states[max(0, number % _TURN - (_TURN - 3))]


def _association(number: int, place: geography.Commune, rng: Random) -> Entry:
    cause = list(CAUSES)[number % len(CAUSES)]
    french, arabic = NAMES[number % len(NAMES)]
    cause_fr, cause_ar = CAUSES[cause]
    values: Values = {
        "code": f"ASC-{geography.REGION}-{number + 1:05d}",
        "name_ar": f"جمعية {arabic} {cause_ar} - {place.arabic}",
        "name_fr": f"Association {french} {cause_fr} - {place.french}",
        "standing": STANDINGS[number % len(STANDINGS)],
        "domains": sorted({cause, rng.choice(list(CAUSES))}),
        "commune": place.code,
        "phone": f"+2125289{rng.randrange(10**5):05d}",
        "status": _turn_of(number, ("active", "suspended", "dissolved")),
    }
    if rng.random() < 0.6:
        values["partner_until"] = date(2026 + rng.randrange(4), 12, 31)
    return Entry(number, values, {}, _known_by(number, rng))


def _service(number: int, references: Mapping[str, int], agencies: tuple[str, ...], rng: Random) -> Entry:
    sector = list(SECTORS)[number % len(SECTORS)]
    place = _place(rng)
    french, arabic = SECTORS[sector]
    values: Values = {
        "code": f"SRV-{geography.PROVINCE_LETTERS[place.province]}-{number + 1:04d}",
        "name_ar": f"{arabic} - {place.arabic}",
        "name_fr": f"{french} - {place.french}",
        "sector": sector,
        "audience": sorted(rng.sample(AUDIENCE, rng.randint(1, 3))),
        "commune": place.code,
        "phone": f"+2125287{rng.randrange(10**5):05d}",
        "status": _turn_of(number, ("open", "suspended", "closed")),
    }
    # The health services list what is theirs themselves.
    return Entry(number, values, references, (*agencies, "health") if sector == "health" else agencies)


def _known_by(number: int, rng: Random) -> tuple[str, ...]:
    return tuple(a for a, chance in KNOWN_BY.items() if number == 0 or rng.random() < chance) or ("ads",)


def _still(agencies: tuple[str, ...], rng: Random) -> tuple[str, ...]:
    """Those of `agencies` that know what is offered as well as who offers it."""
    return tuple(a for a in agencies if rng.random() < _STILL_KNOWN) or agencies[:1]


def _place(rng: Random) -> geography.Commune:
    return rng.choices(geography.communes(), cum_weights=geography.cumulative_weights())[0]
