"""Waiting for what other processes bring about, and for how far they have come; and ending them."""

import os
import signal
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


def processor_s(pid):
    """The processor time of a process's living threads, in seconds."""
    total_ns = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                total_ns += int(file.read().split()[0])
        except FileNotFoundError:
            continue  # it has ended meanwhile
    return total_ns / 1e9


def wait_for_work(pid, seconds, show=lambda: ""):
    """Until a process has worked this long, in processor time: a moment of its own work, however
    fast or busy the machine is."""
    wait_for(f"{seconds:.3f} s of work of process {pid}", lambda: processor_s(pid) >= seconds, 60, show)


def kill_all(pids):
    """Kills those of the processes that have not ended since they were looked up."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
