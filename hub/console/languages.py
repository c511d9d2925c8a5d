"""The console's languages: which one a reader gets, and its messages, compiled from .po files at the start.

Sources are English and are their own translation. A language's folder may hold several files, one for each
page or for all; together they are its catalogue.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from hub.contracts.records import LANGUAGES
from hub.errors import ConfigurationError

FOLDER = Path(__file__).parent / "locale"
COOKIE = "jisr_language"
SOURCE = "en"
# Morocco writes its numbers 1.234,5 in Arabic and 1.234,5 in French, both with European digits.
_LOCALES = {"ar": "ar_MA", "fr": "fr_MA", "en": "en_GB"}
_CHOICE = re.compile(r"([a-zA-Z]{1,8})(?:-[a-zA-Z0-9-]+)?(?:\s*;\s*q=([01](?:\.\d{0,3})?))?")


def marked(message: str) -> str:
    """A message that is translated where it is shown, marked so that the catalogues must have it."""
    return message


@dataclass(frozen=True)
class Language:
    """One language: its code, its formats, its messages."""

    code: str
    locale: Locale
    messages: NullTranslations

    @property
    def direction(self) -> str:
        return self.locale.text_direction

    @property
    def own_name(self) -> str:
        """What it calls itself."""
        return {"ar": "العربية", "fr": "Français", "en": "English"}[self.code]


Languages = Mapping[str, Language]


def load_languages(folder: Path = FOLDER) -> dict[str, Language]:
    """Every language by code; raises `ConfigurationError` where a catalogue cannot be read."""
    return {
        code: Language(
            code,
            Locale.parse(_LOCALES[code]),
            NullTranslations() if code == SOURCE else _catalogue(folder / code),
        )
        for code in LANGUAGES
    }


def _catalogue(folder: Path) -> NullTranslations:
    found = None
    for path in sorted(folder.glob("*.po")):
        compiled = io.BytesIO()
        with path.open("rb") as source:
            write_mo(compiled, read_po(source, locale=folder.name, abort_invalid=True))
        compiled.seek(0)
        translations = GNUTranslations(compiled)
        if found is None:
            found = translations
        else:
            found.add_fallback(translations)
    if found is None:
        raise ConfigurationError(f"{folder}: no messages (*.po) here; the package is not whole")
    return found


def chosen(cookie: str | None, accept_language: str | None, languages: Languages) -> Language:
    """The reader's own choice, else what their browser asks for, else Arabic."""
    if cookie in languages:
        return languages[str(cookie)]
    wanted: list[tuple[float, int, str]] = []
    for place, part in enumerate((accept_language or "")[:500].split(",")):
        match = _CHOICE.fullmatch(part.strip())
        if match and match[1].lower() in languages:
            wanted.append((-float(match[2] or 1), place, match[1].lower()))
    best = min((one for one in wanted if one[0] < 0), default=(0.0, 0, LANGUAGES[0]))
    return languages[best[2]]
