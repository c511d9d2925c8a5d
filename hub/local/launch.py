"""The last thing that runs before a supervised program: `python -I -S launch.py OPTIONS PROGRAM …`.

It leaves the parent's privileges, asks the kernel to end the program when the supervisor dies, and
becomes the program. It does so in a process of its own, because code between fork and exec in a
parent with threads (`preexec_fn`) can deadlock. Imports nothing of ours, so that it starts in
milliseconds. OPTIONS is JSON: {"parent": pid, "death_signal": number, "account": [uid, gid] or null,
"keep_reading": whether the account may pass folders that only root may pass}.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` alone would double the time that this file takes to start
    from collections.abc import Sequence

# linux/prctl.h, linux/securebits.h, linux/capability.h
_PR_SET_PDEATHSIG, _PR_SET_SECUREBITS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 1, 28, 47, 2
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def _leave_root(uid: int, gid: int, keep_reading: bool, libc: ctypes.CDLL) -> None:
    # Without this bit the kernel takes the kept power away when the account changes, and hides it from
    # access(2), by which PostgreSQL looks for its own programs.
    kept = keep_reading and libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0) == 0
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if keep_reading and not (kept and _keep_reading(libc)):
        sys.exit(
            "the account that this program runs as cannot pass root's own folders, and this system "
            "grants no exception: move the project and JISR_HOME out of them"
        )


def _keep_reading(libc: ctypes.CDLL) -> bool:
    """Of root's powers keep the one that containers grant too: to pass and read anything."""
    mask = 1 << _CAP_DAC_OVERRIDE
    header = _Header(_CAPABILITY_VERSION_3, 0)
    sets = (_Sets * 2)(_Sets(mask, mask, mask), _Sets(0, 0, 0))
    if libc.capset(ctypes.byref(header), sets) != 0:
        return False
    ambient = libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)
    return bool(ambient == 0)


def command(
    program: Sequence[str],
    account: tuple[int, int] | None = None,
    keep_reading: bool = False,
    death_signal: int = signal.SIGKILL,
) -> list[str]:
    """The command that runs `program` by way of this file, as a child of the calling thread."""
    options = {
        "parent": os.getpid(),
        "death_signal": int(death_signal),
        "account": account,
        "keep_reading": keep_reading,
    }
    return [sys.executable, "-I", "-S", __file__, json.dumps(options), *program]


def main() -> None:
    options, program = json.loads(sys.argv[1]), sys.argv[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    if options["account"]:
        uid, gid = options["account"]
        _leave_root(uid, gid, options["keep_reading"], libc)
    if sys.platform == "linux":
        # After leaving root: a change of credentials clears the death signal.
        libc.prctl(_PR_SET_PDEATHSIG, options["death_signal"], 0, 0, 0)
    if os.getppid() != options["parent"]:
        sys.exit("the supervisor died before this program began")
    # Python ignores SIGPIPE, and what is ignored stays so across exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execve(program[0], program, os.environ)  # noqa: S606
    except OSError as error:
        sys.exit(f"cannot run {program[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
