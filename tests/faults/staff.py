"""The people at the agencies: they edit their own databases, and note in the ledger what was committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sized
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial

from sqlalchemy.exc import InterfaceError, OperationalError

from faults.ledger import Entry, Ledger
from faults.schedule import Step
from hub.local.demo.story.people import (
    SET_ADS_PHONE,
    SET_ENTRAIDE_COMMUNE,
    SET_ENTRAIDE_PHONE,
    at_ads,
    at_entraide,
)
from hub.local.demo.story.scene import Newcomer, Scene

_SET_REGION_COMMUNE = "UPDATE personne SET code_commune = :commune WHERE id = :id"
_ENROL = """
    INSERT INTO inscription (numero, id_beneficiaire, id_centre, parcours, statut)
    VALUES (:number, :person, :centre, 'ORI', 'P') RETURNING id_inscription
"""
_A_CENTRE = "SELECT min(id_centre) FROM centre"
_SET_STATUS = "UPDATE inscription SET statut = :code WHERE id_inscription = :id"
_UNENROL = "DELETE FROM inscription WHERE id_inscription = :id"
_DISMISS = 'DELETE FROM "المستفيدون" WHERE "رقم_الملف" = :id'
_CONSENT = """
    INSERT INTO "الموافقات" ("المستفيد", "الغرض", "الجهات", "الحالة", "تاريخ_المنح")
    VALUES (:person, 'إدماج مهني', 'region-laayoune', 'ممنوحة', :day) RETURNING "المعرف"
