"""What a stage's process asks of the system."""

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
