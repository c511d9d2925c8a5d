"""`jisr …` in the tests' own process: one of its own takes more than a second to import the hub.

What `jisr` does as a process is tested by itself (tests/integration/test_stack_commands.py, tests/e2e).
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Mapping, Sequence
from subprocess import CompletedProcess

from click.testing import CliRunner

from hub.cli import jisr
from hub.errors import JisrError


def run_jisr(arguments: Sequence[str], environment: Mapping[str, str]) -> CompletedProcess[str]:
    """Run a command to its end; `environment` holds all settings of the hub that it may see. Whatever ends
    it but an error of ours is raised."""
    others: dict[str, str | None] = {name: None for name in os.environ if name.startswith("JISR_")}
    logged = io.StringIO()
    handler = logging.StreamHandler(logged)
    handler.setLevel(logging.WARNING)  # what Python writes to standard error where nothing is set up
    logging.getLogger().addHandler(handler)
    try:
        result = CliRunner(env=others | dict(environment)).invoke(jisr, list(arguments))
    finally:
        logging.getLogger().removeHandler(handler)
    error, stderr = result.exception, logged.getvalue() + result.stderr
    if isinstance(error, JisrError):  # as `main` tells it
        stderr += f"jisr: {error}\n"
    elif error is not None and not isinstance(error, SystemExit):
        raise error
    return CompletedProcess(list(arguments), result.exit_code, result.stdout, stderr)
