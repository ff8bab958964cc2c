import signal

import pytest


@pytest.fixture
def hears_ctrl_c():
    """What the test starts hears SIGINT, also where a shell runs the tests in the background and has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
