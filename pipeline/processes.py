"""What every process of a stage asks of Python and of the system; nothing of it changes a result."""

import ctypes
import gc
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

# Tables of 50,000 pictures are millions of objects that stay: looking through them for cycles as often as Python does
# of itself takes a quarter of a stage's time.
_NEW_OBJECTS = 200_000

# Of mallopt(3), glibc.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def set_up() -> None:
    """Look for cycles seldom, and keep memory that was freed.

    Networks ask for the same large tensors again and again; pages that come fresh from the system are cleared first.
    """
    gc.set_threshold(_NEW_OBJECTS)
    with suppress(OSError, AttributeError):  # another C library than glibc
        library = ctypes.CDLL(None)
        if library.mallopt(_MMAP_THRESHOLD, 1 << 30):  # the second alone would make it much slower
            library.mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)


def die_with_parent(parent: int) -> None:
    """Ask the kernel to end this process with its parent, so that a killed run leaves no child that writes (Linux)."""
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    except (OSError, AttributeError):
        return
    if os.getppid() != parent:
        os._exit(1)


def when_terminated(act: Callable[[], None]) -> None:
    """Call `act` when this process is asked to end (SIGTERM), at once, whatever it is waiting for.

    A handler in Python would wait until torch comes back from another process or from a device.
    """
    receiving, sending = os.pipe()
    os.set_blocking(sending, False)
    signal.set_wakeup_fd(sending, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda *_: None)

    def watch() -> None:
        while os.read(receiving, 1) != bytes([signal.SIGTERM]):
            pass
        act()

    threading.Thread(target=watch, daemon=True).start()
