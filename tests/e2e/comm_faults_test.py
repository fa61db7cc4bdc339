#!/usr/bin/env python3
"""Ranks under mpirun that die, stop, stick or differ are named, and nothing hangs or is left behind.

Each job is comm_mpi_test (src/comm) with three ranks. A random rank is killed or stopped, as soon as
it exists, while the ranks meet, and while they take steps, 20 times each, at points of its own work.
"""

import concurrent.futures
import os
import random
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from mpi_job import RANK_LOST, MpiJob, check_code, names_killed_at_start
from waiting import kill_all, wait_for, wait_for_work

BINARY = os.environ["COMM_MPI_TEST"]
RANKS = 3
TIMES = int(os.environ.get("COMM_FAULTS_TIMES", "20"))
JOBS_AT_ONCE = 3
LOST_AFTER_MS = 2000  # shorter than the product's 5 s, to test more often
NAMED_WITHIN_S = 10
# A rank's processor time from its begin until it has greeted mpirun, and until all have met.
GREETING_S = 0.02
MEETING_S = 0.045


class Job:
    """comm_mpi_test under mpirun: `with Job("run") as job: ...`."""

    def __init__(self, mode, *options, mpi=()):
        job = MpiJob(BINARY, RANKS)
        self.processes = job.processes
        self._output = tempfile.TemporaryFile(prefix="comm-faults-")
        command = [*job.command(*mpi), BINARY, mode, "--lost-after", str(LOST_AFTER_MS), *options]
        self.mpirun = subprocess.Popen(
            command, stdout=self._output, stderr=subprocess.STDOUT, env=job.environment()
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.mpirun.terminate()  # SIGKILL would leave its files in /dev/shm
        try:
            self.mpirun.wait(NAMED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.mpirun.kill()
            self.mpirun.wait()
        kill_all(self.processes().values())
        self._output.close()

    def output(self):
        return os.pread(self._output.fileno(), 1 << 22, 0).decode(errors="replace")

    def wait_until(self, what, condition, seconds):
        return wait_for(what, condition, seconds, self.output)

    def wait_for_rank(self, rank):
        return self.wait_until(f"rank {rank}", lambda: self.processes().get(rank), 30)

    def wait_for_step(self, step):
        self.wait_until(f"step {step}", lambda: f"step {step}\n" in self.output(), 60)

    def wait_for_text(self, pattern, seconds=NAMED_WITHIN_S):
        self.wait_until(pattern, lambda: re.search(pattern, self.output()), seconds)

    def end(self, seconds=NAMED_WITHIN_S):
        """The exit code, when mpirun and every rank have ended by themselves."""
        self.wait_until("mpirun to end", lambda: self.mpirun.poll() is not None, seconds)
        self.wait_until("no rank left", lambda: not self.processes(), 2)
        return self.mpirun.returncode


def take_down(number, kind, moment):
    """One job of which one rank gets the signal; raises AssertionError if it is not as it should be."""
    chance = random.Random(f"{kind} {moment} {number}")
    victim = chance.randrange(RANKS)
    with Job("run") as job:
        pid = job.wait_for_rank(victim)
        if moment == "start":
            # While it greets mpirun, too.
            wait_for_work(pid, chance.choice([0, chance.uniform(0, GREETING_S)]), job.output)
        elif moment == "meeting":
            for rank in range(RANKS):
                job.wait_for_rank(rank)
            wait_for_work(pid, chance.uniform(GREETING_S, MEETING_S), job.output)
        elif moment == "step":
            job.wait_for_step(10 * chance.randrange(8))
        os.kill(pid, kind)
        place = rf"host {re.escape(socket.gethostname())}, pid {pid}|host not known yet"
        named = rf"lost rank {victim} \(({place})\): .*; its last known operation: "
        if moment != "step" and kind == signal.SIGKILL:
            named = f"{named}|{names_killed_at_start(victim, pid)}"
        job.wait_for_text(named)
        code = job.end()
        check_code(kind, moment != "step", code, job.output())


class Faults(unittest.TestCase):
    def repeat(self, kind, moment):
        with concurrent.futures.ThreadPoolExecutor(JOBS_AT_ONCE) as pool:
            list(pool.map(lambda number: take_down(number, kind, moment), range(TIMES)))

    def test_killed_at_start(self):
        self.repeat(signal.SIGKILL, "start")

    def test_stopped_at_start(self):
        self.repeat(signal.SIGSTOP, "start")

    def test_killed_while_ranks_meet(self):
        self.repeat(signal.SIGKILL, "meeting")

    def test_stopped_while_ranks_meet(self):
        self.repeat(signal.SIGSTOP, "meeting")

    def test_killed_in_a_step(self):
        self.repeat(signal.SIGKILL, "step")

    def test_stopped_in_a_step(self):
        self.repeat(signal.SIGSTOP, "step")

    def test_a_rank_that_never_comes_back_from_computing(self):
        with Job("stuck", "--deadline", "1500") as job:
            job.wait_for_text(
                rf"lost rank {RANKS - 1} \(host .*not in all_reduce experts_out of step 20 within 1.5 s"
            )
            self.assertEqual(job.end(), RANK_LOST)

    def test_without_mpirun_ranks_end(self):
        with Job("run") as job:
            job.wait_for_step(10)
            job.mpirun.kill()
            job.wait_until("no rank left", lambda: not job.processes(), NAMED_WITHIN_S)

    def test_a_pause_of_all_ranks_is_no_loss(self):
        with Job("run") as job:
            job.wait_for_step(10)
            for kind in (signal.SIGSTOP, signal.SIGCONT):
                for pid in job.processes().values():
                    os.kill(pid, kind)
                if kind == signal.SIGSTOP:
                    time.sleep(2 * LOST_AFTER_MS / 1000)
            before = job.output().count("step ")
            job.wait_until("steps to go on", lambda: job.output().count("step ") > before + 20, 30)
            self.assertNotIn("lost", job.output())

    def test_sigterm_ends_the_job(self):
        with Job("run") as job:
            job.wait_for_step(10)
            job.mpirun.terminate()
            job.end()
            self.assertNotIn("lost rank", job.output())


class Differences(unittest.TestCase):
    def test_another_operation(self):
        with Job("mismatch") as job:
            job.wait_for_text(
                rf"lost rank {RANKS - 1} \(host .*: expected all_reduce experts_out of step 5 as on "
                r"rank 0, got broadcast plan of step 6;"
            )
            self.assertEqual(job.end(), RANK_LOST)

    def test_another_model(self):
        with Job("roster") as job:
            self.assertEqual(job.end(60), 1)
            expected = f"expected model abc as on other ranks, got other on rank {RANKS - 1} (host "
            self.assertIn(expected, job.output())
            self.assertNotIn("lost rank", job.output())


class Sums(unittest.TestCase):
    def hashes(self, *mpi):
        with Job("sums", mpi=mpi) as job:
            self.assertEqual(job.end(60), 0, job.output())
            return re.findall(r"hash ([0-9a-f]{16})", job.output())

    def test_bits_are_the_same_on_every_rank_and_in_every_run(self):
        runs = [self.hashes(), self.hashes(), self.hashes("--mca", "btl", "self,tcp")]
        self.assertEqual([len(run) for run in runs], [RANKS] * 3)
        self.assertEqual(len(set(sum(runs, []))), 1, runs)


if __name__ == "__main__":
    unittest.main()
