"""Signing in by a stock provider: who comes in, as what, and what an answer must stand up to."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner
from joserfc import jwt
from joserfc.jwk import RSAKey
from support.console import Visitor, away, contracts, visiting
from support.doors import MemoryDoors
from support.oidc import Insisting, agreed, registered, serving

from hub.cli import jisr
from hub.console.command import make_console
from hub.console.live import LiveStatus
from hub.console.oidc import Provider, ProviderLogin
from hub.console.visit import Console
from hub.errors import ConfigurationError
from hub.ops.parts import Parts

URL = "http://127.0.0.1"
HS256 = b'{"alg":"HS256","kid":"ours"}'
USERS: dict[str, dict[str, object]] = {
    "op": {"jisr-role": "operator", "name": "سعاد العلوي"},
    "steward": {"jisr-role": ["staff", "steward"], "preferred_username": "brahim"},
    "auditor": {"jisr-role": "auditor"},
    "ads": {"jisr-role": "agency:ads", "name": "<b>Zineb</b>"},
    "nobody": {},
    "owner": {"jisr-role": "owner"},
    "agency": {"jisr-role": "agency"},
    "elsewhere": {"jisr-role": "agency:nowhere"},
    "both": {"jisr-role": ["operator", "auditor"]},
}


@pytest.fixture(scope="module")
def parts() -> Iterator[Parts]:
    made = contracts()
    yield made
    made.close()


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, Insisting]]:
    with serving(USERS) as found:
        yield found


@pytest.fixture
def insisting(served: tuple[str, Insisting]) -> Iterator[Insisting]:
    yield served[1]
    served[1].token, served[1].insists = None, True


@pytest.fixture
def provider(served: tuple[str, Insisting], insisting: Insisting) -> Provider:
    issuer, _ = served
    return Provider(issuer, *registered(issuer, f"{URL}/sign-in/callback"), URL)


@pytest.fixture
def console(parts: Parts, provider: Provider) -> Console:
    return make_console(
        parts, LiveStatus(parts, away), ProviderLogin(provider).section(), secure=False, doors=MemoryDoors()
    )


@pytest.fixture
def visitor(console: Console) -> Iterator[Visitor]:
    with visiting(console) as somebody:
        yield somebody


def begun(visitor: Visitor, then: str = "/") -> str:
    """Where the console sends somebody who wants to come in."""
    answer = visitor.client.get(f"/sign-in/begin?next={then}", follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def answered(visitor: Visitor, callback: str) -> Any:
    return visitor.client.get(callback, follow_redirects=False)


def is_in(visitor: Visitor) -> bool:
    return visitor.client.get("/api/v1/openapi.json").status_code == 200


@pytest.mark.parametrize(
    ("subject", "name", "open_to_them", "closed"),
    [
        ("op", "سعاد العلوي", "/", "/audit"),
        ("steward", "brahim", "/", "/audit"),
        ("auditor", "auditor", "/audit", None),
        ("ads", "bZineb/b", "/agencies/ads", "/agencies/health"),
    ],
)
def test_somebody_comes_in_as_their_claim_says(
    visitor: Visitor, subject: str, name: str, open_to_them: str, closed: str | None
) -> None:
    page = visitor.get(open_to_them)
    assert page.url.path == "/sign-in"
    assert "/sign-in/begin?next=" in page.text
    answer = answered(visitor, agreed(begun(visitor, open_to_them), subject))
    assert (answer.status_code, answer.headers["location"]) == (303, open_to_them)
    # The store is away here: whoever may pass gets as far as that.
    assert visitor.get(open_to_them).status_code == 503
    assert f"<bdi>{name}</bdi>" in visitor.get("/sign-in").text
    if closed:
        assert visitor.get(closed).status_code in (403, 404)


@pytest.mark.parametrize("subject", ["nobody", "owner", "agency", "elsewhere", "both", "unknown@example"])
def test_nobody_comes_in_without_just_one_role(visitor: Visitor, subject: str) -> None:
    answer = answered(visitor, agreed(begun(visitor), subject))
    assert answer.status_code == 403
    assert "have no role here" in answer.text
    assert not is_in(visitor)


def test_what_is_asked_of_the_provider_is_bound_to_this_attempt(
    visitor: Visitor, insisting: Insisting
) -> None:
    one, other = (parse_qs(urlsplit(begun(visitor)).query) for _ in range(2))
    assert one["response_type"] == ["code"]
    assert one["code_challenge_method"] == ["S256"]
    assert one["redirect_uri"] == [f"{URL}/sign-in/callback"]
    for name in ("state", "nonce", "code_challenge"):
        assert one[name] != other[name]
        assert len(one[name][0]) >= 32
    before = insisting.exchanged
    assert answered(visitor, agreed(begun(visitor), "op")).status_code == 303
    assert insisting.exchanged == before + 1, "with the verifier of its challenge"


def test_an_answer_that_was_not_asked_for_is_refused(visitor: Visitor, console: Console) -> None:
    callback = agreed(begun(visitor), "op")
    state = parse_qs(urlsplit(callback).query)["state"][0]
    with visiting(console) as other:
        assert answered(other, callback).status_code == 400, "in a browser that began nothing"
        begun(other)
        assert answered(other, callback).status_code == 400, "in one that began another attempt"
    assert answered(visitor, callback.replace(state, "x" + state[1:])).status_code == 400
    assert answered(visitor, callback).status_code == 400, "an attempt is spent by a wrong answer"
    assert not is_in(visitor)


def test_an_answer_serves_once_and_not_for_ever(visitor: Visitor, console: Console) -> None:
    callback = agreed(begun(visitor), "op")
    assert answered(visitor, callback).status_code == 303
    assert answered(visitor, callback).status_code == 400
    late = agreed(begun(visitor), "op")
    now = console.clock()
    console.clock = lambda: now + 601
    assert answered(visitor, late).status_code == 400


@pytest.mark.parametrize("insists", [True, False], ids=["by-the-verifier", "by-the-nonce"])
def test_somebody_elses_code_does_not_do(
    visitor: Visitor, console: Console, insisting: Insisting, insists: bool
) -> None:
    """A stolen code, put into an attempt of the thief's own: refused by the provider, else by the console."""
    insisting.insists = insists
    with visiting(console) as victim:
        stolen = parse_qs(urlsplit(agreed(begun(victim), "auditor")).query)["code"][0]
    insisting.challenges = set()
    own = begun(visitor)
    state = parse_qs(urlsplit(own).query)["state"][0]
    answer = answered(visitor, f"/sign-in/callback?code={stolen}&state={state}")
    assert answer.status_code == 403
    assert not is_in(visitor)


