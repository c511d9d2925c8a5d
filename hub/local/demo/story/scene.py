"""What a step of the story may do, and how it is judged."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any

from hub.errors import JisrError
from hub.local.demo import geography
from hub.local.demo.desk import Desk
from hub.local.demo.names import family_names, given_names
from hub.local.demo.region import Region
from hub.local.demo.story.post import Post

# How long a step waits for what must come; a machine under load may need some of it.
WITHIN_S = 60.0
_POLL_S = 0.005
# Letters that no card of the population begins with.
_CIN_LETTERS = "ZT"
_OLDEST, _YOUNGEST = date(1960, 1, 1), date(2003, 12, 31)


class NotSeen(JisrError):
    """What a step waited for did not come, or something came that must not."""


@dataclass(frozen=True)
class Step:
    """One step: `sentence` says what must come true; `act` does it and checks it."""

    name: str
    sentence: str
    act: Callable[[Scene], None]


@dataclass
class Outcome:
    """What came of a step. `delay_ms`: from the last edit until its last effect was seen; `remarks`: what was
    done and seen, for the reader."""

    name: str
    ok: bool = True
    delay_ms: float | None = None
    problem: str = ""
    remarks: list[str] = field(default_factory=list)
    sentence: str = ""

    def as_json(self) -> dict[str, Any]:
        delay_ms = None if self.delay_ms is None else round(self.delay_ms, 1)
        return {
            "name": self.name,
            "sentence": self.sentence,
            "ok": self.ok,
            "delay_ms": delay_ms,
            "problem": self.problem,
            "remarks": self.remarks,
        }


@dataclass(frozen=True)
class Newcomer:
    """Somebody who is not of the population, in the hub's terms."""

    cin: str
    family_fr: str
    given_fr: str
    family_ar: str
    given_ar: str
    sex: str
    birth: date
    phone: str


class Scene:
    """The stage of one story. Everything made up follows from the population's seed."""

    def __init__(self, region: Region, heed: Callable[[], None] = lambda: None) -> None:
        self.region = region
        self.post = Post(region)
        self._heed = heed
        self._rng = Random(f"story {region.population.seed}")  # noqa: S311 — made-up people
        self._taken = {
            copy.values.get("birth_date")
            for held in region.population.copies.values()
            for copy in held["person"]
        }
        self._edited_at: float | None = None
        self._outcome = Outcome("")

    def close(self) -> None:
        self.post.close()

    def play(self, step: Step) -> Outcome:
        """Let one step happen; whatever goes wrong in it is its own failure."""
        self._heed()
        self._outcome, self._edited_at = Outcome(step.name, sentence=step.sentence), None
        try:
            step.act(self)
        except Exception as error:
            self._outcome.ok = False
            self._outcome.problem = str(error) if isinstance(error, JisrError) else f"{error!r}"
        return self._outcome

    # What happens at an agency

    def desk(self, agency: str) -> Desk:
        return self.region.desks[agency]

    def edit(self, agency: str, sql: str, **values: object) -> Any:
        """Write at an agency, as its staff or software would; the value that the statement returns."""
        done = self.desk(agency).do(sql, **values)
        self._edited_at = time.perf_counter()
        return done

    def edited(self) -> None:
        """Something was just done by other means than `edit`: delays count from now."""
        self._edited_at = time.perf_counter()

    def at_once(self, *edits: Callable[[], object]) -> None:
        """Do several things at the same moment, each from a thread of its own."""
        barrier = threading.Barrier(len(edits))
        failures: list[BaseException] = []

        def run(edit: Callable[[], object]) -> None:
            try:
                barrier.wait()
                edit()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=run, args=(edit,)) for edit in edits]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        self.edited()

    # What is seen there

    def see(self, agency: str, becomes: object, sql: str, **values: object) -> None:
        """Wait until a query at an agency gives this value."""
        self.wait(lambda: self.desk(agency).one(sql, **values), becomes, f"{agency}: {_short(sql)}")

    def find(self, agency: str, sql: str, **values: object) -> Any:
        """Wait until a query at an agency gives any value, and return it."""
        desk = self.desk(agency)
        return self.until(
            lambda: desk.one(sql, **values), f"{agency}: {_short(sql)}: a row expected, none came"
        )

    def wait(self, look: Callable[[], object], wanted: object, what: str) -> None:
        """Wait until `look` gives `wanted`."""
        found: list[object] = [None]

        def arrived() -> bool:
            found[0] = look()
            return found[0] == wanted

        deadline = time.monotonic() + WITHIN_S
        while not arrived():
            self._heed()
            if time.monotonic() > deadline:
                raise NotSeen(f"{what}: expected {wanted!r}, found {found[0]!r} after {WITHIN_S:.0f} s")
            time.sleep(_POLL_S)
        self._seen()

    def until(self, look: Callable[[], Any], complaint: str) -> Any:
        """Wait until `look` gives something true, and return it."""
        deadline = time.monotonic() + WITHIN_S
        while not (found := look()):
            self._heed()
            if time.monotonic() > deadline:
                raise NotSeen(f"{complaint} within {WITHIN_S:.0f} s")
            time.sleep(_POLL_S)
        self._seen()
        return found

    def check(self, found: object, wanted: object, what: str) -> None:
        """What must hold already."""
        if found != wanted:
            raise NotSeen(f"{what}: expected {wanted!r}, found {found!r}")

    def remark(self, text: str) -> None:
        """Something worth showing beneath the step."""
        self._outcome.remarks.append(text)

    def _seen(self) -> None:
        if self._edited_at is not None:
            self._outcome.delay_ms = (time.perf_counter() - self._edited_at) * 1000

    # Made-up people

    def newcomer(self) -> Newcomer:
        """Somebody new; nobody else was born on that day."""
        rng = self._rng
        sex = rng.choice(("female", "male"))
        family, given = rng.choice(family_names()), rng.choice(given_names(sex))
        birth = date.fromordinal(rng.randint(_OLDEST.toordinal(), _YOUNGEST.toordinal()))
        while birth in self._taken:
            birth = date.fromordinal(rng.randint(_OLDEST.toordinal(), _YOUNGEST.toordinal()))
        self._taken.add(birth)
        return Newcomer(
            cin=f"{_CIN_LETTERS}{rng.randrange(10**6, 10**7)}",
            family_fr=family.french,
            given_fr=given.french,
            family_ar=family.arabic,
            given_ar=given.arabic,
            sex=sex,
            birth=birth,
            phone=self.phone(),
        )

    def phone(self) -> str:
        """A telephone number that nobody was given before."""
        return f"+2126{self._rng.randrange(10**8):08d}"

    def communes(self, count: int) -> list[str]:
        """The codes of different communes of the region."""
        return [commune.code for commune in self._rng.sample(geography.communes(), count)]

    def number(self) -> str:
        """A national number for an enrolment; the population's have six digits."""
        return f"INS-2026-{self._rng.randrange(9 * 10**7, 10**8)}"


def _short(sql: str) -> str:
    return " ".join(sql.split())
