"""The workload: people of 14 fields at one agency, and half of them at another that knew them before.

100,000 changes are 60,000 inserts and 40,000 updates of people inserted before, in commits of 100 rows.
The same seed gives the same rows. Names are made up from numbers: what matters here is their size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import psycopg

COMMIT_ROWS = 100
INSERTED = 0.6
COLUMNS = (
    "cin", "massar_code", "family_name_ar", "given_name_ar", "family_name_fr", "given_name_fr", "birth_date",
    "sex", "commune", "phone", "education_level", "disability", "languages", "received_on",
)  # fmt: skip
TABLE = """
CREATE TABLE beneficiary (
    id bigserial PRIMARY KEY, cin text, massar_code text, family_name_ar text, given_name_ar text,
    family_name_fr text, given_name_fr text, birth_date date, sex text, commune text, phone text,
    education_level text, disability text, languages text[], received_on date);
CREATE INDEX ON beneficiary (cin)
"""
_COPY = f"COPY beneficiary ({', '.join(COLUMNS)}) FROM STDIN"
_UPDATE = "UPDATE beneficiary SET phone = %s, commune = %s WHERE cin = %s"
_SYLLABLES_AR = ("سا", "لم", "حم", "دي", "فا", "طم", "نو", "ري", "كر", "يم")
_SYLLABLES = ("sa", "lem", "ham", "di", "fa", "tim", "nou", "ri", "ka", "rim")
_LEVELS = ("none", "primary", "lower_secondary", "upper_secondary", "higher")
_LANGUAGES = (["ar"], ["ar", "fr"], ["ar", "ber"], ["ar", "fr", "ber"])

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Workload:
    """`people` are rows of `COLUMNS`, half of them `known` elsewhere; `commits` are (inserts?, rows).

    A row of an update is (phone, commune, cin).
    """

    people: Sequence[Row]
    known: Sequence[Row]
    commits: Sequence[tuple[bool, Sequence[Row]]]

    @property
    def changes(self) -> int:
        return sum(len(rows) for _, rows in self.commits)


def workload(changes: int, seed: int, first: int = 0) -> Workload:
    """A workload of so many changes; people are numbered from `first`."""
    rng = Random(seed)  # noqa: S311  (a workload, not a secret)
    people = _people(first, max(1, round(changes * INSERTED)), rng)
    commits: list[tuple[bool, Sequence[Row]]] = []
    written = inserted = 0
    while written < changes:
        updates = changes - written - (len(people) - inserted)
        behind = inserted < len(people) and (inserted <= written * INSERTED or not updates)
        size = min(COMMIT_ROWS, len(people) - inserted if behind else updates)
        if behind:
            rows = people[inserted : inserted + size]
            inserted += size
        else:
            rows = [(_phone(rng), _commune(rng), people[rng.randrange(inserted)][0]) for _ in range(size)]
        commits.append((behind, rows))
        written += size
    return Workload(people, [_as_known_elsewhere(row, rng) for row in people[::2]], commits)


def made_up(first: int, count: int, seed: int) -> Sequence[Row]:
    """So many people, numbered from `first`."""
    return _people(first, count, Random(seed + first))  # noqa: S311


def updates(people: int, changes: int, seed: int) -> Workload:
    """Edits, each of another one of the first so many people (`changes` of them at most)."""
    rng = Random(seed)  # noqa: S311
    chosen = rng.sample(range(people), min(changes, people))
    rows = [(_phone(rng), _commune(rng), _cin(number)) for number in chosen]
    starts = range(0, len(rows), COMMIT_ROWS)
    return Workload((), (), [(False, rows[start : start + COMMIT_ROWS]) for start in starts])


def fill(url: str, rows: Sequence[Row]) -> None:
    """Put rows into an agency's table at once. Blocks."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        _copy(cursor, rows)


def write(url: str, load: Workload) -> None:
    """Do the workload as an agency's application does: commit after commit, as fast as it can. Blocks."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        for is_insert, rows in load.commits:
            if is_insert:
                _copy(cursor, rows)
            else:
                cursor.executemany(_UPDATE, rows)
            connection.commit()


def _copy(cursor: psycopg.Cursor[Any], rows: Sequence[Row]) -> None:
    with cursor.copy(_COPY) as copy:
        for row in rows:
            copy.write_row(row)


def _people(first: int, count: int, rng: Random) -> list[Row]:
    return [_person(first + number, rng) for number in range(count)]


def _cin(number: int) -> str:
    return f"SH{number:06}"


def _person(number: int, rng: Random) -> Row:
    born = f"{rng.randrange(1950, 2008)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
    return (
        _cin(number),
        f"S{number:09}",
        _name(_SYLLABLES_AR, rng),
        _name(_SYLLABLES_AR, rng),
        _name(_SYLLABLES, rng).title(),
        _name(_SYLLABLES, rng).title(),
        born,
        rng.choice(("female", "male")),
        _commune(rng),
        _phone(rng),
        rng.choice(_LEVELS),
        None,  # a disability: only the health services may say it
        rng.choice(_LANGUAGES),
        f"2025-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}",
    )


def _as_known_elsewhere(row: Row, rng: Random) -> Row:
    """The same person as another agency wrote them down: older, with less in it."""
    known = dict(zip(COLUMNS, row, strict=True))
    known |= {"massar_code": None, "phone": _phone(rng), "education_level": None, "languages": ["ar"]}
    return tuple(known[name] for name in COLUMNS)


def _name(syllables: Sequence[str], rng: Random) -> str:
    return "".join(rng.choice(syllables) for _ in range(rng.randrange(2, 5)))


def _phone(rng: Random) -> str:
    return f"+2126{rng.randrange(10**8):08}"


def _commune(rng: Random) -> str:
    return rng.choice(("06.321.03.01", "06.321.03.03", "06.275.01.01"))
