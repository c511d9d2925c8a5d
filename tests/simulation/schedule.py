"""Who runs next: threads of which only one ever runs, chosen by the seed; simulated time; deaths.

Production code blocks, so each of its loops has a thread. But a thread gives way only inside a simulated part
(`pause`, `wait`), and which one goes on then is drawn from the seed: the same seed is the same run, to the
last step. Time creeps while somebody can run, and jumps when all wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

# 2026-03-02T09:00Z: simulated time begins on a working day.
START_MS = 1_772_442_000_000
FOREVER_MS = 1 << 60


class Gone(BaseException):
    """The process of this thread has died: nothing in it may handle that, only transactions roll back."""


class Stuck(AssertionError):
    """Nobody can run, and nobody waits for a moment that comes."""


@dataclass(eq=False)
class Process:
    """Threads that live and die together; `frozen_until_ms`: until then none of them runs."""

    name: str
    tasks: list[Task] = field(default_factory=list)
    alive: bool = True
    frozen_until_ms: int = 0


@dataclass(eq=False)
class Task:
    """One thread. It runs while it has the baton, that is once its `gate` was opened for it."""

    name: str
    process: Process
    gate: threading.Lock = field(default_factory=threading.Lock)
    ready: Callable[[], bool] | None = None
    wake_ms: int = 0
    dying: bool = False
    done: bool = False
    killer: Task | None = None
    thread: threading.Thread | None = None

    def runnable(self, now_ms: int) -> bool:
        if self.process.frozen_until_ms > now_ms:
            return False
        return self.wake_ms <= now_ms or (self.ready is not None and self.ready())


class Schedule:
    """The baton, the clock and the dice. The thread that makes it is its first task, the supervisor."""

    def __init__(self, seed: str) -> None:
        self.rng = Random(seed)
        self.now_ms = START_MS
        self.switches = 0
        self.failure: BaseException | None = None
        self.supervisor = Task("supervisor", Process("supervisor"))
        self.supervisor.gate.acquire()
        self.current = self.supervisor
        self._tasks = [self.supervisor]

    # For the simulated parts

    def pause(self) -> None:
        """Others may run now."""
        task = self.current
        if not task.dying:
            task.ready, task.wake_ms = None, self.now_ms
            self._give_way(task)

    def wait(self, ready: Callable[[], bool] | None = None, timeout_ms: int | None = None) -> bool:
        """Let others run until `ready` or the timeout; whether it is ready."""
        task = self.current
        if task.dying:
            raise Gone
        task.ready = ready
        task.wake_ms = FOREVER_MS if timeout_ms is None else self.now_ms + timeout_ms
        self._give_way(task)
        return ready is None or ready()

    def chance(self, one_in: int) -> bool:
        return self.rng.randrange(one_in) == 0

    # For the supervisor

    def spawn(self, process: Process, name: str, work: Callable[[], None]) -> None:
        """Let `work` run in a thread of `process`; it begins when it is drawn."""
        task = Task(name, process, wake_ms=self.now_ms)
        task.gate.acquire()
        task.thread = threading.Thread(target=self._run, args=(task, work), name=name, daemon=True)
        process.tasks.append(task)
        self._tasks.append(task)
        task.thread.start()

    def kill(self, process: Process) -> None:
        """End a process here and now: its threads unwind, and what they had open is rolled back."""
        process.alive = False
        me = self.current
        for task in process.tasks:
            if task is not me and not task.done:
                task.dying, task.killer = True, me
                self._hand_to(task)
                me.gate.acquire()
        if me.process is process:
            me.dying = True
            raise Gone

    # The baton

    def _run(self, task: Task, work: Callable[[], None]) -> None:
        task.gate.acquire()
        try:
            if not task.dying:
                work()
        except Gone:
            pass
        except BaseException as error:
            self.failure = self.failure or error
        finally:
            task.done = True
            self._tasks.remove(task)
            try:
                following = task.killer or self._next()
            except BaseException as error:
                self.failure, following = self.failure or error, self.supervisor
            self._hand_to(following)

    def _give_way(self, task: Task) -> None:
        following = self._next()
        if following is not task:
            self._hand_to(following)
            task.gate.acquire()
        if task.dying:
            raise Gone

    def _hand_to(self, task: Task) -> None:
        self.current = task
        task.gate.release()

    def _next(self) -> Task:
        self.switches += 1
        if self.failure is not None:
            return self.supervisor
        while True:
            now_ms = self.now_ms
            able = [task for task in self._tasks if task.runnable(now_ms)]
            if able:
                break
            self.now_ms = min(
                max(task.wake_ms, task.process.frozen_until_ms)
                if task.wake_ms < FOREVER_MS
                else (task.process.frozen_until_ms if task.process.frozen_until_ms > now_ms else FOREVER_MS)
                for task in self._tasks
            )
            if self.now_ms >= FOREVER_MS:
                raise Stuck(", ".join(task.name for task in self._tasks))
        # Work takes time: between two steps of anybody a millisecond may pass.
        self.now_ms += self.rng.randrange(2)
        return able[self.rng.randrange(len(able))] if len(able) > 1 else able[0]
