"""What a stage's process asks of the system."""

import signal
import subprocess
import sys

import pytest

FAULTS = """
import gc, resource
import numpy as np
from pipeline.processes import set_up
{setting}
for _ in range(20):
    np.ones(100_000_000, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt, gc.get_threshold()[0])
"""


def faults(setting):
    """Pages that the system gave to a process which asks for the same memory 20 times, and when it looks for cycles."""
    code = FAULTS.format(setting=setting)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [int(number) for number in run.stdout.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="asks glibc")
def test_freed_memory_is_kept_and_cycles_are_seldom_looked_for():
    (usual, often), (kept, seldom) = faults(""), faults("set_up()")
    assert kept < usual / 2
    assert seldom > 100 * often


STUCK = """
import ctypes, os
from pipeline.processes import when_terminated
when_terminated(lambda: (print("asked to end", flush=True), os._exit(143)))
print("here", flush=True)
library, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
library.pthread_mutex_lock(mutex)
library.pthread_mutex_lock(mutex)  # never comes back, whatever the signal: as torch, waiting for a device
"""


def test_a_process_that_waits_in_another_language_says_that_it_was_asked_to_end():
    command = [sys.executable, "-c", STUCK]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGINT)  # meant for Python, which does not come to it
        process.terminate()
        try:
            assert process.communicate(timeout=30)[0] == "asked to end\n"
        finally:
            process.kill()
    assert process.returncode == 143
