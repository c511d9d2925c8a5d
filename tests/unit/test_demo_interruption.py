"""Ctrl-C in the demonstration is heeded even if some library swallowed it."""

from __future__ import annotations

import signal
from contextlib import suppress

import pytest

from hub.local.demo.interruption import Interruption


def test_a_signal_is_an_exception_and_stays_noted_when_that_is_swallowed() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interruption() as interruption:
        interruption.heed()
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            interruption.heed()
    assert signal.getsignal(signal.SIGTERM) == before


def test_nobody_cuts_the_stopping_short() -> None:
    with Interruption() as interruption:
        interruption.no_more()
        signal.raise_signal(signal.SIGINT)
        interruption.heed()
