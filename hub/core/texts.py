"""Avro strings as the core has them: values are opaque bytes, but for those that are compared as text."""

from __future__ import annotations


def text_of(encoded: bytes) -> str:
    """The text of an Avro string: its length, in bytes of which only the last is below 128, comes first."""
    start = next(position for position, byte in enumerate(encoded) if byte < 0x80) + 1
    return encoded[start:].decode()


def encoded_text(text: str) -> bytes:
    """A text as an Avro string."""
    raw = text.encode()
    length, prefix = len(raw) << 1, bytearray()
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*prefix, length]) + raw
