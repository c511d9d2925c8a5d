"""httpx's calls for loopback's plain HTTP: each call of its own reads all of the system's authorities, for
30 ms of processor time, which adds up where an answer is waited for."""

from __future__ import annotations

import ssl
from functools import partial

import httpx

# Trusts nobody: https fails.
_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

request = partial(httpx.request, verify=_NO_AUTHORITIES)
get = partial(request, "GET")
post = partial(request, "POST")
delete = partial(request, "DELETE")
