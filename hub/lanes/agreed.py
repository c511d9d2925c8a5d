"""What was agreed on for one record type, in a form that can be kept and compared (R17).

A release brings its agreements with it and knows no earlier ones. So what is in force is kept in the store
beside its digest, and what differs can be told when it is applied.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hub.core.projection import Terms, grants_in_force

# (Purpose, whether the person must have consented, whether rows are made) → fields.
_Ground = tuple[str, bool, bool]


def agreed(those: Iterable[Terms], day: int) -> str:
    """What agencies may hold on `day`, whoever consents: JSON, equal where the same is agreed on."""
    return json.dumps(
        {
            terms.agency: [
                [*ground, sorted(fields)] for ground, fields in sorted(_grounds(terms, day).items())
            ]
            for terms in those
        },
        sort_keys=True,
    )


def whoever_consents(terms: Terms) -> Terms:
    """The terms as if no grant needed a consent: what the agreement and the calendar alone let through."""
    return terms._replace(grants=tuple(grant._replace(needs_consent=False) for grant in terms.grants))


def differences(before: str, now: str) -> list[dict[str, Any]]:
    """What differs between two of `agreed`: for each agency and ground the fields that it may hold also and
    no longer; empty where it is the same."""
    was, will = _read(before), _read(now)
    found = []
    for agency in sorted(was.keys() | will.keys()):
        grounds = was.get(agency, {}), will.get(agency, {})
        for ground in sorted(grounds[0].keys() | grounds[1].keys()):
            fields = [those.get(ground, frozenset()) for those in grounds]
            if fields[0] != fields[1]:
                purpose, consent, create = ground
                found.append(
                    {
                        "agency": agency,
                        "purpose": purpose,
                        "consent": consent,
                        "create": create,
                        "also": sorted(fields[1] - fields[0]),
                        "no_longer": sorted(fields[0] - fields[1]),
                    }
                )
    return found


def worded(differing: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """`differences`, a line each."""
    for one in differing:
        consent = ", with consent" if one["consent"] else ""
        rows = "rows made" if one["create"] else "rows that it has"
        moved = [(word, one[name]) for word, name in (("also", "also"), ("no longer", "no_longer"))]
        fields = "; ".join(f"{word} {', '.join(names)}" for word, names in moved if names)
        yield f"{one['agency']} may hold for {one['purpose']}{consent} ({rows}): {fields}"


def _grounds(terms: Terms, day: int) -> dict[_Ground, set[str]]:
    whoever = whoever_consents(terms)
    in_force = set(grants_in_force(whoever, (), day))
    grounds: dict[_Ground, set[str]] = {}
    for grant, plain in zip(terms.grants, whoever.grants, strict=True):
        if plain in in_force:
            ground = grant.purpose, grant.needs_consent, grant.create
            grounds.setdefault(ground, set()).update(grant.fields)
    return grounds


def _read(text: str) -> dict[str, dict[_Ground, frozenset[str]]]:
    return {
        agency: {
            (purpose, consent, create): frozenset(fields) for purpose, consent, create, fields in grounds
        }
        for agency, grounds in json.loads(text).items()
    }
