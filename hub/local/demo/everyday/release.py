"""The release that the demonstration's parts read, as operators change it: agreements and mappings."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from hub.local.stack import PROJECT

# What is added to the release when an agency joins.
_MORE = Path(__file__).parent / "release"


class Release:
    """A copy of this project's `deploy`, of its own. What is changed in it counts for who is restarted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.agreements, self.connectors = folder / "agreements", folder / "connectors"
        self._planned = folder / "planned"
        shutil.rmtree(folder, ignore_errors=True)
        for each in (self.agreements, self.connectors):
            shutil.copytree(PROJECT / "deploy" / each.name, each)

    def add(self, agency: str) -> Path:
        """The agreement and the mapping of one more agency; its mapping file."""
        for folder in (self.agreements, self.connectors):
            shutil.copy(_MORE / folder.name / f"{agency}.yaml", folder)
        return self.connectors / f"{agency}.yaml"

    def remove(self, agency: str) -> None:
        """Without the agency from now on."""
        for folder in (self.agreements, self.connectors):
            (folder / f"{agency}.yaml").unlink()

    def plan(self, agency: str, change: Callable[[Any], None]) -> Path:
        """The agreements as they would be with this change of one of them, in a folder of their own."""
        shutil.rmtree(self._planned, ignore_errors=True)
        shutil.copytree(self.agreements, self._planned)
        _edit(self._planned / f"{agency}.yaml", change)
        return self._planned

    def change(self, agency: str, change: Callable[[Any], None]) -> None:
        """Change one agreement; `change` is given it as YAML has it."""
        _edit(self.agreements / f"{agency}.yaml", change)


def _edit(file: Path, change: Callable[[Any], None]) -> None:
    yaml = YAML()
    content = yaml.load(file)
    change(content)
    yaml.dump(content, file)
