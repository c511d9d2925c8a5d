"""The stage of the second act: a scene whose agencies, agreements and databases change, and are judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hub.local import services
from hub.local.demo.audit import audit, read_rows
from hub.local.demo.everyday.holdings import Difference, differences, digests
from hub.local.demo.everyday.release import Release
from hub.local.demo.proof.verdict import Rows
from hub.local.demo.quiet import Quiet
from hub.local.demo.region import Region
from hub.local.demo.story.scene import NotSeen, Outcome, Scene, Step

# Whoever decides in this act.
STEWARD = "Salma Bennani"
_SETTLE_WITHIN_S = 120.0
_LOOK_EVERY_S = 1.0
_SHOWN = 4


@dataclass(frozen=True)
class Turn:
    """One step of the second act: `sentence` says what must come true; `act` does it and checks it."""

    name: str
    sentence: str
    act: Callable[[Stage], None]


class Stage(Scene):
    """What a step of the second act may do. After every step the whole region is judged as in the proof."""

    def __init__(self, region: Region, release: Release, heed: Callable[[], None] = lambda: None) -> None:
        super().__init__(region, heed)
        self.release = release
        # How the agencies' tables were at a moment to which a later step comes back, by its name.
        self.remembered: dict[str, Rows] = {}
        self._quiet = Quiet(region)

    def close(self) -> None:
        self._quiet.close()
        super().close()

    def take(self, turn: Turn) -> Outcome:
        """Play one turn, and judge the whole region after it."""

        def act_and_prove(_: Scene) -> None:
            turn.act(self)
            self.prove()

        return self.play(Step(turn.name, turn.sentence, act_and_prove))

    # The outside look

    def settle(self) -> None:
        """Wait until nothing is under way any more."""
        waited_s = 0.0
        while not self._quiet.wait(_LOOK_EVERY_S):
            self._heed()
            waited_s += _LOOK_EVERY_S
            if waited_s >= _SETTLE_WITHIN_S:
                raise NotSeen(f"something is still under way after {_SETTLE_WITHIN_S:.0f} s")

    def holdings(self) -> Rows:
        """What every agency's tables hold, once nothing is under way."""
        self.settle()
        return read_rows(self.region.site)

    def prove(self) -> None:
        """Every agency holds exactly what it may hold by the release in force, and all hold the same."""
        self.settle()
        problems = audit(self.region.site).problems()
        if problems:
            raise NotSeen(f"the proof after this step: {_some(problems)}")

    def same(self, before: Rows, after: Rows, what: str) -> None:
        """That two looks at all tables show the same, to the last value."""
        self.only((), differences(before, after), what)
        self.remark(
            f"{what}: " + ", ".join(f"{name} {digest[:8]}" for name, digest in digests(after).items())
        )

    def only(
        self, expected: Iterable[tuple[str, str, str, str]], found: Sequence[Difference], what: str
    ) -> None:
        """That these and no other values differ: (agency, record type, local id, field)."""
        wanted, seen = set(expected), {one[:4] for one in found}
        if wanted == seen:
            return
        more = [one.place for one in found if one[:4] not in wanted]
        missing = [f"{agency}: {name} of {kind} {key}" for agency, kind, key, name in sorted(wanted - seen)]
        raise NotSeen(
            f"{what}: expected to differ, and does not: {_some(missing) or 'nothing'}; "
            f"differs, and must not: {_some(more) or 'nothing'}"
        )

    # What operators do

    def jisr(self, *arguments: str, **environment: str) -> str:
        """`jisr …` at an operator's keyboard; what it wrote. Raises NotSeen with its error."""
        stack = self.region.stack
        hub = {
            "JISR_STORE_URL": stack.endpoints.store,
            "JISR_SECRET_FILE": str(stack.folder.secret_file("hub")),
        }
        self._heed()
        done = services.command(stack, arguments, {**hub, **environment})
        if done.returncode != 0:
            raise NotSeen(f"jisr {' '.join(arguments[:2])}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def asked(self, *arguments: str, **environment: str) -> Any:
        """The same with `--json`: the answer."""
        return json.loads(self.jisr(*arguments, "--json", **environment))

    def roll_out(self, environment: Mapping[str, str] | None = None) -> None:
        """Restart the workers, which read the release as it is now; then nothing is due any more."""
        stack = self.region.stack
        for number in range(stack.options.hub_workers):
            spec = services.hub_worker(stack, number)
            stack.restart(spec.name, replace(spec, env={**spec.env, **(environment or {})}))
        self.region.read_agreements()
        self.look_again()

    def look_again(self) -> None:
        """Watch the topics and databases that there are now."""
        self._quiet.close()
        self._quiet = Quiet(self.region)


def _some(problems: Sequence[str]) -> str:
    more = f" … and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return "; ".join(problems[:_SHOWN]) + more
