"""What a process does to itself before it runs the trainer's code: `python -P THIS ORDER CODE`.

ORDER is a JSON object (see `Order`), CODE is Python. Everything given up here is given up for
good and by every process that comes of it: root's powers, a user, files, the network. The kernel
keeps it so. It is done here, in the child, and not between fork and exec: the parent may have
threads, and inside bubblewrap the mounts have to be made first.

This file stands alone (standard library only), because it also runs where no other file of ours
can be seen, and it costs about 10 ms.

Sources: landlock(7), `linux/landlock.h`; seccomp(2), `linux/filter.h`; capabilities(7).
"""

import ctypes
import json
import os
import struct
import sys
from typing import TypedDict


class Order(TypedDict, total=False):
    """What is to be given up; what is missing is kept."""

    read: list[str]
    """Landlock: files that may be read and run, with all below them."""
    write: list[str]
    """Landlock: directories where everything is allowed."""
    devices: list[str]
    """Landlock: files that may be read, written and controlled."""
    no_network: bool
    """Landlock: no TCP; seccomp: no sockets but Unix ones, nothing shared through the kernel."""
    keep_apart: bool
    """Landlock: no signals and no abstract Unix sockets to the outside; seccomp: no tracing."""
    user: int
    """User and group id to become; only root can."""
    powerless: bool
    """Root's capabilities go, but for those to reach files."""


class ConfinementError(OSError):
    """The kernel refused; the training must not begin."""


_libc = ctypes.CDLL(None, use_errno=True)

# ---- Landlock ------------------------------------------------------------------------------

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""System calls, the same numbers on every architecture."""
VERSION_FLAG, PATH_BENEATH = 1, 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
TRUNCATE, IOCTL_DEVICE = 1 << 14, 1 << 15
READING = EXECUTE | READ_FILE | READ_DIR
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEVICE
"""Rights that make sense for a file that is no directory."""
NETWORK = 3
"""Bind and connect of TCP."""
SCOPES = 3
"""Abstract Unix sockets and signals."""
FIRST_ABI = 2
"""The first one that lets a file move between two directories, as compilers' caches do."""


def landlock_abi() -> int:
    """Version of Landlock in this kernel; 0 where there is none, or where it is switched off."""
    return max(0, int(_libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_FLAG)))


