"""Coming in, going out, and the choice of a language.

The local login is for developing on one machine: whoever has the code that the console printed when it
started may come in as anybody. So it is refused unless the console listens on loopback alone.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from starlette.responses import Response

from hub.console.access import Permission, Role, User
from hub.console.faults import Fault
from hub.console.languages import COOKIE, marked
from hub.console.limits import caller
from hub.console.loopback import is_loopback
from hub.console.routing import Guarded, Section
from hub.console.visit import Visit, own_path
from hub.errors import ConfigurationError

_YEAR_S = 365 * 24 * 3600

ROLE_NAMES = {
    Role.OPERATOR: marked("Operator"),
    Role.STEWARD: marked("Steward"),
    Role.AGENCY: marked("Agency"),
    Role.AUDITOR: marked("Auditor"),
}


@dataclass(frozen=True)
class LocalLogin:
    """The development login. `host`: where the console listens; raises `ConfigurationError` if it is not
    this machine alone. `code`: what lets in."""

    host: str
    code: str

    def __post_init__(self) -> None:
        if not is_loopback(self.host):
            raise ConfigurationError(
                f"the local login lets anybody with its code be anyone, and {self.host} can be reached from "
                "elsewhere: listen on 127.0.0.1, or configure OIDC"
            )
        if len(self.code) < 6:
            raise ConfigurationError("the local login's code must have 6 characters or more")

    def section(self) -> Section:
        """Its routes."""
        return Section(
            (
                Guarded("/sign-in", self.ask, Permission.ANYONE),
                Guarded("/sign-in", self.let_in, Permission.ANYONE, method="POST"),
            )
        )

    def ask(self, visit: Visit) -> Response:
        return self._form(visit, visit.asked("next") or "/")

    def let_in(self, visit: Visit) -> Response:
        """Sign in as whom the form says, if its code is right."""
        visit.limited(visit.console.sign_in_tries, caller(visit.request))
        target = own_path(visit.form.get("next", "/"))
        if not hmac.compare_digest(visit.form.get("code", "").strip().encode(), self.code.encode()):
            return self._form(visit, target, marked("The code is not right."))
        try:
            user = self._user(visit)
        except (ConfigurationError, ValueError):
            problem = marked("Give a name and a role, and for the role “Agency” which one.")
            return self._form(visit, target, problem)
        visit.let_in(user)
        return visit.go(target)

    def _user(self, visit: Visit) -> User:
        name, role = visit.form.get("name", "").strip(), Role(visit.form.get("role", ""))
        agency = visit.form.get("agency", "") if role is Role.AGENCY else None
        if agency is not None and agency not in visit.parts.agreements:
            raise ConfigurationError(f"no agreement of {agency}")
        return User(name, f"{name}@local-login", role, agency)

    def _form(self, visit: Visit, target: str, problem: str = "") -> Response:
        return visit.page(
            "sign_in.html",
            status=400 if problem else 200,
            problem=problem,
            target=own_path(target),
            roles=ROLE_NAMES,
            agencies=list(visit.parts.agreements),
            given=visit.form,
        )


def sign_out(visit: Visit) -> Response:
    visit.let_out()
    return visit.go("/sign-in")


def choose_language(visit: Visit) -> Response:
    """Keep the reader's choice, and go back to where they were."""
    code = visit.form.get("language", "")
    if code not in visit.console.languages:
        raise Fault(400, marked("There is no such language here."))
    answer = visit.go(visit.form.get("next", "/"))
    secure = visit.console.secure
    answer.set_cookie(COOKIE, code, _YEAR_S, secure=secure, httponly=True, samesite="lax")
    return answer


SECTION = Section(
    (
        Guarded("/sign-out", sign_out, Permission.SIGNED_IN, method="POST"),
        Guarded("/language", choose_language, Permission.ANYONE, method="POST"),
    )
)