def test_who_does_not_agree_does_not_come_in(visitor: Visitor) -> None:
    begun(visitor)
    state = parse_qs(urlsplit(begun(visitor)).query)["state"][0]
    answer = answered(visitor, f"/sign-in/callback?error=access_denied&state={state}")
    assert answer.status_code == 403
    assert "did not let you in" in answer.text
    begun(visitor)
    assert answered(visitor, "/sign-in/callback?error=access_denied").status_code == 400


def claims(provider: Provider, asked: str, changed: dict[str, Any]) -> dict[str, Any]:
    """What a good token claims for the question that was asked, but for what is changed."""
    now = int(time.time())
    good = {"iss": provider.issuer, "aud": provider.client_id, "sub": "op"}
    nonce = parse_qs(urlsplit(asked).query)["nonce"][0]
    merged = {**good, "iat": now, "exp": now + 300, "nonce": nonce, "jisr-role": "operator", **changed}
    return {name: value for name, value in merged.items() if value is not None}


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, 303),
        ({"aud": ["another", "CLIENT"], "azp": "CLIENT"}, 303),
        ({"aud": "another"}, 403),
        ({"aud": ["another", "CLIENT"], "azp": "another"}, 403),
        ({"iss": "https://evil.example"}, 403),
        ({"nonce": "another"}, 403),
        ({"nonce": None}, 403),
        ({"exp": 1}, 403),
        ({"exp": None}, 403),
        ({"sub": None}, 403),
    ],
)
def test_what_a_token_claims_must_hold(
    visitor: Visitor, provider: Provider, insisting: Insisting, changed: dict[str, Any], status: int
) -> None:
    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(one) for one in value]
        return provider.client_id if value == "CLIENT" else value

    callback = agreed(question := begun(visitor), "op")
    told = claims(provider, question, {name: filled(value) for name, value in changed.items()})
    insisting.token = jwt.encode({"alg": "RS256", "kid": "ours"}, told, insisting.key)
    assert answered(visitor, callback).status_code == status
    assert is_in(visitor) == (status == 303)


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@pytest.mark.parametrize("how", ["another-key", "shared-secret", "unsigned", "garbage"])
def test_a_token_that_the_provider_did_not_sign_is_refused(
    visitor: Visitor, provider: Provider, insisting: Insisting, how: str
) -> None:
    callback = agreed(question := begun(visitor), "op")
    told = claims(provider, question, {})
    header, key = {"alg": "RS256", "kid": "ours"}, RSAKey.generate_key(2048)
    forged = jwt.encode(header, told, key)
    if how == "shared-secret":
        # The public key, which everybody has, taken for a secret.
        signed = f"{encoded(HS256)}.{forged.split('.')[1]}"
        seal = hmac.digest(insisting.key.as_pem(private=False), signed.encode(), "sha256")
        forged = f"{signed}.{encoded(seal)}"
    elif how == "unsigned":
        forged = "eyJhbGciOiJub25lIn0." + forged.split(".")[1] + "."
    elif how == "garbage":
        forged = "a.b.c"
    insisting.token = forged
    assert answered(visitor, callback).status_code == 403
    assert not is_in(visitor)


def test_a_provider_that_is_away_or_another_is_said_and_lets_nobody_in(
    parts: Parts, provider: Provider
) -> None:
    for issuer in ("http://127.0.0.1:9", f"{provider.issuer}/"):
        login = ProviderLogin(Provider(issuer, "id", "secret", URL))
        made = make_console(
            parts, LiveStatus(parts, away), login.section(), secure=False, doors=MemoryDoors()
        )
        with visiting(made) as visitor:
            answer = visitor.get("/sign-in/begin")
            assert answer.status_code == 503
            assert "sign-in service does not answer" in answer.text


@pytest.mark.parametrize(
    ("issuer", "url", "told"),
    [
        ("http://sso.example", URL, "issuer"),
        ("https://sso.example", "http://hub.example", "public URL"),
        ("sso.example", URL, "issuer"),
    ],
)
def test_what_others_could_read_is_refused_at_the_start(issuer: str, url: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Provider(issuer, "id", "secret", url)


def test_what_is_missing_is_named_with_the_address_to_register(tmp_path: Path) -> None:
    arguments = ["console", "--oidc-issuer", "https://sso.example", "--public-url", "https://hub.example"]
    result = CliRunner().invoke(jisr, arguments)
    assert isinstance(result.exception, ConfigurationError)
    assert "https://hub.example/sign-in/callback" in str(result.exception)
    assert "JISR_CONSOLE_OIDC_CLIENT_ID" in str(result.exception)
