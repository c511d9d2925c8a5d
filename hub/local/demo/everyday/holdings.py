"""What is different between two looks at the agencies' tables: every row and every value of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from hub.local.demo.agencies.reading import Held
from hub.local.demo.proof.verdict import Rows, digest

# In place of a field's name: the row as a whole came or went.
ROW = "(row)"


class Difference(NamedTuple):
    """One value of one row that is another one now; `before` and `after` in the hub's terms."""

    agency: str
    record_type: str
    local_id: str
    field: str
    before: Any
    after: Any

    @property
    def emptied(self) -> bool:
        """Whether something was there, and nothing is."""
        return self.after is None and self.before is not None

    @property
    def place(self) -> str:
        """Where it is, without any value."""
        return f"{self.agency}: {self.field} of {self.record_type} {self.local_id}"


def differences(before: Rows, after: Rows) -> list[Difference]:
    """Everything that differs, agencies in the order of `after`."""
    return [
        one
        for agency in dict.fromkeys([*before, *after])
        for record_type in dict.fromkeys([*before.get(agency, {}), *after.get(agency, {})])
        for one in _of_table(
            agency,
            record_type,
            before.get(agency, {}).get(record_type, {}),
            after.get(agency, {}).get(record_type, {}),
        )
    ]


def of_rows_in(known: Rows, found: Iterable[Difference]) -> list[Difference]:
    """Without the rows that came since `known`."""
    return [one for one in found if one.local_id in known.get(one.agency, {}).get(one.record_type, {})]


def digests(rows: Rows) -> dict[str, str]:
    """Agency → a digest of all that its tables hold."""
    return {
        agency: digest({f"{kind} {key}": row for kind, of in tables.items() for key, row in of.items()})
        for agency, tables in rows.items()
    }


def _of_table(
    agency: str, record_type: str, before: Mapping[str, Held], after: Mapping[str, Held]
) -> Iterator[Difference]:
    for local_id in dict.fromkeys([*before, *after]):
        was, now = before.get(local_id), after.get(local_id)
        if was is None or now is None:
            yield Difference(agency, record_type, local_id, ROW, was, now)
            continue
        for name in dict.fromkeys([*was, *now]):
            if was.get(name) != now.get(name):
                yield Difference(agency, record_type, local_id, name, was.get(name), now.get(name))
