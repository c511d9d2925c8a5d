"""The turns of the second act in their order."""

from __future__ import annotations

from hub.local.demo.everyday.joining import joins
from hub.local.demo.everyday.mad_script import mad_script
from hub.local.demo.everyday.stage import Turn
from hub.local.demo.everyday.terms import agreement_narrows, consent_withdrawn

TURNS: tuple[Turn, ...] = (
    Turn("joining", "An agency joins with years of messy data: planned, held, released, as planned.", joins),
    Turn(
        "agreement", "An agreement narrows and widens: exactly that field goes, and comes.", agreement_narrows
    ),
    Turn("consent", "Consent withdrawn takes a record away, and given again brings it.", consent_withdrawn),
    Turn("mad-script", "A mad script is taken back; what people did meanwhile stands.", mad_script),
)
