"""What an agency's joining comes to, in numbers: by a plan beforehand, or in a report afterwards.

Examples hold masked keys and values, unless a person asked for them in full. Everything here turns into JSON
by `as_json`, so that a plan and a report can be compared.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# How many examples are kept of one kind.
EXAMPLES = 3

# What a value becomes: given where there was none, another, or none where there was one.
FILLED, REPLACED, EMPTIED = "filled", "replaced", "emptied"


class Example(NamedTuple):
    """One record of the agency's: its key, and what there was and would be, as far as that may be shown."""

    key: str
    before: str = ""
    after: str = ""
    why: str = ""


@dataclass
class Tally:
    """So many, some of them as examples."""

    number: int = 0
    examples: list[Example] = field(default_factory=list)

    def add(self, example: Example) -> None:
        self.number += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(example)


@dataclass
class FieldChanges:
    """How many values of one field change: by what becomes of them, and by the rule that decides."""

    outcomes: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)

    def add(self, outcome: str, rule: str, example: Example) -> None:
        self.outcomes[outcome] += 1
        self.rules[rule] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(example)


@dataclass
class Elsewhere:
    """What changes at one other agency: records that it gets or loses, values of those that it has."""

    created: int = 0
    ended: int = 0
    fields: dict[str, FieldChanges] = field(default_factory=dict)

    def of(self, name: str) -> FieldChanges:
        return self.fields.setdefault(name, FieldChanges())


@dataclass
class Brake:
    """What the brake of a join makes of it: records that put others' values aside, against its limit."""

    overwriting: int = 0
    live: int = 0
    limit: int = 0
    held: bool = False


@dataclass
class TypeCounts:
    """One record type of the agency.

    Of the `rows` each is one of: `silent` (it says nothing), `refused`, `known` (linked already), `matched`
    (by which rule), `uncertain` (why), `duplicates` (of another of the agency's rows), `new`. `more`: whether
    there are rows beyond these. `unread`: values that the mapping cannot say, the rest of their row is sent.
    `merged`: entities of others that become one by what the agency says. `here_rows`: rows of the agency that
    would be written; `here_refused`: values that its columns cannot take.
    """

    rows: int = 0
    more: bool = False
    silent: int = 0
    known: int = 0
    matched: Counter[str] = field(default_factory=Counter)
    uncertain: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    new: int = 0
    refused: dict[tuple[str, str, str], Tally] = field(default_factory=dict)
    unread: dict[tuple[str, str, str], Tally] = field(default_factory=dict)
    held: dict[tuple[str, str], Tally] = field(default_factory=dict)
    reviews: dict[tuple[str, str], Tally] = field(default_factory=dict)
    waiting: dict[tuple[str, str], Tally] = field(default_factory=dict)
    merged: int = 0
    here_rows: int = 0
    here: dict[str, FieldChanges] = field(default_factory=dict)
    here_refused: dict[tuple[str, str], Tally] = field(default_factory=dict)
    elsewhere: dict[str, Elsewhere] = field(default_factory=dict)
    brake: Brake = field(default_factory=Brake)

    def here_of(self, name: str) -> FieldChanges:
        return self.here.setdefault(name, FieldChanges())

    def at(self, agency: str) -> Elsewhere:
        return self.elsewhere.setdefault(agency, Elsewhere())


def tally(table: dict[Any, Tally], key: Any, example: Example) -> None:
    """One more of `key`."""
    table.setdefault(key, Tally()).add(example)


# What the parts of the keys of each table are.
_PARTS = {
    "refused": ("code", "field", "column"),
    "unread": ("code", "field", "column"),
    "held": ("reason", "fields"),
    "reviews": ("reason", "fields"),
    "waiting": ("field", "why"),
    "here_refused": ("code", "column"),
}


@dataclass
class JoinCounts:
    """Of one agency. `kind`: `plan` or `report`; `at`: when, in Morocco; `sampled`: some rows were left."""

    kind: str
    agency: str
    at: str
    types: dict[str, TypeCounts] = field(default_factory=dict)

    @property
    def sampled(self) -> bool:
        return any(one.more for one in self.types.values())


def as_json(found: JoinCounts) -> dict[str, Any]:
    """For programs: the same keys for a plan and for a report."""
    return {
        "kind": found.kind,
        "agency": found.agency,
        "at": found.at,
        "sampled": found.sampled,
        "records": {name: _type_json(one) for name, one in found.types.items()},
    }


def _type_json(one: TypeCounts) -> dict[str, Any]:
    told = {item.name: getattr(one, item.name) for item in dataclasses.fields(one)}
    for name, parts in _PARTS.items():
        told[name] = [
            dict(zip(parts, key, strict=True)) | _tally_json(those)
            for key, those in sorted(told[name].items())
        ]
    for name in ("matched", "uncertain"):
        told[name] = dict(sorted(told[name].items()))
    told["here"] = _fields_json(one.here)
    told["elsewhere"] = {
        agency: {"created": there.created, "ended": there.ended, "fields": _fields_json(there.fields)}
        for agency, there in sorted(one.elsewhere.items())
    }
    told["brake"] = dataclasses.asdict(one.brake)
    return told


def _tally_json(those: Tally) -> dict[str, Any]:
    return {"number": those.number, "examples": [one._asdict() for one in those.examples]}


def _fields_json(fields: dict[str, FieldChanges]) -> dict[str, Any]:
    return {
        name: {
            **{word: one.outcomes[word] for word in (FILLED, REPLACED, EMPTIED)},
            "rules": dict(sorted(one.rules.items())),
            "examples": [example._asdict() for example in one.examples],
        }
        for name, one in sorted(fields.items())
    }
