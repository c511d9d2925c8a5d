"""A real browser at a console that is served as an operator starts it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ops_hub import OpsHub, running, wait_until
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from support import plain_http
from support.console import CODE

from hub.local.ports import LOOPBACK, assign

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")

LANGUAGES = ("ar", "fr", "en")
WIDE, NARROW = (1280, 900), (360, 740)


@contextmanager
def served(hub: OpsHub, folder: Path) -> Iterator[str]:
    """Where `jisr console` serves, as an operator starts it."""
    (folder / "code").write_text(CODE)
    port = assign(["console"], {})["console"]
    url = f"http://{LOOPBACK}:{port}"
    arguments = ["console", "--port", str(port), "--local-code-file", str(folder / "code")]
    with running(arguments, hub.environment, folder) as process:
        wait_until(lambda: plain_http.get(f"{url}/livez").text == "ok", process, within_s=240)
        yield url


@contextmanager
def launched() -> Iterator[Browser]:
    # Chromium's own sandbox needs more than root in a container has.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield started
        started.close()


@contextmanager
def visiting(
    browser: Browser,
    address: str,
    language: str,
    size: tuple[int, int] = WIDE,
    *,
    dark: bool = False,
    script: bool = True,
) -> Iterator[Page]:
    """A page of a browser that speaks this language; complaints of the browser fail the test."""
    context: BrowserContext = browser.new_context(
        base_url=address,
        locale=language,
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        java_script_enabled=script,
    )
    complaints: list[str] = []
    page = context.new_page()
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield page
    finally:
        context.close()
    assert [one for one in complaints if "404" not in one] == []


def sign_in(page: Page, role: str, name: str = "Souad") -> None:
    page.goto("/sign-in")
    page.locator("[name=code]").fill(CODE)
    page.locator("[name=name]").fill(name)
    page.locator("[name=role]").select_option(role)
    page.locator("main button").click()
    expect(page.locator("[data-live]")).to_be_visible()
