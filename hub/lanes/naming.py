"""Under which keys a record is found by somebody's name: kept with it, by intake and rebuild alike.

A key is a keyed hash of how a word of a name sounds, or of a birth date or year: without the hub's secret the
keys tell only which records share one (decision 044). They follow from what the record itself asserts, so
that who it stands for may change without them.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

from hub.contracts.records import Catalogue, FieldSpec
from hub.contracts.values import decode
from hub.core.assertions import RecordState
from hub.core.crosswalk import World
from hub.core.policy import TypePolicy
from hub.core.sounding import alternatives, sounds
from hub.core.texts import text_of
from hub.core.tokens import Ids
from hub.store.transaction import Transaction

# Names, and as many birth dates: those of half a century. 6 MB each when full.
_CACHED = 20_000


class Naming:
    """Keys of records whose type has names. Thread-safe; no I/O but through the transaction it is given."""

    def __init__(self, catalogue: Catalogue, types: Mapping[str, TypePolicy], ids: Ids) -> None:
        self._ids = ids
        self._roles = {
            kind: {
                role: catalogue.records[kind].by_name[name]
                for role, name in policy.matched.items()
                if role.startswith("name_") or role == "birth_date"
            }
            for kind, policy in types.items()
            if any(role.startswith("name_") for role in policy.matched)
        }
        self._of_name = lru_cache(_CACHED)(self._name_keys)
        self._of_date = lru_cache(_CACHED)(self._date_keys)

    @property
    def record_types(self) -> Collection[str]:
        """Those whose records have names."""
        return self._roles.keys()

    def name_fields(self, record_type: str) -> tuple[FieldSpec, ...]:
        """The fields with names or parts of them."""
        return tuple(spec for role, spec in self._roles[record_type].items() if role.startswith("name_"))

    def keys(self, state: RecordState) -> frozenset[int]:
        """All keys under which this record is found; none without a name."""
        found: set[int] = set()
        dated: tuple[int, ...] = ()
        for role, spec in self._roles.get(state.key.record_type, {}).items():
            raw = state.asserts.values.get(spec.name, (0, None))[1]
            if raw is None:
                continue
            if role == "birth_date":
                dated = self._of_date(state.key.record_type, raw)
            else:
                found.update(self._of_name(raw))
        return frozenset((*found, *dated)) if found else frozenset()

    def save(
        self, tx: Transaction, world: World, records: Iterable[bytes], new: Collection[bytes] = ()
    ) -> None:
        """Keep the keys of these records as they are now; `new` ones had none before."""
        states = [world.records[record] for record in records]
        keys = {one.id: self.keys(one) for one in states if one.key.record_type in self._roles}
        tx.save_names({record: those for record, those in keys.items() if those or record not in new})

    def named(self, name: str) -> tuple[int, ...]:
        """The keys of a name's words."""
        return tuple(map(self._word, sounds(name)))

    def sought(self, name: str) -> list[frozenset[int]]:
        """For each word of a name that is looked for, the keys of which a record has one."""
        return [frozenset(map(self._word, words)) for words in alternatives(name)]

    def born(self, day: datetime.date) -> int:
        return self._ids.name_key(f"born {day.isoformat()}")

    def born_in(self, year: int) -> int:
        return self._ids.name_key(f"born in {year}")

    def _word(self, sound: str) -> int:
        return self._ids.name_key(f"sounds {sound}")

    def _name_keys(self, raw: bytes) -> tuple[int, ...]:
        return self.named(text_of(raw))

    def _date_keys(self, record_type: str, raw: bytes) -> tuple[int, ...]:
        day: datetime.date = decode(self._roles[record_type]["birth_date"], raw)
        return self.born(day), self.born_in(day.year)
