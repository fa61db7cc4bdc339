"""Waiting for what other processes bring about."""

import time

LONGEST_LOOK_S = 0.5


def wait_for(what, condition, seconds, show=lambda: ""):
    """The first true value of condition(). Pauses of the machine, which pause what is waited for
    too, do not count; show() tells what there was instead."""
    waited = 0.0
    last = time.monotonic()
    while not (value := condition()):
        now = time.monotonic()
        waited += min(now - last, LONGEST_LOOK_S)
        last = now
        if waited > seconds:
            raise AssertionError(f"expected {what} within {seconds} s; got:\n{show()}")
        time.sleep(0.005)
    return value
