"""The console in a real browser: accessible, legible on a small screen, live with script and whole without.

Needs Chromium (Debian's package `chromium`); is skipped where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from console_browser import LANGUAGES, NARROW, WIDE, launched, needs_chromium, served, sign_in, visiting
from console_hub import console_hub
from ops_hub import OpsHub
from playwright.sync_api import Browser, expect
from support.console import CODE

from hub.lanes.messages import hub_name
from hub.local.stack import Stack
from hub.ops.brakes import Brakes
from hub.ops.holds import Holds

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("console")
    with console_hub(stack, folder) as made:
        yield made


@pytest.fixture(scope="module")
def address(hub: OpsHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(hub, tmp_path_factory.mktemp("serving")) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as started:
        yield started


@pytest.fixture(scope="module")
def cookies(browser: Browser, address: str) -> dict[str, list[object]]:
    """Role → the cookies of somebody who has signed in by the form."""
    found: dict[str, list[object]] = {}
    for role in ("steward", "auditor", "operator"):
        with visiting(browser, address, "en") as page:
            sign_in(page, role)
            found[role] = list(page.context.cookies())
    return found


def pages(hub: OpsHub) -> list[tuple[str, str]]:
    """(Path, who sees it) of every kind of page."""
    return [
        ("/sign-in", "steward"),
        ("/", "steward"),
        (f"/agencies/{hub.name('ads')}", "operator"),
        (f"/agencies/{hub.name('ads')}/disclosures", "operator"),
        (f"/holds/{Holds(hub.parts).list()[0].id}", "steward"),
        (f"/masses/{Brakes(hub.parts).list()[0].id}", "steward"),
        ("/records", "steward"),
        ("/sessions", "steward"),
        (f"/records/{hub_name(hub.rows('SELECT entity FROM record LIMIT 1')[0][0])}", "auditor"),
        ("/dead-letters?state=all", "steward"),
        ("/topics/hub.person.golden", "auditor"),
        ("/schemas/hub.person.golden-payload", "auditor"),
        ("/audit", "auditor"),
        ("/nowhere", "auditor"),
    ]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("size", "dark"), [(WIDE, False), (NARROW, True)], ids=["wide", "narrow-and-dark"])
def test_every_page_is_accessible_and_fits(
    hub: OpsHub,
    browser: Browser,
    address: str,
    cookies: dict[str, list[object]],
    language: str,
    size: tuple[int, int],
    dark: bool,
) -> None:
    for role in ("steward", "auditor", "operator"):
        with visiting(browser, address, language, size, dark=dark) as page:
            page.context.add_cookies(cookies[role])  # type: ignore[arg-type]
            for path, who in pages(hub):
                if who != role:
                    continue
                page.goto(path)
                page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
                # In either direction, of light and of dark: no language changes more than that.
                if language == ("ar" if dark else "fr"):
                    found = Axe().run(page)
                    assert found.violations_count == 0, f"{language} {path}\n{found.generate_report()}"
                needed = page.evaluate("document.documentElement.scrollWidth")
                assert needed <= size[0], f"{language} {path}: {needed} pixels wide"
                assert page.locator("html").get_attribute("dir") == ("rtl" if language == "ar" else "ltr")


def test_what_is_new_comes_by_itself(
    hub: OpsHub, browser: Browser, address: str, cookies: dict[str, list[object]]
) -> None:
    with visiting(browser, address, "en") as page:
        page.context.add_cookies(cookies["steward"])  # type: ignore[arg-type]
        page.goto("/")
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        refusals = page.get_by_text("The agency's database refuses deliveries")
        expect(refusals).to_have_count(1)
        page.evaluate("window.stayed = true")
        # Once it cannot be read.
        page.route(f"{address}/", lambda route: route.fulfill(status=404))
        hub.rows("UPDATE undelivered SET state = 'waiting' RETURNING 1")
        expect(page.get_by_text("Not live: the connection is lost")).to_be_visible(timeout=120_000)
        page.unroute(f"{address}/")
        # Somebody is in there with the keyboard.
        page.locator("[data-live] a").first.focus()
        with page.expect_response(f"{address}/", timeout=120_000):
            hub.rows("DELETE FROM undelivered RETURNING 1")
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        expect(refusals).to_have_count(1)
        page.keyboard.press("Shift+Tab")
        page.evaluate("document.activeElement.blur()")
        expect(refusals).to_have_count(0, timeout=120_000)
        assert page.evaluate("window.stayed"), "the page was not loaded anew"


def test_everything_works_without_script(hub: OpsHub, browser: Browser, address: str) -> None:
    with visiting(browser, address, "fr", script=False) as page:
        sign_in(page, "steward", name="سعاد")
        assert page.get_by_text("En direct").count() == 0 or not page.get_by_text("En direct").is_visible()
        page.get_by_role("link", name="Recharger").click()
        page.get_by_role("button", name="العربية").click()
        expect(page.locator("html")).to_have_attribute("dir", "rtl")
        page.locator(f"a[href='/agencies/{hub.name('ads')}']").first.click()
        page.locator("a[href^='/holds/']").first.click()
        page.locator("[name=purpose]").fill("سأل المركز عن صاحب الرقم")
        page.locator("main form button").first.click()
        expect(page.get_by_text("+212622222222").first).to_be_visible()
        page.get_by_role("button", name="تسجيل الخروج").click()
        expect(page).to_have_url(f"{address}/sign-in")


def test_the_keyboard_finds_the_content_first(browser: Browser, address: str) -> None:
    with visiting(browser, address, "en") as page:
        page.goto("/sign-in")
        page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to the content")
        expect(skip).to_be_focused()
        expect(skip).to_be_in_viewport()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()


def test_an_operator_pauses_a_connector_by_the_keyboard_alone(
    hub: OpsHub, browser: Browser, address: str
) -> None:
    with visiting(browser, address, "fr", script=False) as page:
        page.goto("/sign-in")
        page.locator("[name=code]").fill(CODE)
        page.locator("[name=name]").fill("Samira")
        page.locator("[name=role]").select_option("operator")
        page.locator("[name=role]").press("Enter")
        page.locator("main button").press("Enter")
        page.goto(f"/agencies/{hub.name('health')}")
        page.get_by_label("Quel côté ?").focus()
        page.keyboard.press("d")  # The option that begins so: Destination.
        page.keyboard.press("Tab")
        page.keyboard.type("l'organisme met sa base à jour")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Suspendre")).to_be_focused()
        page.keyboard.press("Enter")
        row = page.get_by_role("row", name="Destination : ce qui lui est dit")
        expect(row).to_contain_text("suspendu, Samira")
        expect(row).to_contain_text("pas encore confirmé")
        page.goto("/")
        expect(page.get_by_text("Des côtés du connecteur sont suspendus")).to_be_visible()
