"""The console's sections, in the order of the menu. Another page is one more line here."""

from __future__ import annotations

from hub.console import (
    agency,
    audit,
    dead_letter_decisions,
    dead_letters,
    disclosures,
    holds,
    openapi,
    overview,
    own_dead_letters,
    record_search,
    reviews,
    schemas,
    signed_in,
    signing_in,
    steering,
    topics,
    words,
)
from hub.console.routing import Section

SECTIONS: tuple[Section, ...] = (
    overview.SECTION,
    agency.SECTION,
    own_dead_letters.SECTION,
    disclosures.SECTION,
    steering.SECTION,
    holds.SECTION,
    record_search.SECTION,
    words.SECTION,
    reviews.SECTION,
    dead_letters.SECTION,
    dead_letter_decisions.SECTION,
    topics.SECTION,
    schemas.SECTION,
    audit.SECTION,
    signing_in.SECTION,
    signed_in.SECTION,
    openapi.SECTION,
)
