"""Numbers, times and the contract's own words in the reader's language."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from babel import Locale
from babel.dates import format_date, format_datetime, format_timedelta
from babel.lists import format_list
from babel.numbers import format_decimal

from hub.console.languages import Language, marked
from hub.contracts.agreements import Agreement
from hub.contracts.notices import label
from hub.contracts.records import STEWARD, Catalogue, FieldSpec
from hub.ops.parts import MOROCCO
from hub.store.conditions import COUNTED

_PHONE = re.compile(r"\+\d+")
_COUNTER = re.compile(r" \+\d+$")

# The release's record types as a heading; another one goes by the name that its schema has (R1).
RECORD_TYPES = {
    "person": marked("Persons"),
    "centre": marked("Centres"),
    "enrolment": marked("Enrolments"),
    "consent": marked("Consents"),
    "assessment": marked("Assessments"),
    "association": marked("Associations"),
    "module": marked("Modules and workshops"),
    "module_result": marked("Results of modules"),
    "pathway": marked("Pathways"),
    "project": marked("Projects"),
    "referral": marked("Referrals"),
    "service": marked("Services"),
    "support_plan": marked("Support plans"),
}


class Wording:
    """Speaks one language of what the release's contracts name."""

    def __init__(self, language: Language, catalogue: Catalogue, agreements: Mapping[str, Agreement]) -> None:
        self._language = language
        self._catalogue = catalogue
        self._agreements = agreements

    def number(self, value: float) -> str:
        return _decimal(value, self._language.locale)

    def counted(self, number: int, largest: int | None = None) -> str:
        """A number that was counted to one more than `COUNTED` at most: then there may be any more.

        `largest`: of a sum, the part of it that was counted furthest.
        """
        if largest is None:
            return self.number(number) if number <= COUNTED else f"{self.number(COUNTED)}+"
        return self.number(number) + ("+" if largest > COUNTED else "")

    def moment(self, at: datetime.datetime) -> str:
        """A moment as people in Morocco read it."""
        return format_datetime(at.astimezone(MOROCCO), "medium", locale=self._language.locale)

    def stamp(self, told: str) -> str:
        """A stamp that `hub.ops.parts.stamp_time` told, without its counter; anything else as it stands."""
        try:
            return self.moment(datetime.datetime.fromisoformat(_COUNTER.sub("", told)))
        except ValueError:
            return told

    def unix(self, seconds: float) -> str:
        """A moment in Unix seconds."""
        return self.moment(datetime.datetime.fromtimestamp(seconds, tz=MOROCCO))

    def day(self, day: datetime.date) -> str:
        return format_date(day, "long", locale=self._language.locale)

    def duration(self, seconds: float) -> str:
        """A lag, roughly: what matters is its order of magnitude."""
        span = datetime.timedelta(seconds=round(seconds))
        return format_timedelta(span, threshold=1.5, format="short", locale=self._language.locale)

    def listed(self, words: list[str]) -> str:
        # Each isolated, as <bdi> does: what is written from the left must not turn its neighbours about.
        isolated = [f"\u2068{word}\u2069" for word in words]
        return format_list(isolated, locale=self._language.locale) if words else ""

    def agency(self, agency: str) -> str:
        """An agency by the name of its agreement, or the steward."""
        if agency == STEWARD:
            return self._language.messages.gettext("Steward")
        known = self._agreements.get(agency)
        return known.name.get(self._language.code, agency) if known else agency

    def record_type(self, name: str) -> str:
        return self._language.messages.gettext(RECORD_TYPES[name]) if name in RECORD_TYPES else name

    def field(self, record_type: str, name: str) -> str:
        """A field as the contract words it."""
        record = self._catalogue.records.get(record_type)
        return label(record, name, self._language.code) if record else name

    def fields(self, record_type: str, names: Iterable[str]) -> str:
        """Several fields, as a list in words."""
        return self.listed([self.field(record_type, name) for name in names])

    def form(self, hint: str) -> str:
        """What a value must look like, as the contract words it, found by its English words."""
        for record in self._catalogue.records.values():
            for spec in record.fields:
                if spec.pattern_hint.get("en") == hint:
                    return self.hint(spec)
        return hint

    def hint(self, spec: FieldSpec) -> str:
        """What a field's value must look like, as the contract words it; empty where it says nothing."""
        said = spec.pattern_hint.get(self._language.code, "")
        # Isolated from left to right: in Arabic the plus of a telephone number would stand behind it.
        return _PHONE.sub("\u2066\\g<0>\u2069", said)

    def purpose(self, code: str) -> str:
        """A purpose as the contracts word it, wherever they do."""
        for record in self._catalogue.records.values():
            spec = record.by_name.get("purpose")
            if spec and code in spec.codes:
                return spec.codes[code].get(self._language.code, code)
        return code


@lru_cache(maxsize=10_000)
def _decimal(value: float, locale: Locale) -> str:
    # A page has hundreds, most of them alike.
    return str(format_decimal(value, locale=locale))
