"""Signing in by an OpenID Connect provider: authorization code with PKCE, discovery by the issuer's address.

OpenID Connect Core 1.0 and Discovery 1.0; RFC 7636 (PKCE, S256), RFC 9207 (issuer in the answer), RFC 9700
(state, nonce and verifier for each attempt, bound to the browser's session). What a provider says is asked
anew at each sign-in, so that its keys may change at any time. The role comes from one claim of the ID token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from starlette.responses import RedirectResponse, Response

from hub.console.access import Permission, Role, User
from hub.console.faults import Fault
from hub.console.languages import marked
from hub.console.limits import RateLimit, caller
from hub.console.loopback import is_loopback
from hub.console.routing import Guarded, Section
from hub.console.visit import Visit, own_path
from hub.errors import ConfigurationError

log = logging.getLogger(__name__)

# Only what is signed with a private key: with a shared secret, whoever can check could also forge.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_TIMEOUT_S = 10.0
_ATTEMPT_S = 600.0
_LEEWAY_S = 60
_NAME_LENGTH = 80
_BEGUN = (60, 300.0)

_AWAY = (503, marked("The sign-in service does not answer. Try again in a moment."))
_STALE = (400, marked("This sign-in was not begun here, or too long ago. Begin it again."))
_REFUSED = (403, marked("The sign-in service did not let you in."))
_NO_ROLE = (403, marked("You are known, but have no role here. Ask whoever gives out roles."))


@dataclass(frozen=True)
class Provider:
    """A provider and what it knows this console as.

    `issuer`: its address, from which all others are found. `console_url`: the console's own, to which it
    sends people back (`/sign-in/callback`). `role_claim`: the claim of the ID token that names the role:
    `operator`, `steward`, `auditor`, or `agency:NAME`; of a list, exactly one must be such a word.
    """

    issuer: str
    client_id: str
    client_secret: str
    console_url: str
    role_claim: str = "jisr-role"

    def __post_init__(self) -> None:
        for what, url in (("issuer", self.issuer), ("console's public URL", self.console_url)):
            if not _is_safe(url):
                raise ConfigurationError(
                    f"OIDC: the {what} {url!r} must be https://… (http only on this machine)"
                )
        if not (self.client_id and self.client_secret):
            raise ConfigurationError("OIDC needs a client id and a client secret, which the provider gave")

    @property
    def callback(self) -> str:
        return f"{self.console_url.rstrip('/')}/sign-in/callback"


class ProviderLogin:
    """The way in by a provider: its pages, and what an answer must stand up to."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        # There is no guessing here: this only keeps somebody from having the provider asked without end.
        self._begun = RateLimit(*_BEGUN, clock=time.monotonic)

    def section(self) -> Section:
        """Its routes."""
        return Section(
            (
                Guarded("/sign-in", self.ask, Permission.ANYONE),
                Guarded("/sign-in/begin", self.begin, Permission.ANYONE),
                Guarded("/sign-in/callback", self.let_in, Permission.ANYONE),
            )
        )

    def ask(self, visit: Visit) -> Response:
        return visit.page("sign_in_oidc.html", target=own_path(visit.asked("next") or "/"))

    def begin(self, visit: Visit) -> Response:
        """Send the person to the provider, and keep for the answer what it must bring back."""
        visit.limited(self._begun, caller(visit.request))
        with _client() as http:
            found = self._discovered(http)
        attempt = {
            "state": secrets.token_urlsafe(24),
            "nonce": secrets.token_urlsafe(24),
            "verifier": secrets.token_urlsafe(48),
            "next": own_path(visit.asked("next") or "/"),
            "until": visit.now + _ATTEMPT_S,
        }
        visit.request.session["oidc"] = attempt
        question = {
            "response_type": "code",
            "client_id": self._provider.client_id,
            "redirect_uri": self._provider.callback,
            "scope": "openid profile",
            "state": attempt["state"],
            "nonce": attempt["nonce"],
            "code_challenge": challenge(str(attempt["verifier"])),
            "code_challenge_method": "S256",
            "ui_locales": visit.language.code,
        }
        endpoint = str(found["authorization_endpoint"])
        return RedirectResponse(f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(question)}", 303)

    def let_in(self, visit: Visit) -> Response:
        """The provider's answer: sign in whom it names, if everything about it holds."""
        attempt = self._attempt(visit)
        if visit.asked("error"):
            raise Fault(*_REFUSED)
        code = visit.request.query_params.get("code", "")
        with _client() as http:
            found = self._discovered(http)
            token = self._exchange(http, found, code, attempt["verifier"])
            claims = self._claims(http, found, token, attempt["nonce"], int(visit.now))
        user = user_of(claims, self._provider, visit.parts.agreements)
        visit.let_in(user)
        return visit.go(attempt["next"])

    def _attempt(self, visit: Visit) -> dict[str, Any]:
        """What this browser began; each attempt serves once. Raises 400 for any other answer."""
        attempt = visit.request.session.pop("oidc", None)
        asked = visit.request.query_params
        if not isinstance(attempt, dict) or attempt["until"] < visit.now:
            raise Fault(*_STALE)
        if not hmac.compare_digest(attempt["state"].encode(), asked.get("state", "").encode()):
            raise Fault(*_STALE)
        if asked.get("iss", self._provider.issuer) != self._provider.issuer:
            raise Fault(*_STALE)
        return attempt

    def _discovered(self, http: httpx.Client) -> dict[str, Any]:
        """The provider's own description; raises 503 if it is away, or describes another one."""
        issuer = self._provider.issuer
        found = _asked(http, "GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        if found.get("issuer") != issuer or not all(_is_safe(str(found.get(name))) for name in wanted):
            log.error("OIDC: %s describes another issuer, or has no safe addresses", issuer)
            raise Fault(*_AWAY)
        return found

    def _exchange(self, http: httpx.Client, found: Mapping[str, Any], code: str, verifier: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._provider.callback,
            "code_verifier": verifier,
        }
        who = (self._provider.client_id, self._provider.client_secret)
        answer = _asked(http, "POST", str(found["token_endpoint"]), data=form, auth=who)
        return str(answer.get("id_token", ""))

    def _claims(
        self, http: httpx.Client, found: Mapping[str, Any], token: str, nonce: str, now: int
    ) -> dict[str, Any]:
        """What the ID token claims, once its signature and terms hold; raises 403 else."""
        provider = self._provider
        keys: Any = _asked(http, "GET", str(found["jwks_uri"]))
        offered = found.get("id_token_signing_alg_values_supported", ["RS256"])
        algorithms = [name for name in _ALGORITHMS if name in offered]
        terms = jwt.JWTClaimsRegistry(
            now=now,
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": provider.issuer},
            aud={"essential": True, "value": provider.client_id},
            nonce={"essential": True, "value": nonce},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            claims = jwt.decode(token, KeySet.import_key_set(keys), algorithms=algorithms).claims
            terms.validate(claims)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            log.error("OIDC: an ID token was refused: %s", type(error).__name__)  # noqa: TRY400
            raise Fault(*_REFUSED) from None
        # For several parties, it must have been made for this one (Core, 3.1.3.7).
        if claims.get("azp", provider.client_id) != provider.client_id:
            raise Fault(*_REFUSED)
        return claims


def user_of(claims: Mapping[str, Any], provider: Provider, agencies: Iterable[str]) -> User:
    """Who the claims say it is; raises 403 where no role, or more than one, is among them."""
    role, agency = _role(claims.get(provider.role_claim), frozenset(agencies))
    subject = str(claims["sub"])
    name = str(claims.get("name") or claims.get("preferred_username") or subject)
    plain = "".join(one for one in name if one.isprintable() and one not in "<>")
    account = f"{subject}@{urlsplit(provider.issuer).hostname}"
    try:
        return User(plain.strip()[:_NAME_LENGTH] or "?", account[:_NAME_LENGTH], role, agency)
    except ConfigurationError:
        raise Fault(*_REFUSED) from None


def _role(claim: object, agencies: frozenset[str]) -> tuple[Role, str | None]:
    said = claim if isinstance(claim, list) else [claim]
    words: dict[object, tuple[Role, str | None]] = {
        str(role): (role, None) for role in Role if role is not Role.AGENCY
    }
    words |= {f"{Role.AGENCY}:{name}": (Role.AGENCY, name) for name in agencies}
    found = {words[one] for one in said if isinstance(one, str) and one in words}
    if len(found) != 1:
        raise Fault(*_NO_ROLE)
    return found.pop()


def challenge(verifier: str) -> str:
    """The PKCE challenge of a verifier (S256)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _client() -> httpx.Client:
    return httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False)


def _asked(http: httpx.Client, method: str, url: str, **rest: Any) -> dict[str, Any]:
    """What the provider answers, an object of JSON; raises 503 or, where it refuses, 403."""
    try:
        answer = http.request(method, url, headers={"Accept": "application/json"}, **rest)
        found = answer.json() if answer.status_code < 500 else None
    except (httpx.HTTPError, ValueError):
        found = None
    if not isinstance(found, dict):
        log.error("OIDC: the provider does not answer as one")
        raise Fault(*_AWAY)
    if answer.status_code != 200:
        log.error("OIDC: the provider refused with HTTP %s", answer.status_code)
        raise Fault(*_REFUSED)
    return found


def _is_safe(url: str) -> bool:
    """Whether what goes there can be read by nobody else: by TLS, or within this machine."""
    found = urlsplit(url)
    return bool(found.hostname) and (
        found.scheme == "https" or (found.scheme == "http" and is_loopback(found.hostname or ""))
    )
