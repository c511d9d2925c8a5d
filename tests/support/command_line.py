"""`jisr …` in the tests' own process: one of its own takes more than a second to import the hub.

What `jisr` does as a process is tested by itself (tests/integration/test_stack_commands.py, tests/e2e).
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from subprocess import CompletedProcess

from click.testing import CliRunner

from hub.cli import jisr
from hub.errors import JisrError


def run_jisr(
    arguments: Sequence[str], environment: Mapping[str, str], given: str = ""
) -> CompletedProcess[str]:
    """Run a command to its end; `environment` holds all settings of the hub that it may see, `given` is its
    standard input. Whatever ends it but an error of ours is raised."""
    others: dict[str, str | None] = {name: None for name in os.environ if name.startswith("JISR_")}
    with _warnings() as logged:
        result = CliRunner(env=others | dict(environment)).invoke(jisr, list(arguments), input=given)
    error, stderr = result.exception, logged.getvalue() + result.stderr
    if isinstance(error, JisrError):  # as `main` tells it
        stderr += f"jisr: {error}\n"
    elif error is not None and not isinstance(error, SystemExit):
        raise error
    return CompletedProcess(list(arguments), result.exit_code, result.stdout, stderr)


@contextmanager
def _warnings() -> Iterator[io.StringIO]:
    """What our loggers warn of meanwhile, as Python writes it to standard error where nothing is set up:
    whatever other tests of this process have set up, or turned off."""
    logged, manager = io.StringIO(), logging.getLogger().manager
    handler = logging.StreamHandler(logged)
    tops = [logging.getLogger(name) for name in ("hub", "connectors")]
    ours = [
        one
        for name, one in manager.loggerDict.items()
        if isinstance(one, logging.Logger) and name.partition(".")[0] in ("hub", "connectors")
    ]
    before = manager.disable, [(one, one.disabled, one.level, one.propagate) for one in ours]
    logging.disable(logging.NOTSET)
    for one in ours:
        one.disabled, one.propagate = False, one not in tops
        one.setLevel(logging.WARNING if one in tops else logging.NOTSET)
    for top in tops:
        top.addHandler(handler)
    try:
        yield logged
    finally:
        for top in tops:
            top.removeHandler(handler)
        for one, disabled, level, propagate in before[1]:
            one.disabled, one.propagate = disabled, propagate
            one.setLevel(level)
        logging.disable(before[0])
