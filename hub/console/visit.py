"""A request as an endpoint sees it: who asks, in which language, what they may see, and how to answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import jinja2
import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hub.console import sessions
from hub.console.access import Permission, User, allowed
from hub.console.faults import Fault
from hub.console.languages import COOKIE, Language, Languages, chosen, marked
from hub.console.limits import RateLimit
from hub.console.reading_words import told
from hub.console.rendering import language_view
from hub.console.wording import Wording
from hub.lanes.messages import hub_name
from hub.ops.audit import Audit
from hub.ops.log_reader import KeptReaders
from hub.ops.parts import Parts
from hub.ops.phrases import Phrase
from hub.ops.veil import Veil, covered_id

if TYPE_CHECKING:
    from hub.console.doors import Doors
    from hub.console.live import LiveStatus, Snapshot
    from hub.console.routing import Section
    from hub.console.streams import Streams

MAX_FORM_BYTES = 64 * 1024
MAX_FIELDS = 100
# A purpose, a reason: so many characters at least, and at most.
MIN_STATED, MAX_STATED = 8, 500
_SIGN_IN_TRIES, _REVEALS = (10, 300.0), (30, 600.0)
_TOKEN_MISSES, _TOKEN_USES = (30, 300.0), (600, 60.0)


@dataclass
class Console:
    """All that the console is made of. `secure`: browsers reach it by TLS alone."""

    parts: Parts
    status: LiveStatus
    languages: Languages
    templates: jinja2.Environment
    sections: Sequence[Section]
    doors: Doors
    readers: KeptReaders
    secure: bool = False
    clock: Callable[[], float] = time.time
    sign_in_tries: RateLimit = field(init=False)
    reveals: RateLimit = field(init=False)
    token_misses: RateLimit = field(init=False)
    token_uses: RateLimit = field(init=False)
    deciding: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.sign_in_tries = RateLimit(*_SIGN_IN_TRIES, clock=self.clock)
        self.reveals = RateLimit(*_REVEALS, clock=self.clock)
        self.token_misses = RateLimit(*_TOKEN_MISSES, clock=self.clock)
        self.token_uses = RateLimit(*_TOKEN_USES, clock=self.clock)


class Visit:
    """One request. `form`: what a form sent, empty for a GET."""

    def __init__(self, console: Console, request: Request, form: Mapping[str, str]) -> None:
        self.console = console
        self.request = request
        self.form = form
        self.now = console.clock()

    @property
    def parts(self) -> Parts:
        return self.console.parts

    @property
    def streams(self) -> Streams[Snapshot]:
        """Of the event loop that serves this request; to be used there."""
        found: Streams[Snapshot] = self.request.app.state.streams
        return found

    @property
    def user(self) -> User | None:
        """Who asks, as far as it is known yet (`hub.console.recognition`)."""
        found: User | None = getattr(self.request.state, "user", None)
        return found

    @property
    def somebody(self) -> User:
        """Who has signed in, on a route that lets nobody else in."""
        assert self.user is not None
        return self.user

    @cached_property
    def language(self) -> Language:
        asked = self.request.headers.get("accept-language")
        return chosen(self.request.cookies.get(COOKIE), asked, self.console.languages)

    @cached_property
    def wording(self) -> Wording:
        return Wording(self.language, self.parts.catalogue, self.parts.agreements)

    def words(self, message: str) -> str:
        """A marked message in the reader's language."""
        return self.language.messages.gettext(message)

    def let_in(self, user: User) -> None:
        """Sign somebody in, by this browser."""
        number = self.console.doors.begin(user, self.now + sessions.LASTS_S)
        sessions.sign_in(self.request.session, user, self.now, number)

    def let_out(self) -> None:
        """Sign out, in the store too: a copy of the cookie is worth nothing then."""
        self.console.doors.leave(str(self.request.session.get("number", "")))
        sessions.sign_out(self.request.session)

    def is_still_in(self) -> bool:
        """Whether who asks may still be answered, in an answer that lasts. Blocks."""
        return self.console.doors.is_open(str(self.request.session.get("number", "")))

    # What was asked

    @property
    def address(self) -> str:
        """Where this page is seen again, with what it was asked; `/` for the answer to a form."""
        if self.request.method != "GET":
            return "/"
        url = self.request.url
        return f"{url.path}?{url.query}" if url.query else url.path

    def path(self, name: str) -> str:
        return str(self.request.path_params[name])

    def asked(self, name: str) -> str | None:
        """A query parameter, or None where it is not given or empty."""
        return self.request.query_params.get(name, "").strip()[:200] or None

    def require_text(self) -> None:
        """Raise 400 where anything given holds the null character, which the store takes for no text."""
        given = (*self.request.query_params.values(), *self.form.values(), *self.request.path_params.values())
        if any("\0" in str(one) for one in given):
            raise Fault(400, marked("What was given holds a character that no text has."))

    def require_form_token(self) -> None:
        """Raise 403 unless the form was given out to this session: no other site may post in its name."""
        if getattr(self.request.state, "program", False):
            # No browser sends a token by itself, so no other site can.
            return
        if not sessions.is_form_token(self.request.session, self.form.get("csrf", "")):
            raise Fault(403, marked("This form is no longer valid. Reload the page and send it again."))

    # What may be seen

    def may(self, permission: Permission) -> bool:
        return allowed(self.user, permission)

    def require_agency(self, agency: str) -> None:
        """Raise 404 for an agency that is not there, or not for this reader: the two look alike."""
        if agency not in self.parts.agreements or not self.somebody.sees(agency):
            raise Fault(404, marked("There is no such agency, or it is not for you to see."))

    @cached_property
    def veil(self) -> Veil:
        """Covers values; `revealed` gives one that does not."""
        return Veil()

    def local_id(self, agency: str, local_id: str) -> str:
        """A local id, covered for all but the agency whose it is."""
        own = self.user is not None and self.user.agency == agency
        return local_id if own else covered_id(local_id)

    def entity(self, entity: bytes) -> str:
        """An entity by its hub id; for an agency by its own name of it, as in its inbox: it never learns the
        hub's ids, which would let agencies compare what they hold (R4)."""
        agency = self.user and self.user.agency
        return self.parts.ids.pairwise(agency).name(entity) if agency else hub_name(entity)

    def revealed(self, subject: str, *, agency: str | None = None, record_type: str | None = None) -> Veil:
        """A veil that shows values in full, for the purpose that the form states; written down first.

        `subject` names no person: a hub id, `hold 17`. Only for a POST, so that no link can reveal. Raises
        403 without the permission, 400 without a purpose, 429 when it was done too often.
        """
        if self.request.method != "POST" or not self.may(Permission.REVEAL):
            raise Fault(403, marked("Your role does not allow values to be shown in full."))
        purpose = self.stated("purpose", marked("Say in a few words why the values must be seen."))
        self.limited(self.console.reveals, self.somebody.account)
        Audit(self.parts).reveal(
            self.somebody.person, subject, purpose, agency=agency, record_type=record_type
        )
        return Veil(reveal=True)

    def stated(self, name: str, wanted: str) -> str:
        """What a field of the form says in a few words, for the audit trail; raises 400 with `wanted`."""
        said = " ".join(self.form.get(name, "").split())[:MAX_STATED]
        if len(said) < MIN_STATED:
            raise Fault(400, wanted)
        return said

    def limited(self, limit: RateLimit, key: str) -> None:
        """Count one attempt; raise 429 when there were too many."""
        wait_s = limit.take(key)
        if wait_s:
            raise Fault(429, marked("Too many attempts. Wait some minutes, then try again."), wait_s)

    # How to answer

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """A template of the console, with `values` beside what every page has."""
        content = self.console.templates.get_template(template).render(**self._always(), **values)
        return HTMLResponse(content, status)

    def _always(self) -> dict[str, Any]:
        menu = [one for one in self.console.sections if one.title and self.may(one.permission)]
        return {
            **language_view(self.language),
            "visit": self,
            "user": self.user,
            "menu": menu,
            "wording": self.wording,
            "languages": self.console.languages,
            "csrf": lambda: sessions.form_token(self.request.session),
            "Permission": Permission,
            "told": partial(told, self),
            "here": self.request.url.path,
        }

    def json(self, value: Any, status: int = 200) -> Response:
        """A dataclass as JSON."""
        content = msgspec.json.encode(value, enc_hook=_encoded)
        return Response(content, status, media_type="application/json")

    def go(self, path: str) -> Response:
        """After a form: see another page. `path` is of this console."""
        return RedirectResponse(own_path(path), status_code=303)


def _encoded(value: object) -> str:
    """A phrase is its text; anything else that JSON does not know is a fault of ours."""
    if isinstance(value, Phrase):
        return str(value)
    raise NotImplementedError


def own_path(path: str) -> str:
    """The path if it leads within this console, else its first page: nobody is sent elsewhere."""
    inside = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if inside else "/"


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form; raises 413 where it is too large, 400 where it is no form."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise Fault(400, marked("A form was expected here."))
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_FORM_BYTES:
            raise Fault(413, marked("The form is too large. Send less at once."))
    try:
        return dict(parse_qsl(data.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError as error:
        raise Fault(400, marked("A form was expected here.")) from error
