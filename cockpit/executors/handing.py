"""Files as they are handed to a training: to be read, and nothing else.

A descriptor that is open for reading leads back to its file: /proc/self/fd opens it again for
writing, fchmod and fsetxattr work on it as it is. The corpus of all later runs could be changed,
or a note left there. So the file is opened in a mount of its own that is read-only, and belongs
to no directory tree. That takes the right to mount, which everybody has in a new user namespace.
Where there is none (some containers) the file is handed over as it is: a sandbox with a user of
its own, or Landlock, then stands before most of this.

Sources: open_tree(2), mount_setattr(2), user_namespaces(7).
"""

import contextlib
import ctypes
import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

OPEN_TREE, MOUNT_SETATTR = 428, 442
"""System calls, the same numbers on every architecture."""
NEW_NAMESPACES = 0x00020000 | 0x10000000
"""CLONE_NEWNS and CLONE_NEWUSER."""
CLONE_TREE = 1 | os.O_CLOEXEC
"""OPEN_TREE_CLONE and OPEN_TREE_CLOEXEC."""
HERE = -100
"""AT_FDCWD."""
EMPTY_PATH = 0x1000
"""AT_EMPTY_PATH."""
READ_ONLY = struct.pack("QQQQ", 1, 0, 0, 0)
"""struct mount_attr: MOUNT_ATTR_RDONLY is set."""


@contextlib.contextmanager
def opened_to_read(*paths: str) -> Iterator[list[int]]:
    """Descriptors of the files, to be handed on; closed at the end. Raises OSError.

    For a process with one thread: it may fork.
    """
    descriptors = _in_mounts_of_their_own(paths)
    try:
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _in_mounts_of_their_own(paths: Sequence[str]) -> list[int]:
    for path in paths:
        os.stat(path)  # its own error, and not one of mounting
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # root may mount right here
            return _open_all(paths)
        if opened := _by_a_child(paths):
            return opened
    descriptors = []
    try:
        for path in paths:
            descriptors.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return descriptors


def _open_all(paths: Sequence[str]) -> list[int]:
    """Raises OSError where mounting is not allowed, or the kernel is older than 5.12."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptors: list[int] = []
    try:
        for path in paths:
            tree = libc.syscall(OPEN_TREE, HERE, os.fsencode(Path(path).absolute()), CLONE_TREE)
            if tree < 0:
                raise OSError(ctypes.get_errno(), "open_tree")
            try:
                size = ctypes.c_size_t(len(READ_ONLY))
                if libc.syscall(MOUNT_SETATTR, tree, b"", EMPTY_PATH, READ_ONLY, size):
                    raise OSError(ctypes.get_errno(), "mount_setattr")
                again = os.open(f"/proc/self/fd/{tree}", os.O_RDONLY | os.O_CLOEXEC)
            finally:
                os.close(tree)
            descriptors.append(again)
    except OSError:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return descriptors


def _by_a_child(paths: Sequence[str]) -> list[int]:
    """The same in a user namespace, which only a process of its own can enter; [] if refused."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = os.fork()
        if child == 0:
            try:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.unshare(NEW_NAMESPACES) == 0:
                    socket.send_fds(theirs, [b"."], _open_all(paths))
            finally:
                os._exit(0)
        theirs.close()
        _, descriptors, _, _ = socket.recv_fds(ours, 1, len(paths))
        os.waitpid(child, 0)
    return descriptors if len(descriptors) == len(paths) else []
