"""What the records of a centre's work have in common: whom they are about, who opens them, what is near."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import Protocol

from hub.local.demo.copies import Copy, Values
from hub.local.demo.enrolments import NEWS_DELAY, enrolling_at
from hub.local.demo.people import AS_OF, Person
from hub.local.demo.person_copies import Acquaintance

# Of the linked people whom both enrolling agencies know, those of whom both write down the same thing.
SHARED_SHARE = 0.4
ROLES = (
    "social_worker", "psychologist", "educator", "job_counsellor", "physician", "centre_director",
)  # fmt: skip


class Known(Protocol):
    """A centre, association, service or module, and the agencies that have it on their books."""

    @property
    def number(self) -> int: ...

    @property
    def agencies(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Case:
    """A person of whom an enrolling agency writes something down.

    `agencies`: the enrolling ones that know the person; `linked`: whether the hub can tell that their
    records are of one person.
    """

    person: Person
    known: Acquaintance
    agencies: tuple[str, ...]

    def opened_at(self, rng: Random) -> tuple[str, ...]:
        """Who writes it down: one agency, or both where a number on paper makes it one thing for the hub."""
        if len(self.agencies) > 1 and self.known.linked and rng.random() < SHARED_SHARE:
            return self.agencies
        return (rng.choice(self.agencies),)


def make_cases(
    persons: Sequence[Person], known: Sequence[Acquaintance], share: float, rng: Random
) -> Iterator[Case]:
    """A share of the people whom enrolling agencies know; the first of them always."""
    first = True
    for person, acquaintance in zip(persons, known, strict=True):
        agencies = enrolling_at(acquaintance)
        if agencies and (first or rng.random() < share):
            first = False
            yield Case(person, acquaintance, agencies)


def on_books_of(things: Sequence[Known], agencies: Sequence[str]) -> list[int]:
    """The numbers of those that all of `agencies` know."""
    return [thing.number for thing in things if set(agencies) <= set(thing.agencies)]


def drawn(weights: Mapping[str, int], rng: Random) -> str:
    """One of the codes, by weight."""
    return rng.choices(list(weights), weights=list(weights.values()))[0]


def day_since(first: date, rng: Random) -> date:
    """A day from `first` to the day on which the population is described."""
    return date.fromordinal(rng.randint(min(first, AS_OF).toordinal(), AS_OF.toordinal()))


def days_later(day: date, most: int, rng: Random) -> date:
    """Up to `most` days after `day`, and not after the day on which the population is described."""
    return min(day + timedelta(days=1 + int(rng.random() * most)), AS_OF)


def behind(copy: Copy, without: Sequence[str], **older: str) -> Copy:
    """The same thing at the agency that did not open it: older, and without the latest news."""
    values: Values = {name: value for name, value in copy.values.items() if name not in without}
    return replace(copy, values={**values, **older}, modified_at=copy.modified_at - NEWS_DELAY)
