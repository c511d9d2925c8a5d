"""An operator's questions, walked: from the overview, by links and forms, to the answer, in three languages.

The questions are those of docs/operators.md; one without a walk fails here, and so does a walk without one.
Needs Chromium (Debian's package `chromium`); is skipped where there is none.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from console_browser import LANGUAGES, NARROW, WIDE, launched, needs_chromium, served, sign_in, visiting
from console_hub import console_hub
from console_people import entity, one_person, pairs
from dead_letter_desk import arrive, refused_phone
from ops_hub import OpsHub, producing
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page, expect
from support.changes import minute, said

from hub.console.dead_letter_words import reason
from hub.console.languages import Language, load_languages
from hub.console.record_file import subject_of
from hub.contracts import topics
from hub.local.stack import Stack
from hub.ops.audit import Audit, Person

pytestmark = needs_chromium

OPERATORS = Path(__file__).parents[2] / "docs" / "operators.md"
# This machine may be busy.
WITHIN_MS = 120_000
FIGHTER, FRIEND = "CASE-200", "DOSSIER-200"
WHO, WHY = "Idriss", "a complaint at the centre"


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    """A hub in which each question has an answer, all of it put there by the code that would."""
    with console_hub(stack, tmp_path_factory.mktemp("walk")) as made:
        _, ads = one_person(made)
        pairs(made)
        _fight(made)
        enrolment = {
            "number": "INS-2024-000009",
            "person": "NOBODY",
            "pathway": "listening",
            "status": "active",
        }
        made.take(said(made.key("entraide", "n9", "enrolment"), 3, "insert", **enrolment))
        refused_phone(made, "9")
        assert arrive(made, made.key("ads", "10"), b"nonsense")
        made.publish()
        _say_what_nobody_read(made)
        subject = subject_of("person", entity(made, ads))
        Audit(made.parts).reveal(Person(WHO, "idriss@desk"), subject, WHY, record_type="person")
        yield made


def _fight(hub: OpsHub) -> None:
    """One agency puts its own spelling back, again and again, over that of one with more authority."""
    ads, entraide = hub.key("ads", FIGHTER), hub.key("entraide", FRIEND)
    who = {"cin": "SH200", "birth_date": datetime.date(1985, 2, 3)}
    hub.take(said(entraide, 1, "insert", **who, given_name_fr="Salma"), said(ads, 2, "insert", **who))
    for turn in range(6):
        hub.take(said(ads, 3 + turn / 10, given_name_fr="Selma" if turn % 2 else None))
    hub.take(said(ads, 9, commune="06.321.03.01"), said(entraide, 10, commune="06.275.01.01"))


def _say_what_nobody_read(hub: OpsHub) -> None:
    record = hub.key("ads", "CASE-300")
    with producing(hub.bootstrap) as send:
        send(topics.changes(record.agency, "person"), b"t", hub.say(record, minute(1), cin="SH300"))


@dataclass(frozen=True)
class Walker:
    """Somebody at a browser who has just opened the overview."""

    page: Page
    hub: OpsHub
    language: Language

    def words(self, message: str) -> str:
        """A message of the console, as far as nothing is put into it."""
        return re.split(r"%\(\w+\)s", self.language.messages.gettext(message))[0].strip()

    def follow(self, link: str) -> None:
        self.page.locator(link).first.click()

    def menu(self, path: str) -> None:
        self.follow(f"nav a[href='{path}']")

    def agency(self, name: str) -> None:
        self.follow(f"main a[href='/agencies/{self.hub.name(name)}']")

    def find(self, agency: str, local_id: str) -> None:
        self.menu("/records")
        form = self.page.locator("form:has([name=local_id])")
        form.locator("[name=agency]").select_option(self.hub.name(agency))
        form.locator("[name=local_id]").fill(local_id)
        form.locator("button").click()

    def pile(self, code: str) -> None:
        self.menu("/dead-letters")
        self.follow(f"main a[href*='code={code}']")


@dataclass(frozen=True)
class Walk:
    """How somebody gets from the overview to an answer. `heading`: of the page, None where it is a name;
    `told`: messages that the page then says; `seen`: what stands there beside them, as a selector."""

    go: Callable[[Walker], None]
    heading: str | None
    told: tuple[str, ...] = ()
    seen: str = ""
    role: str = "operator"


def stay(_: Walker) -> None:
    """The answer is on the overview."""


def number(column: str) -> str:
    """A cell of a column with more than nothing in it; `{}` is the column's name."""
    return f"td[data-label='{{{column}}}']:not(.quiet)"


def then(go: Callable[[Walker], None], link: str) -> Callable[[Walker], None]:
    def both(walker: Walker) -> None:
        go(walker)
        walker.follow(link)

    return both


def agency(name: str) -> Callable[[Walker], None]:
    return lambda walker: walker.agency(name)


def file(of: str, local_id: str) -> Callable[[Walker], None]:
    return lambda walker: walker.find(of, local_id)


def menu(path: str) -> Callable[[Walker], None]:
    return lambda walker: walker.menu(path)


def pile(code: str) -> Callable[[Walker], None]:
    return lambda walker: walker.pile(code)


