"""Templates: where they are, how they escape, and what they know of languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from hub.console.languages import Language

FOLDER = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"


def load_templates(folder: Path = FOLDER) -> jinja2.Environment:
    """The templates; a name that a page does not give is an error, not an empty place."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    # `{% trans %}` then calls what `language_view` hands in, with its values by name.
    environment.newstyle_gettext = True  # type: ignore[attr-defined]
    return environment


def language_view(language: Language) -> dict[str, Any]:
    """What a template needs to speak: `_`, `gettext`, `ngettext` of this reader's language.

    Handed to each rendering: the environment is shared by readers of every language.
    """
    messages = language.messages

    def gettext(message: str, **values: Any) -> Any:
        return _filled(messages.gettext(message), values)

    def ngettext(singular: str, plural: str, count: int, **values: Any) -> Any:
        return _filled(messages.ngettext(singular, plural, count), {"num": count, **values})

    return {"_": gettext, "gettext": gettext, "ngettext": ngettext, "language": language}


def _filled(message: str, values: dict[str, Any]) -> Any:
    """The message, which is ours, with values that are escaped unless they are markup themselves."""
    return Markup(message) % values  # noqa: S704  (messages come from the catalogues of this package)
