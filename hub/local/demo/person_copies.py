"""What each agency knows of a person: a part of the truth, in its own clerk's spelling."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

from hub.local.demo.copies import Copy, Values
from hub.local.demo.names import Name
from hub.local.demo.people import (
    AS_OF,
    EDUCATION_LEVELS,
    Person,
    commune_code,
    phone_number,
)

_NAMES = frozenset({"family_name_ar", "given_name_ar", "family_name_fr", "given_name_fr"})
_CIVIL = _NAMES | {"cin", "birth_date", "sex"}
_CONTACT = frozenset({"commune", "phone", "education_level"})

# The fields that each agency collects itself; what it only receives is not among them.
HELD = {
    "entraide": _CIVIL | _CONTACT | {"massar_code", "languages", "received_on"},
    "ads": _CIVIL | _CONTACT | {"languages", "received_on"},
    "region-laayoune": _CIVIL | _CONTACT,
    "health": _CIVIL | {"massar_code", "disability"},
}
# How often a clerk of the agency spells a name in another way than the civil register.
MISSPELLING = {"entraide": 0.08, "ads": 0.25, "region-laayoune": 0.2, "health": 0.3}

_NOW = datetime(AS_OF.year, AS_OF.month, AS_OF.day, tzinfo=UTC)
_DAY_S = 86_400.0
_OLDEST_CHANGE_S = 400 * _DAY_S
_NO_REFERENCES: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """Who knows a person, and how well.

    `identified` are the agencies whose copy carries the person's identifiers. `exact` is true if
    every agency spells the names alike; then one copy may lack the birth date and still be linked
    by identifier and name. `typed_cin` is what a clerk typed in place of the person's own number.
    """

    agencies: tuple[str, ...]
    identified: frozenset[str]
    linked: bool
    exact: bool
    typed_cin: str | None = None


def copy_of(person: Person, agency: str, known: Acquaintance, rng: Random) -> Copy:
    """The copy of `person` that `agency` holds."""
    held = HELD[agency]
    values: Values = {}
    if agency in known.identified:
        _identifiers(values, person, held, known, rng)
    _names(values, person, agency, known, rng)
    _civil_status(values, person, agency, known, rng)
    if "commune" in held:
        _contact(values, person, rng)
    if "languages" in held:
        _reception(values, person, agency == known.agencies[0], rng)
    if "disability" in held and rng.random() < 0.9:
        values["disability"] = person.disability
    return Copy(person.number, values, changed_at(rng), _NO_REFERENCES)


def changed_at(rng: Random, since: date | None = None) -> datetime:
    """When a copy was last changed: in the year or so before AS_OF, not before `since`; whole seconds."""
    span_s = _OLDEST_CHANGE_S
    if since is not None and since < AS_OF:
        span_s = min(span_s, (AS_OF - since).days * _DAY_S)
    return _NOW - timedelta(seconds=int(rng.random() * span_s))


def _identifiers(
    values: Values, person: Person, held: frozenset[str], known: Acquaintance, rng: Random
) -> None:
    cin = known.typed_cin or person.cin
    if cin is not None:
        values["cin"] = cin
    # An adult's card is what everybody asks for; the pupil's code is then only sometimes noted.
    if person.massar_code and "massar_code" in held and (cin is None or rng.random() < 0.5):
        values["massar_code"] = person.massar_code


def _names(values: Values, person: Person, agency: str, known: Acquaintance, rng: Random) -> None:
    lacking = _lacking_script(agency, known, rng)
    for part, name in (("family_name", person.family), ("given_name", person.given)):
        misspelt = not known.exact and rng.random() < MISSPELLING[agency]
        if lacking != "ar":
            values[f"{part}_ar"] = _arabic(name, misspelt, rng)
        if lacking != "fr":
            values[f"{part}_fr"] = name.misspelt_french(rng) if misspelt else name.french


def _arabic(name: Name, misspelt: bool, rng: Random) -> str:
    return name.misspelt_arabic() if misspelt and rng.random() < 0.4 else name.arabic


def _lacking_script(agency: str, known: Acquaintance, rng: Random) -> str | None:
    """The script in which `agency` did not note the names, if another copy is sure to have them.

    Otherwise an agency that requires names in that script could never hold the person.
    """
    if known.exact or not known.linked or "entraide" not in known.agencies:
        return None
    if agency == "entraide":
        return "fr" if rng.random() < 0.1 else None
    return "ar" if agency in ("ads", "health") and rng.random() < 0.15 else None


def _civil_status(values: Values, person: Person, agency: str, known: Acquaintance, rng: Random) -> None:
    if not (known.exact and agency == known.agencies[-1]):
        values["birth_date"] = person.birth_date
    # ADS always notes the sex, so that only a copy linked with its own may lack it.
    optional = known.linked and "ads" in known.agencies and agency != "ads"
    if not (optional and rng.random() < 0.03):
        values["sex"] = person.sex


def _contact(values: Values, person: Person, rng: Random) -> None:
    if rng.random() < 0.94:
        values["commune"] = person.commune if rng.random() < 0.93 else commune_code(rng)
    if rng.random() < 0.8:
        values["phone"] = person.phone if rng.random() < 0.88 else phone_number(rng)
    if rng.random() < 0.85:
        level = person.education - (person.education > 0 and rng.random() < 0.15)
        values["education_level"] = EDUCATION_LEVELS[level]


def _reception(values: Values, person: Person, first: bool, rng: Random) -> None:
    if rng.random() < 0.75:
        spoken = person.languages
        forgets = len(spoken) > 1 and rng.random() < 0.3
        values["languages"] = spoken[:-1] if forgets else list(spoken)
    if rng.random() < 0.9:
        day = person.received_on.toordinal() + (0 if first else int(rng.random() * 200))
        values["received_on"] = date.fromordinal(min(day, AS_OF.toordinal()))