"""
_WITHDRAW = 'UPDATE "الموافقات" SET "الحالة" = \'مسحوبة\' WHERE "المعرف" = :id'
_STATUSES = (("active", "E"), ("suspended", "S"), ("completed", "T"), ("abandoned", "A"))


class Staff:
    """Does what a schedule says. An edit that its database does not take is not acknowledged.

    The cast are people whom Entraide and ADS both knew from the beginning, and whom the hub recognises.
    """

    def __init__(self, scene: Scene, ledger: Ledger) -> None:
        self._scene = scene
        self._ledger = ledger
        region = scene.region
        at = region.local_ids
        known = sorted(region.population.truth.linked & at["entraide"].keys() & at["ads"].keys())
        self.cast = [(int(at["entraide"][n]), int(at["ads"][n])) for n in known]
        regional = sorted(region.population.truth.linked & at["region-laayoune"].keys())
        self._regional = [int(at["region-laayoune"][n]) for n in regional]
        # People received since, by their file at Entraide.
        self.newcomers: list[tuple[int, Newcomer]] = []
        self._enrolments: list[tuple[int, int]] = []
        self._consents: list[int] = []
        # Edits of something that must be there first, and what is done if it is not.
        self._first: Mapping[str, tuple[Sized, str]] = {
            "status": (self._enrolments, "enrol"),
            "unenrol": (self._enrolments, "enrol"),
            "dismiss": (self.newcomers, "receive"),
            "withdraw": (self._consents, "consent"),
        }

    def edit(self, step: Step) -> None:
        """One edit; what breaks off is not acknowledged, and may be in effect all the same."""
        there, first = self._first.get(step.what, ((None,), ""))
        try:
            getattr(self, f"_{step.what if there else first}")(step)
        except (InterfaceError, OperationalError):
            # Nothing else: an edit that the agency's own rules refuse is a mistake of the schedule.
            return

    @contextmanager
    def _making(self, agency: str, field: str, value: object) -> Iterator[None]:
        """A row is made, to be known by a value; if this breaks off, nobody knows whether it is there."""
        self._ledger.unsure.add((agency, field, value))
        yield
        self._ledger.unsure.remove((agency, field, value))

    def _note(
        self, agency: str, record_type: str, local_id: object, operation: str, **values: object
    ) -> None:
        self._ledger.note(Entry(agency, record_type, str(local_id), operation, values))

    def _phone_at_entraide(self, step: Step) -> None:
        phone, (person, _) = _phone(step), self.cast[step.number % len(self.cast)]
        self._scene.edit("entraide", SET_ENTRAIDE_PHONE, phone=phone, id=person)
        self._note("entraide", "person", person, "update", phone=phone)

    def _phone_at_ads(self, step: Step) -> None:
        phone, (_, person) = _phone(step), self.cast[step.number % len(self.cast)]
        self._scene.edit("ads", SET_ADS_PHONE, phone=phone, id=person)
        self._note("ads", "person", person, "update", phone=phone)

    def _commune_at_entraide(self, step: Step) -> None:
        commune, (person, _) = _commune(step), self.cast[step.number % len(self.cast)]
        self._scene.edit("entraide", SET_ENTRAIDE_COMMUNE, commune=commune, id=person)
        self._note("entraide", "person", person, "update", commune=commune)

    def _commune_at_region(self, step: Step) -> None:
        commune, person = _commune(step), self._regional[step.number % len(self._regional)]
        self._scene.edit("region-laayoune", _SET_REGION_COMMUNE, commune=commune, id=person)
        self._note("region-laayoune", "person", person, "update", commune=commune)

    def _receive(self, step: Step) -> None:
        self._at_entraide(self._scene.newcomer(), _phone(step))

    def _at_entraide(self, who: Newcomer, phone: str) -> None:
        with self._making("entraide", "cin", who.cin):
            number = at_entraide(self._scene, who, phone=phone, commune=None)
        self.newcomers.append((number, who))
        said = {"cin": who.cin, "family_name_ar": who.family_ar, "birth_date": who.birth, "phone": phone}
        self._note("entraide", "person", number, "insert", **said)

    def _at_ads(self, who: Newcomer, phone: str) -> None:
        with self._making("ads", "cin", who.cin):
            number = at_ads(self._scene, who, cin=who.cin, phone=phone)
        said = {"cin": who.cin, "family_name_fr": who.family_fr, "birth_date": who.birth, "phone": phone}
        self._note("ads", "person", number, "insert", **said)

    def _twins(self, step: Step) -> None:
        who, phone = self._scene.newcomer(), _phone(step)
        both: list[Callable[[], None]] = [
            partial(one, who, phone) for one in (self._at_entraide, self._at_ads)
        ]
        self._scene.at_once(*both)

    def _enrol(self, step: Step) -> None:
        _, person = self.cast[step.number % len(self.cast)]
        number, centre = f"INS-2026-{step.serial:08d}", self._scene.desk("ads").one(_A_CENTRE)
        with self._making("ads", "number", number):
            key = self._scene.edit("ads", _ENROL, number=number, person=person, centre=centre)
        self._enrolments.append((key, 0))
        said = {"number": number, "person": str(person), "centre": str(centre), "status": "planned"}
        self._note("ads", "enrolment", key, "insert", **said)

    def _status(self, step: Step) -> None:
        at = step.number % len(self._enrolments)
        key, next_ = self._enrolments[at]
        status, code = _STATUSES[next_ % len(_STATUSES)]
        self._scene.edit("ads", _SET_STATUS, code=code, id=key)
        self._enrolments[at] = key, next_ + 1
        self._note("ads", "enrolment", key, "update", status=status)

    def _unenrol(self, step: Step) -> None:
        key, _ = self._enrolments[0]
        self._scene.edit("ads", _UNENROL, id=key)
        del self._enrolments[0]
        self._note("ads", "enrolment", key, "delete")

    def _dismiss(self, step: Step) -> None:
        number, _ = self.newcomers[0]
        self._scene.edit("entraide", _DISMISS, id=number)
        del self.newcomers[0]
        self._note("entraide", "person", number, "delete")

    def _consent(self, step: Step) -> None:
        person, _ = self.cast[step.number % len(self.cast)]
        day = date.today() - timedelta(days=1)  # noqa: DTZ011 — the day on a paper
        with self._making("entraide", "person", str(person)):
            key = self._scene.edit("entraide", _CONSENT, person=person, day=day)
        self._consents.append(key)
        self._note("entraide", "consent", key, "insert", person=str(person), status="given", given_on=day)

    def _withdraw(self, step: Step) -> None:
        key = self._consents[0]
        self._scene.edit("entraide", _WITHDRAW, id=key)
        del self._consents[0]
        self._note("entraide", "consent", key, "update", status="withdrawn")


def _phone(step: Step) -> str:
    """A number that no other step has."""
    return f"+2127{step.serial:08d}"


def _commune(step: Step) -> str:
    """A code that no other step has."""
    digits = f"{step.serial:09d}"
    return f"{digits[:2]}.{digits[2:5]}.{digits[5:7]}.{digits[7:]}"
