"""Opaque ids: keys and headers of messages hold no identifier (R4).

Three kinds, each a keyed function, so that a replay gives the same ids and nobody without the key can
link or reverse them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

ID_BYTES = 16


def derive(secret: bytes, purpose: str) -> bytes:
    """A 32-byte key for one purpose, from a longer-lived secret."""
    return hmac.digest(secret, f"jisr/{purpose}".encode(), hashlib.sha256)


def _digest(key: bytes, *parts: str) -> bytes:
    # Length-prefixed, so that ("ab", "c") and ("a", "bc") differ.
    message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return hmac.digest(key, message, hashlib.sha256)[:ID_BYTES]


def record_token(agency_key: bytes, record_type: str, local_id: str) -> str:
    """The key of a local record's changes: stable, and opaque without the agency's key (22 characters)."""
    return _text(_digest(agency_key, record_type, local_id))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Ids:
    """The hub's ids, all derived from its one secret (at least 16 bytes)."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < ID_BYTES:
            raise ValueError(f"the hub's secret has {len(secret)} bytes; at least {ID_BYTES} needed")
        self._secret = secret
        self._record_key = derive(secret, "record")
        self._name_key = derive(secret, "name")
        self._pairwise: dict[str, Pairwise] = {}

    def record(self, agency: str, record_type: str, local_id: str, incarnation: int) -> bytes:
        """16 bytes that name a local record's incarnation; an entity has its founding record's (R16)."""
        return _digest(self._record_key, agency, record_type, local_id, str(incarnation))

    def name_key(self, text: str) -> int:
        """64 bits for what somebody is looked for by: without the secret nobody can try names out."""
        hashed = hashlib.blake2b(text.encode(), key=self._name_key, digest_size=8).digest()
        return int.from_bytes(hashed, "big", signed=True)

    def pairwise(self, agency: str) -> Pairwise:
        """How `agency` names entities."""
        if agency not in self._pairwise:
            self._pairwise[agency] = Pairwise(derive(self._secret, f"pairwise/{agency}"))
        return self._pairwise[agency]


class Pairwise:
    """One agency's names of entities: a keyed permutation of the 16 bytes of a hub id.

    A hub id fills exactly one AES block, so a single block encryption is a bijection: two entities never
    share a name, the hub reads a name back without a table, and two agencies' names cannot be compared.
    """

    def __init__(self, key: bytes) -> None:
        # One block of unique input: a mode that chains blocks would add nothing.
        cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305
        self._encryptor = cipher.encryptor()
        self._decryptor = cipher.decryptor()

    def name(self, hub_id: bytes) -> str:
        """The agency's 22-character name of the entity."""
        return _text(self._encryptor.update(hub_id))

    def hub_id(self, name: str) -> bytes | None:
        """The hub id behind a name; None if it is not even of a name's form."""
        try:
            raw = base64.urlsafe_b64decode(name + "==")
        except ValueError:
            return None
        return self._decryptor.update(raw) if len(raw) == ID_BYTES else None
