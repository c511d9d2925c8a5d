"""What an agency holds: copies of records in the hub's terms, and the truth about who is whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

AGENCIES = ("entraide", "ads", "region-laayoune", "health")

Value = str | int | bool | date | list[str]
Values = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Copy:
    """One agency's record of one person, centre, enrolment, or thing of another record type.

    `number` is the logical thing that it speaks of: two copies with the same number, of the same
    record type, are of the same thing, whatever the hub can find out about it. `values` holds only
    the fields that the agency knows. `references` maps a reference field that says something to the
    logical number of what it refers to, which the same agency holds as well. `modified_at` is in UTC.
    """

    number: int
    values: Values
    modified_at: datetime
    references: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Collision:
    """A clerk at `agency` typed for `person` the identity card number of `other`.

    The birth dates contradict each other, so the hub must not link the two: it asks for a review.
    """

    person: int
    other: int
    agency: str
    cin: str


@dataclass(frozen=True, slots=True)
class Truth:
    """Who is whom, and what a hub that follows R16 can find out.

    `known_to[n]` are the agencies that hold a copy of person `n`. For a person in `linked` every
    copy carries the same strong identifier; any other person known to several agencies has an
    identifier in one copy at most, and so stays one entity per agency. `homonyms` are pairs of
    different people with the same names, sex and birth date.
    """

    known_to: tuple[tuple[str, ...], ...]
    linked: frozenset[int]
    collisions: tuple[Collision, ...]
    homonyms: tuple[tuple[int, int], ...]

    def entities(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Each person entity that a perfect hub ends with: (person, agencies of its copies)."""
        for person, agencies in enumerate(self.known_to):
            if person in self.linked:
                yield person, agencies
            else:
                yield from ((person, (agency,)) for agency in agencies)


@dataclass(frozen=True, slots=True)
class Population:
    """A whole region: `copies[agency][record type]`, ordered by logical number, and the truth.

    An agency that keeps no records of a type has no such key. About 2 kB a person.
    """

    people: int
    seed: int
    copies: Mapping[str, Mapping[str, list[Copy]]]
    truth: Truth
