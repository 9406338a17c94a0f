"""Waiting for what comes by itself: never for ever, and with a reason when it doesn't come."""

import time

from resp import TIMEOUT_S

# For whatever comes by itself: some of it the server tries every few seconds only.
WAIT_S = 6 * TIMEOUT_S


def until(condition, what=None, seconds=WAIT_S, pause_s=.002):
    """
    Waits until it is true, and returns what it is then. `what`: a text that says what is wrong when it isn't, or a
    function that makes one.
    """
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            reason = what() if callable(what) else what
            raise AssertionError("still not so after %g s: %s" % (seconds, reason or condition.__qualname__))
        time.sleep(pause_s)