def restrict_files(order: Order, abi: int) -> None:
    """Allow the files of the order and no others, for this process and its children."""
    handled = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)) - 1
    net = NETWORK if abi >= 4 and order.get("no_network") else 0
    scoped = SCOPES if abi >= 6 and order.get("keep_apart") else 0
    attributes = struct.pack("QQQ", handled, net, scoped)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = _checked(
        "landlock_create_ruleset",
        _libc.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0),
    )
    for path in order.get("read", ()):
        _allow(ruleset, path, READING & handled)
    for path in order.get("devices", ()):
        _allow(ruleset, path, (READING | WRITE_FILE | IOCTL_DEVICE) & handled)
    for path in order.get("write", ()):
        _allow(ruleset, path, handled & ~IOCTL_DEVICE)
    _checked("landlock_restrict_self", _libc.syscall(RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not os.path.isdir(path):
        rights &= OF_FILES
    rule = struct.pack("=Qi", rights, descriptor)
    _checked(
        f"landlock_add_rule for {path}",
        _libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0),
    )
    os.close(descriptor)


# ---- seccomp -------------------------------------------------------------------------------

LOAD, IF_EQUAL, IF_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOWED, REFUSED, KILLED = 0x7FFF0000, 0x00050000, 0x80000000
"""SECCOMP_RET_ALLOW, _ERRNO (with the number in the low half), _KILL_PROCESS."""
OFFSET_NUMBER, OFFSET_ARCHITECTURE, OFFSET_FIRST_ARGUMENT = 0, 4, 16
EACCES, ENOSYS, EPERM = 13, 38, 1
X32 = 0x40000000
"""Numbers from here on are those of x86's second call table."""

ARCHITECTURES = {
    # AUDIT_ARCH; socket; ptrace, process_vm_readv and _writev, add_key and its two sisters,
    # setxattr and its two sisters; shmget, semget, msgget, mq_open
    "x86_64": (
        0xC000003E, 41, (101, 310, 311, 248, 249, 250, 188, 189, 190), (29, 64, 68, 240),
    ),
    "aarch64": (
        0xC00000B7, 198, (117, 270, 271, 217, 218, 219, 5, 6, 7), (194, 190, 186, 180),
    ),
}  # fmt: skip
PIDFD_GETFD, SETXATTRAT, IO_URING = 438, 463, (425, 426, 427)


def refuse_calls(order: Order) -> None:
    """Refuse system calls that reach other machines or other processes' insides, that leave notes
    on files which were handed in, or (System V's and POSIX's queues) in the kernel.

    io_uring goes with the network: it opens sockets past this filter. Does nothing on an
    architecture whose numbers are not known here.
    """
    known = ARCHITECTURES.get(os.uname().machine)
    if known is None:
        return
    architecture, socket_call, tracing, sharing = known
    program = [
        (LOAD, 0, 0, OFFSET_ARCHITECTURE),
        (IF_EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILLED),
        (LOAD, 0, 0, OFFSET_NUMBER),
        (IF_AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, REFUSED | ENOSYS),
    ]
    if order.get("keep_apart"):
        program += _refuse((*tracing, PIDFD_GETFD, SETXATTRAT), EPERM)
    if order.get("no_network"):
        program += _refuse(sharing, EPERM)
        program += _refuse(IO_URING, ENOSYS)
        program += [
            (IF_EQUAL, 0, 3, socket_call),
            (LOAD, 0, 0, OFFSET_FIRST_ARGUMENT),
            (IF_EQUAL, 1, 0, 1),  # AF_UNIX
            (RETURN, 0, 0, REFUSED | EACCES),
        ]
    program.append((RETURN, 0, 0, ALLOWED))
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    kept = ctypes.create_string_buffer(code)
    header = struct.pack("HxxxxxxP", len(program), ctypes.addressof(kept))
    set_seccomp, with_filter = 22, 2
    _checked("seccomp", _libc.prctl(set_seccomp, with_filter, header, 0, 0))


def _refuse(numbers: tuple[int, ...], error: int) -> list[tuple[int, int, int, int]]:
    refusal = (RETURN, 0, 0, REFUSED | error)
    return [
        instruction for number in numbers for instruction in ((IF_EQUAL, 0, 1, number), refusal)
    ]


# ---- powers --------------------------------------------------------------------------------

DROP_FROM_BOUNDING, NO_NEW_PRIVILEGES, SET_DEATH_SIGNAL, GET_DEATH_SIGNAL = 24, 38, 1, 2
"""prctl(2)."""
KEPT_CAPABILITIES = (1 << 1) | (1 << 2)
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: root may work in directories that others own."""
CAPABILITY_VERSION = 0x20080522


def give_up_powers() -> None:
    """Drop root's capabilities, but for those that a program run by root expects for files."""
    for number in range(64):
        if not KEPT_CAPABILITIES >> number & 1:
            _libc.prctl(DROP_FROM_BOUNDING, number, 0, 0, 0)  # fails where there is no such number
    header = struct.pack("Ii", CAPABILITY_VERSION, 0)
    sets = struct.pack("6I", KEPT_CAPABILITIES, KEPT_CAPABILITIES, 0, 0, 0, 0)
    _checked("capset", _libc.capset(header, sets))


def become(user: int) -> None:
    """Become a user who owns nothing else."""
    parent, with_parent = os.getppid(), ctypes.c_int()
    _checked("prctl", _libc.prctl(GET_DEATH_SIGNAL, ctypes.byref(with_parent)))
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    # The kernel forgets with the old user that this process is to die with its parent.
    if with_parent.value:
        _checked("prctl", _libc.prctl(SET_DEATH_SIGNAL, with_parent, 0, 0, 0))
        if os.getppid() != parent:
            os._exit(1)


def confine_myself(order: Order) -> None:
    """Give up what the order says. Raises OSError where the kernel does not let us."""
    _checked("no_new_privs", _libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    if "read" in order:  # as the old user, who can open all that the order names
        restrict_files(order, landlock_abi())
    if (user := order.get("user")) is not None:
        become(user)
    elif order.get("powerless"):
        give_up_powers()
    if order.get("no_network") or order.get("keep_apart"):
        refuse_calls(order)


def _checked(what: str, answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise ConfinementError(number, f"{what}: {os.strerror(number)}")
    return answer


def main() -> None:
    """Give up what the first argument says, then run the second in a module of its own."""
    order, code = json.loads(sys.argv[1]), sys.argv[2]
    confine_myself(order)
    sys.argv[:] = ["-c"]
    exec(compile(code, "<training>", "exec"), {"__name__": "__main__"})  # noqa: S102 - its purpose


if __name__ == "__main__":
    main()
