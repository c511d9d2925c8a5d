"""What the agencies' people do is done here, each deed at its time, and written into a ledger."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulation.agency import AgencyDatabase
from simulation.deeds import FAMILIES, NOTED, TODAY, Deed, truth
from simulation.forms import FORMS, Form, Values
from simulation.schedule import Schedule

# (agency, record type, local id)
Place = tuple[str, str, str]
# Who opened a form and went to lunch.
LUNCH_MS = 5_000


# What people know of an agency's rows: persons, ids that are free, rows without a card's number.
Memory = tuple[dict[Place, int], list[str], set[Place]]


@dataclass(frozen=True)
class Entry:
    """What the ledger keeps of one row's change: the values typed, and what stood there before."""

    place: Place
    operation: str
    values: Mapping[str, Any]
    before: Mapping[str, Any]
    at_ms: int


class People:
    """Everybody at every agency."""

    def __init__(
        self, schedule: Schedule, databases: Mapping[str, AgencyDatabase], *, plain: bool = False
    ) -> None:
        self._schedule = schedule
        self._databases = databases
        self._plain = plain
        self.ledger: list[Entry] = []
        # Those that a restore has undone where they were made, by identity.
        self._undone: set[int] = set()
        # How many deeds are done.
        self.done = 0
        # Who is behind a row that people made; rows of the dead whose ids may be used again.
        self.persons: dict[Place, int] = {}
        self._free: dict[str, list[str]] = {agency: [] for agency in databases}
        self._opened: dict[Place, Values] = {}
        # Rows whose people have not typed a card's number, whatever was delivered.
        self._nameless: set[Place] = set()

    def work(self, deeds: list[Deed]) -> None:
        """Do everything at its time."""
        start = self._schedule.now_ms
        for deed in deeds:
            self._schedule.wait(timeout_ms=max(0, start + deed.at_ms - self._schedule.now_ms))
            self.do(deed)
        # Who opened a form and went to lunch saves it now.
        self._schedule.wait(timeout_ms=LUNCH_MS)
        for place in sorted(self._opened):
            self._save_form(place, len(deeds) + 1)

    def do(self, deed: Deed) -> None:
        getattr(self, f"_{deed.kind}")(deed)
        self.done += 1

    # Restores

    def is_undone(self, entry: Entry) -> bool:
        """Whether what was done is lost at its agency, by a restore."""
        return id(entry) in self._undone

    def remember(self, agency: str) -> Memory:
        """What people know of an agency's rows now."""
        persons = {place: who for place, who in self.persons.items() if place[0] == agency}
        return persons, list(self._free[agency]), {place for place in self._nameless if place[0] == agency}

    def set_back(self, agency: str, memory: Memory, since: int) -> None:
        """The agency's rows are again as they were `since` so many entries; nobody has a form open."""
        self._undone |= {id(entry) for entry in self.ledger[since:] if entry.place[0] == agency}
        persons, free, nameless = memory
        others = {place: who for place, who in self.persons.items() if place[0] != agency}
        self.persons = others | persons
        self._free[agency] = free
        self._nameless = {place for place in self._nameless if place[0] != agency} | nameless
        self._opened = {place: shown for place, shown in self._opened.items() if place[0] != agency}

    # Persons

    def _receive(self, deed: Deed) -> None:
        who = truth(deed.person)
        values = {name: who[name] for name in ("family_name_fr", "given_name_fr", "birth_date", "sex")}
        if deed.number % 3:
            values["cin"] = who["cin"]
        if deed.number % 13 == 1:
            # Somebody else's card: the birth date contradicts it (R16).
            values["cin"] = truth((deed.person + 1) % 3)["cin"]
        if deed.agency != "health" and deed.number % 2:
            values["phone"] = _phone(deed.serial)
        place = self._insert(deed.agency, "person", values, self._id(deed))
        self.persons[place] = deed.person
        if "cin" not in values:
            self._nameless.add(place)

    def _note(self, deed: Deed) -> None:
        place = self._row(deed, "person")
        if place is None:
            return
        name = "family_name_fr" if deed.agency == "health" else NOTED[deed.serial % len(NOTED)]
        if self._plain and name in ("languages", "education_level", "disability"):
            name = "phone" if deed.agency != "health" else "family_name_fr"
        self._edit(place, {name: self._new_value(place, name, deed)})

    def _new_value(self, place: Place, name: str, deed: Deed) -> Any:
        row = self._read(place)
        if name == "languages":
            spoken = set(row[name] or ())
            spoken ^= {("ar", "fr", "ber", "es")[deed.number % 4]}
            return sorted(spoken) or ["ar"]
        if name == "education_level":
            return ("none", "primary", "higher")[deed.number % 3]
        if name == "disability":
            return ("none", "motor", "visual")[deed.number % 3]
        if name == "received_on":
            return TODAY - datetime.timedelta(days=deed.serial)
        if name == "family_name_fr":
            return f"{FAMILIES[deed.person]} {'abcdefghijklmnopqrstuvwxyz'[deed.serial % 26]}"
        return _phone(deed.serial)

    def _blank(self, deed: Deed) -> None:
        place = self._row(deed, "person")
        if place is not None:
            self._edit(place, {"phone": None})

    def _learn(self, deed: Deed) -> None:
        rows = [p for p in self._rows(deed.agency, "person") if p in self._nameless]
        mine = [p for p in rows if self._plain or self._read(p)["cin"] is None]
        if mine:
            place = mine[deed.number % len(mine)]
            self._nameless.remove(place)
            self._edit(place, {"cin": truth(self.persons[place])["cin"]})

    def _form(self, deed: Deed) -> None:
        """A form is opened, or saved as it was opened, but for one box (R13)."""
        place = self._row(deed, "person")
        if place is None or place[0] == "health":
            return
        if place in self._opened:
            self._save_form(place, deed.serial)
        else:
            self._opened[place] = self._read(place)

    def _save_form(self, place: Place, serial: int) -> None:
        shown = self._opened.pop(place)
        if place in self._rows(place[0], "person"):
            shown = {name: value for name, value in shown.items() if name != "cin"}
            self._edit(place, {**shown, "received_on": TODAY - datetime.timedelta(days=serial)})

    def _diagnose(self, deed: Deed) -> None:
        place = self._row(deed, "person")
        if place is None:
            self._receive(deed)
        else:
            self._edit(place, {"disability": ("none", "motor", "visual")[deed.number % 3]})

    def _dismiss(self, deed: Deed) -> None:
        used = {
            self._read(place)["person"]
            for kind in ("enrolment", "consent")
            for place in self._rows(deed.agency, kind)
        }
        rows = [place for place in self._rows(deed.agency, "person") if place[2] not in used]
        if rows:
            place = rows[deed.number % len(rows)]
            self._opened.pop(place, None)
            self.persons.pop(place, None)
            self._nameless.discard(place)
            self._delete(place)
            self._free[deed.agency].append(place[2])

    def _reuse(self, deed: Deed) -> None:
        """The id of a row that is gone is given to somebody else (R14)."""
        free = [
            one
            for one in self._free[deed.agency]
            if (deed.agency, "person", one) not in self._rows(deed.agency, "person")
        ]
        if not free:
            return self._dismiss(deed)
        place = self._insert(deed.agency, "person", truth(deed.person), free[-1])
        self.persons[place] = deed.person
        return None

    def _rename(self, deed: Deed) -> None:
        """A row is given another primary key: a delete and an insert (R14)."""
        place = self._row(deed, "person")
        if place is None or place not in self.persons or place in self._opened:
            return
        form, key = self._of(place), str(900 + deed.serial)
        used = [self._read(p)["person"] for k in ("enrolment", "consent") for p in self._rows(place[0], k)]
        if place[2] in used or form.second:
            return
        values = self._read(place)
        with self._databases[place[0]].people() as db:
            db.execute(f"UPDATE {form.table} SET id = ? WHERE id = ?", [int(key), int(place[2])])
        new = (place[0], "person", key)
        self._note_down(place, "delete", {}, values)
        self._note_down(new, "insert", _filled(values), {})
        self.persons[new] = self.persons.pop(place)
        if place in self._nameless:
            self._nameless.remove(place)
            self._nameless.add(new)

    # Papers

    def _enrol(self, deed: Deed) -> None:
        place = self._row(deed, "person")
        if place is not None and place in self.persons:
            values = {
                "number": f"INS-2026-00000{self.persons[place]}",
                "person": place[2],
                "status": "planned",
                "modules": ["sewing"],
            }
            self._insert(deed.agency, "enrolment", values, self._id(deed))

    def _progress(self, deed: Deed) -> None:
        place = self._row(deed, "enrolment")
        if place is not None:
            status = ("planned", "active", "completed")[deed.number % 3]
            modules = sorted({*(self._read(place)["modules"] or ()), ("french", "digital")[deed.serial % 2]})
            self._edit(place, {"modules": modules} if deed.number % 2 else {"status": status})

    def _unenrol(self, deed: Deed) -> None:
        place = self._row(deed, "enrolment")
        if place is not None:
            self._delete(place)

    def _consent(self, deed: Deed) -> None:
        place = self._row(deed, "person")
        if place is not None:
            values = {
                "person": place[2],
                "purpose": "social-integration",
                "recipients": ["ads"],
                "status": "given",
                "given_on": TODAY,
            }
            self._insert(deed.agency, "consent", values)

    def _withdraw(self, deed: Deed) -> None:
        place = self._row(deed, "consent")
        if place is None:
            # There is none to be withdrawn yet.
            self._consent(deed)
        else:
            self._edit(place, {"status": "withdrawn"})

    # What all deeds come to

    def _id(self, deed: Deed) -> str | None:
        """In a plain run an id that does not depend on how many rows the hub has made."""
        return str(1_000 * deed.serial) if self._plain else None

    def _of(self, place: Place) -> Form:
        return FORMS[place[0]][place[1]]

    def _read(self, place: Place) -> Values:
        return self._of(place).read(self._databases[place[0]].handle, place[2]) or {}

    def _rows(self, agency: str, kind: str) -> list[Place]:
        form = FORMS[agency].get(kind)
        if form is None:
            return []
        self._databases[agency].await_writer(None)
        rows = self._databases[agency].handle.execute(f"SELECT id FROM {form.table} ORDER BY id").fetchall()
        return [(agency, kind, str(one)) for (one,) in rows]

    def _row(self, deed: Deed, kind: str) -> Place | None:
        """A row of the agency; in a plain run only of those that people made."""
        rows = self._rows(deed.agency, kind)
        if self._plain:
            rows = [place for place in rows if place in self.persons]
        if kind == "person":
            born = truth(deed.person)["birth_date"]
            rows = [place for place in rows if self._read(place)["birth_date"] == born] or rows
        return rows[deed.number % len(rows)] if rows else None

    def _insert(self, agency: str, kind: str, values: Values, local_id: str | None = None) -> Place:
        with self._databases[agency].people() as db:
            key = FORMS[agency][kind].insert(db, values, local_id)
        place = (agency, kind, key)
        self._note_down(place, "insert", _filled(values), {})
        return place

    def _edit(self, place: Place, values: Values) -> None:
        form = self._of(place)
        with self._databases[place[0]].people() as db:
            before = form.read(db, place[2])
            if before is None:
                return
            boxes = {name for name in values if name in before}
            # Names that share a column are typed together.
            if {"family_name_fr", "given_name_fr"} & boxes and place[0] == "ads":
                values = {
                    "family_name_fr": before["family_name_fr"],
                    "given_name_fr": before["given_name_fr"],
                    **values,
                }
            form.update(db, place[2], values)
            after = form.read(db, place[2]) or {}
        changed = {name: after[name] for name in after if after[name] != before[name]}
        self._note_down(place, "update", changed, {name: before[name] for name in changed})

    def _delete(self, place: Place) -> None:
        with self._databases[place[0]].people() as db:
            before = self._of(place).read(db, place[2])
            self._of(place).delete(db, place[2])
        self._note_down(place, "delete", {}, before or {})

    def _note_down(self, place: Place, operation: str, values: Values, before: Values) -> None:
        self.ledger.append(Entry(place, operation, values, before, self._schedule.now_ms))


def _filled(values: Values) -> Values:
    return {name: value for name, value in values.items() if value is not None}


def _phone(serial: int) -> str:
    return f"+2126{serial:08d}"
