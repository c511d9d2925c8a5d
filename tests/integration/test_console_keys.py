"""Reviews and files in a real browser: by keyboard alone, without script, accessible, on a small screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from console_browser import NARROW, WIDE, launched, needs_chromium, served, sign_in, visiting
from console_people import entity, one_person, pairs
from ops_hub import OpsHub, ops_hub
from playwright.sync_api import Browser, Page, expect

from hub.local.stack import Stack
from hub.ops.reviews import Reviews

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("console")
    with ops_hub(stack, folder) as made:
        one_person(made)
        pairs(made, 4)
        yield made


@pytest.fixture(scope="module")
def address(hub: OpsHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(hub, tmp_path_factory.mktemp("serving")) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as started:
        yield started


def path(page: Page) -> str:
    return str(page.evaluate("location.pathname"))


def test_pairs_are_decided_by_keyboard_alone(hub: OpsHub, browser: Browser, address: str) -> None:
    waiting = len(Reviews(hub.parts).list())
    with visiting(browser, address, "en") as page:
        sign_in(page, "steward")
        page.goto("/reviews")
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("k")
        page.keyboard.press("Enter")
        expect(page.get_by_text(f"1 of {waiting}")).to_be_visible()
        page.keyboard.press("ArrowDown")
        expect(page.get_by_text(f"2 of {waiting}")).to_be_visible()
        page.keyboard.press("?")
        expect(page.get_by_text("choose “the same”")).to_be_visible()
        page.keyboard.press("?")
        expect(page.get_by_text("choose “the same”")).to_be_hidden()
        page.keyboard.press("d")
        page.keyboard.type("jks: asked")
        expect(page.locator("[name=why]")).to_have_value("jks: asked")
        page.keyboard.press("Escape")
        page.keyboard.press("s")
        expect(page.locator("[value=same]")).to_be_checked()
        page.keyboard.press("Escape")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Decided: the same.")).to_be_visible()
        expect(page.get_by_text(f"2 of {waiting - 1}")).to_be_visible()
    assert len(Reviews(hub.parts).list()) == waiting - 1


def test_pairs_are_decided_without_script(hub: OpsHub, browser: Browser, address: str) -> None:
    waiting = len(Reviews(hub.parts).list())
    with visiting(browser, address, "fr", script=False) as page:
        sign_in(page, "steward")
        page.goto("/reviews")
        page.locator("a[data-item]").first.click()
        page.get_by_label("Différents").check()
        page.get_by_label("Pourquoi ?", exact=True).fill("deux cartes, deux personnes")
        page.get_by_role("button", name="Décider").click()
        expect(page.get_by_text("Décidé : différents.")).to_be_visible()
    assert len(Reviews(hub.parts).list()) == waiting - 1


@pytest.mark.parametrize(("language", "size"), [("ar", NARROW), ("fr", WIDE)])
def test_files_and_reviews_are_accessible_and_fit(
    hub: OpsHub, browser: Browser, address: str, language: str, size: tuple[int, int]
) -> None:
    file = f"/records/{entity(hub, hub.key('ads', 'CASE-99'))}"
    with visiting(browser, address, language, size, dark=size == NARROW) as page:
        sign_in(page, "steward")
        page.goto("/reviews")
        review = str(page.locator("a[data-item]").first.get_attribute("href"))
        fields = [f"{file}/fields/{name}" for name in ("cin", "languages", "birth_date", "sex")]
        for place in ("/records", file, "/reviews", review, *fields):
            page.goto(place)
            page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
            found = Axe().run(page)
            assert found.violations_count == 0, f"{place}\n{found.generate_report()}"
            needed = page.evaluate("document.documentElement.scrollWidth")
            assert needed <= size[0], f"{place}: {needed} pixels wide"
        page.goto(file)
        page.locator("summary").first.click()
        page.locator("[name=purpose]").fill("to see it whole in this test")
        page.locator(".reveal button").click()
        expect(page.locator(".reached")).to_have_count(2)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert "SH4711" not in page.url
