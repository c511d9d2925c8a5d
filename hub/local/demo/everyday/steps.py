"""The turns of the second act in their order."""

from __future__ import annotations

from hub.local.demo.everyday.joining import joins
from hub.local.demo.everyday.leaving import leaves
from hub.local.demo.everyday.mad_script import mad_script
from hub.local.demo.everyday.notices import read_by_staff
from hub.local.demo.everyday.restored import restored
from hub.local.demo.everyday.stage import Turn
from hub.local.demo.everyday.terms import agreement_narrows, consent_withdrawn
from hub.local.demo.everyday.twins import registered_twice, sisters

TURNS: tuple[Turn, ...] = (
    Turn("joining", "An agency joins with years of messy data: planned, held, released, as planned.", joins),
    Turn(
        "agreement", "An agreement narrows and widens: exactly that field goes, and comes.", agreement_narrows
    ),
    Turn("consent", "Consent withdrawn takes a record away, and given again brings it.", consent_withdrawn),
    Turn("mad-script", "A mad script is taken back; what people did meanwhile stands.", mad_script),
    Turn(
        "restored",
        "A database is restored from yesterday: what was edited and entered since comes back.",
        restored,
    ),
    Turn("registered-twice", "One person twice on an agency's books stays one person.", registered_twice),
    Turn("merge-and-split", "Two people taken for one are parted exactly.", sisters),
    Turn("leaving", "An agency leaves: told nothing more, its word withdrawn, nobody else moved.", leaves),
    Turn("notices", "Every agency's staff reads what happened, in its language, grouped.", read_by_staff),
)