SOMEBODY = file("ads", "CASE-99")
LETTER = "main td a[href^='/dead-letters/']"
WALKS: Mapping[str, Walk] = {
    "Is anyone late?": Walk(stay, "Overview", ("How far everyone is",), number("Pending")),
    "Since when?": Walk(stay, "Overview", ("Lag",), number("Lag")),
    "Why, and at which end?": Walk(stay, "Overview", ("Agency's move", "Steward's move"), number("Unread")),
    "Has it all come through?": Walk(stay, "Overview", ("Moving",)),
    "What did we refuse, and whose move is it?": Walk(
        menu("/dead-letters"), "Dead letters", (reason("undecodable").step, "Agency's move")
    ),
    "Is a client writing nonsense?": Walk(
        pile("undecodable"), "Dead letters", (reason("undecodable").name,), LETTER
    ),
    "Would it be taken now?": Walk(
        then(pile("invalid_value"), LETTER), "Dead letter %(number)s", ("If it is taken in again now",)
    ),
    "What does an agency refuse of us?": Walk(
        agency("ads"), None, ("Deliveries that it could not take up", "Refused"), "code:text('telephone')"
    ),
    "What waits for something that never comes?": Walk(
        stay, "Overview", ("Records wait for something that they refer to",), number("Waiting")
    ),
    "Whose edits lose, and why?": Walk(
        file("ads", FIGHTER), "Persons", ("Why it stands",), ".sayings li:not(.wins) .aside:text('·')"
    ),
    "What do agencies fight over?": Walk(file("ads", FIGHTER), "Persons", ("disputed",)),
    "Which edit is held, and what would it do?": Walk(
        then(agency("ads"), "main a[href^='/holds/']"), "Hold %(number)s", ("An outdated form was saved",)
    ),
    "Did last night's import do harm?": Walk(
        then(agency("health"), "main a[href^='/masses/']"), "Mass B%(number)s", ("What it would do",)
    ),
    "Are these two one person?": Walk(
        then(menu("/reviews"), "a[data-item]"), "One or two?", ("The evidence", "agrees")
    ),
    "What is this person's record made of, and who told us?": Walk(
        SOMEBODY, "Persons", ("What stands, and why", "The agencies' records of it"), ".sayings li.wins"
    ),
    "Who holds what of this person, and did it arrive?": Walk(
        SOMEBODY, "Persons", ("What each agency was sent, and took up", "Not acknowledged yet")
    ),
    "Who saw this person's file?": Walk(
        SOMEBODY, "Persons", ("Who saw this file?", "saw values in full"), f"bdi:text('{WHY}')", "auditor"
    ),
    "Who decided what, last week?": Walk(
        menu("/audit"), "Audit", ("saw values in full",), f"bdi:text('{WHO}')", "auditor"
    ),
    "What may an agency hold, and why?": Walk(
        agency("ads"), None, ("What it may hold", "with the person's consent")
    ),
    "What was taken back when its agreement changed?": Walk(
        then(agency("ads"), "main a[href$='/disclosures']"),
        "What was told anew, and what was taken back", ("The agreements changed",), "td li",
    ),
    "What ends soon?": Walk(agency("ads"), None, ("The agreement is in force until %(day)s.",)),
    "Has the newcomer joined?": Walk(stay, "Overview", ("joining",)),
    "Are the topics as the release has them?": Walk(
        menu("/topics"), "Topics", ("All topics are as in the release.",)
    ),
    "What does a field mean, and who has a say?": Walk(
        then(menu("/schemas"), "main a[href*='.person.']"), None, ("Meaning", "Who has a say")
    ),
}  # fmt: skip


def questions() -> dict[str, list[str]]:
    """Question → the other cells, of the first table under its heading."""
    section = OPERATORS.read_text(encoding="utf-8").split("## Questions, and where the answer is")[1]
    table = section.split("\n\n| question |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()[2:]]
    return {question: cells for question, *cells in rows}


def test_every_question_has_a_page_and_a_walk() -> None:
    asked = questions()
    assert set(asked) == set(WALKS)
    assert len(asked) >= 20
    for question, (page, command, metric) in asked.items():
        assert page, question
        assert command, question
        assert "`jisr" in metric or metric == "none: metrics know no person", question
    assert sum("`jisr" in metric for _, _, metric in asked.values()) >= 20


def walk(walker: Walker, one: Walk) -> None:
    page = walker.page
    page.goto("/")
    one.go(walker)
    if one.heading is not None:
        expect(page.locator("h1")).to_contain_text(walker.words(one.heading))
    else:
        expect(page.locator("h1")).not_to_be_empty()
    for message in one.told:
        expect(page.locator("main")).to_contain_text(walker.words(message))
    if one.seen:
        selector = re.sub(r"{(\w+)}", lambda found: walker.words(found[1]), one.seen)
        expect(page.locator(selector).first).to_be_attached()


@pytest.fixture(scope="module")
def address(hub: OpsHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(hub, tmp_path_factory.mktemp("serving")) as url:
        yield url


# From right to left, and on a telephone, in every run; the others are the same pages in other words.
@pytest.mark.parametrize(
    "code", [pytest.param(code, marks=pytest.mark.campaign if code != "ar" else ()) for code in LANGUAGES]
)
def test_every_answer_is_found_from_the_overview(hub: OpsHub, address: str, code: str) -> None:
    expect.set_options(timeout=WITHIN_MS)
    language = load_languages()[code]
    lost: list[str] = []
    with launched() as browser:
        for role in ("operator", "auditor"):
            with visiting(browser, address, code, NARROW if code == "ar" else WIDE) as page:
                page.set_default_timeout(WITHIN_MS)
                sign_in(page, role)
                walker = Walker(page, hub, language)
                for question, one in WALKS.items():
                    if one.role != role:
                        continue
                    try:
                        walk(walker, one)
                    except (AssertionError, PlaywrightError) as error:
                        lost.append(f"{question}\n{error}")
    assert not lost, "\n".join(lost)
