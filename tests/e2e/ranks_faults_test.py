#!/usr/bin/env python3
"""A rank of `fathom serve` that dies or stops is named, nothing hangs or is left behind, and clients
hear of it; ranks that differ, or are not as many as the layout needs, are refused before loading.

FATHOM_FAULTS says how often each kind of loss is tried.
"""

import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

import server as fathom
from mpi_job import MpiJob
from waiting import wait_for

TINY = os.path.join(fathom.REPOSITORY, "models", "tiny")
LAYOUT = "pp=2,dp=2"
RANKS = 4
FLAGS = ("--weights", "bf16", "--kernels", "reference", "--parallel", LAYOUT)
TIMES = int(os.environ.get("FATHOM_FAULTS", "3"))
LOST = "a rank of it is lost, so it starts again; try again soon"  # what clients hear
NAMED_WITHIN_S = 10
RANK_LOST = 75  # kExitRankLost
KILLED = 128 + signal.SIGKILL  # mpirun's code if it saw the signal before a rank's 75


class Client(threading.Thread):
    """One streamed request: what it got, and how it ended."""

    def __init__(self, server, prompt):
        super().__init__(daemon=True)
        self.server, self.prompt = server, prompt
        self.model = fathom.served_model(server)
        self.begun = threading.Event()
        self.error = None  # the service's own words
        self.cut = None  # or how the connection ended
        self.start()

    def run(self):
        body = {"model": self.model, "prompt": self.prompt, "max_tokens": 1500, "stream": True,
                "ignore_eos": True, "temperature": 0}  # fmt: skip
        try:
            for event in self.server.stream("/v1/completions", body):
                self.begun.set()
                if event != "[DONE]" and "error" in event:
                    self.error = event["error"]["message"]
        except (RuntimeError, OSError) as problem:
            self.cut = str(problem)


class Losses(unittest.TestCase):
    def lose(self, number, kind, moment):
        chance = random.Random(f"{kind} {moment} {number}")
        victim = chance.randrange(RANKS)
        with fathom.Server(TINY, *FLAGS, ranks=RANKS) as server:
            prompt = "one two three " * (2 if moment == "decode" else 200)
            clients = [Client(server, prompt) for _ in range(2)]
            if moment == "decode":
                for client in clients:
                    self.assertTrue(client.begun.wait(60), server.stderr())
            time.sleep(chance.uniform(0, 0.3))
            pid = server.job.processes()[victim]
            os.kill(pid, kind)
            named = (rf"lost rank {victim} \(host {re.escape(socket.gethostname())}, pid {pid}\): "
                     r".*; its last known operation: ")  # fmt: skip
            wait_for(named, lambda: re.search(named, server.stderr()), NAMED_WITHIN_S, server.stderr)
            wait_for("mpirun to end", lambda: server.process.poll() is not None, NAMED_WITHIN_S,
                     server.stderr)  # fmt: skip
            wait_for("no rank left", lambda: not server.job.processes(), 2, server.stderr)
            expected = {RANK_LOST} if kind == signal.SIGSTOP else {RANK_LOST, KILLED}
            self.assertIn(server.process.returncode, expected, server.stderr())
            for client in clients:
                client.join(NAMED_WITHIN_S)
                self.assertFalse(client.is_alive(), "a client that waits for ever")
                if victim != 0:  # which talks to clients
                    self.assertIn(LOST, f"{client.error} {client.cut}")

    def repeat(self, kind, moment):
        for number in range(TIMES):
            with self.subTest(number):
                self.lose(number, kind, moment)

    def test_killed_in_prefill(self):
        self.repeat(signal.SIGKILL, "prefill")

    def test_killed_in_decode(self):
        self.repeat(signal.SIGKILL, "decode")

    def test_stopped_in_prefill(self):
        self.repeat(signal.SIGSTOP, "prefill")

    def test_stopped_in_decode(self):
        self.repeat(signal.SIGSTOP, "decode")


class Refusals(unittest.TestCase):
    def refused(self, ranks, *flags, of_rank_1=()):
        """The stderr of a job that must end with 1 before it serves."""
        job = MpiJob(fathom.fathom_binary(), ranks)
        serve = [fathom.fathom_binary(), "serve", "--model", TINY, "--port", "0", *flags]
        command = [*job.command(), *serve]
        if of_rank_1:
            command = [*MpiJob(fathom.fathom_binary(), 1).command(), *serve, ":"]
            command += ["-n", str(ranks - 1), *serve, *of_rank_1]
        done = subprocess.run(command, env=job.environment(), capture_output=True, text=True,
                              timeout=60, check=False)  # fmt: skip
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertNotIn("listening", done.stdout)
        self.assertEqual(job.processes(), {})
        return done.stderr

    def test_other_than_the_layouts_ranks(self):
        self.assertIn("dp=3 makes it 3", self.refused(3, "--parallel", "dp=2"))

    def test_ranks_without_a_layout(self):
        self.assertIn("--parallel: expected how 2 ranks divide the model", self.refused(2))

    def test_a_layout_that_does_not_divide(self):
        err = self.refused(4, "--parallel", "tp=4", "--weights", "bf16")
        self.assertIn("tp=4: expected a divisor of the model's 6 attention heads", err)

    def test_fp8_is_not_cut_within_a_block(self):
        self.assertIn("or another format by --weights", self.refused(2, "--parallel", "tp=2"))

    def test_a_rank_with_other_settings_is_named(self):
        err = self.refused(2, "--parallel", "dp=2", of_rank_1=("--max-running", "3"))
        self.assertRegex(err, r"expected config .* as on other ranks, got .*running=3.* on rank 1")
        self.assertNotIn("lost rank", err)

    def test_what_goes_wrong_on_one_rank_is_said_by_all(self):
        err = self.refused(2, "--parallel", "dp=2", of_rank_1=("--weight-report", "/nowhere/report"))
        self.assertRegex(err, r"rank 1: .*/nowhere/report")
        self.assertNotIn("lost rank", err)


if __name__ == "__main__":
    unittest.main()
