"""A stock OpenID Connect provider on loopback, made to insist on PKCE, and to say what it should not."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

from joserfc.jwk import RSAKey
from oidc_provider_mock import User, app
from werkzeug.serving import make_server

from support import plain_http

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


class Insisting:
    """Around the provider: a code is given out for a challenge, and exchanged for its verifier alone.

    `token`: if set, what is given instead of the provider's ID token, signed by `key`.
    """

    def __init__(self, provider: Callable[[Environ, StartResponse], Iterable[bytes]]) -> None:
        self._provider = provider
        self.challenges: set[str] = set()
        self.exchanged = 0
        self.insists = True
        self.token: str | None = None
        self.key = RSAKey.generate_key(2048, {"kid": "ours", "use": "sig"})

    def __call__(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/oauth2/authorize":
            asked = parse_qs(environ["QUERY_STRING"])
            if self.insists and asked.get("code_challenge_method") != ["S256"]:
                return self._answer(start, "400 Bad Request", {"error": "invalid_request"})
            self.challenges.update(asked.get("code_challenge", []))
        if path == "/oauth2/token":
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            environ["wsgi.input"] = io.BytesIO(body)
            verifier = parse_qs(body.decode()).get("code_verifier", [""])[0].encode()
            made = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
            if self.insists and made not in self.challenges:
                return self._answer(start, "400 Bad Request", {"error": "invalid_grant"})
            # A challenge serves once: a code of another attempt does not come with this verifier.
            self.challenges = set()
            self.exchanged += 1
            if self.token is not None:
                return self._answer(start, "200 OK", {"id_token": self.token, "token_type": "Bearer"})
        if path == "/jwks" and self.token is not None:
            return self._answer(start, "200 OK", {"keys": [self.key.as_dict(private=False)]})
        return self._provider(environ, start)

    @staticmethod
    def _answer(start: StartResponse, status: str, content: dict[str, Any]) -> Iterable[bytes]:
        start(status, [("Content-Type", "application/json")])
        return [json.dumps(content).encode()]


@contextmanager
def serving(users: dict[str, dict[str, object]]) -> Iterator[tuple[str, Insisting]]:
    """(Issuer, the provider) with these users: subject → claims. Knows only clients that registered."""
    those = [User(sub=subject, claims=claims) for subject, claims in users.items()]
    insisting = Insisting(app(require_client_registration=True, require_nonce=True, user_claims=those))
    server = make_server("127.0.0.1", 0, insisting, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", insisting
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def registered(issuer: str, redirect_uri: str) -> tuple[str, str]:
    """(Client id, secret) of a new client."""
    answer = plain_http.post(f"{issuer}/oauth2/clients", json={"redirect_uris": [redirect_uri]}).json()
    return answer["client_id"], answer["client_secret"]


def agreed(authorization: str, subject: str, **form: str) -> str:
    """Somebody agrees at the provider: where it then sends their browser, without the host."""
    answer = plain_http.post(authorization, data={"sub": subject, **form})
    assert answer.status_code == 302, answer.text
    return answer.headers["location"].removeprefix("http://127.0.0.1")
