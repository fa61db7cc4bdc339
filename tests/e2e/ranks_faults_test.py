#!/usr/bin/env python3
"""A rank of `fathom serve` that dies or stops is named, nothing hangs or is left behind, and clients
hear of it; ranks that differ, or are not as many as the layout needs, are refused before loading.

FATHOM_FAULTS says how often each kind of loss is tried.
"""

import concurrent.futures
import http.client
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import server as fathom
from mpi_job import RANK_LOST, MpiJob, check_code, names_killed_at_start
from waiting import processor_s, wait_for, wait_for_work

TINY = os.path.join(fathom.REPOSITORY, "models", "tiny")
LAYOUT = "pp=2,dp=2"
RANKS = 4
# Prompts of many short steps: rank 0 hears of a loss between two of them, and tells its clients.
FLAGS = ("--weights", "bf16", "--kernels", "reference", "--parallel", LAYOUT, "--prefill-chunk", "4")
TIMES = int(os.environ.get("FATHOM_FAULTS", "5"))
JOBS_AT_ONCE = 6
START_S = 0.12  # of a rank's processor time: what starting takes, and a little more
PREFILL_S = 0.2  # the same, of what two long prompts take: some 10 s
DECODE_EVENTS = 100  # of an answer, which has more than 1,000
LOST = "a rank of it is lost, so it starts again; try again soon"  # what clients hear
NAMED_WITHIN_S = 10


class Client(threading.Thread):
    """One streamed request: what it got, and how it ended."""

    def __init__(self, server, prompt):
        super().__init__(daemon=True)
        self.server, self.prompt = server, prompt
        self.model = fathom.served_model(server)
        self.events = 0
        self.error = None  # the service's own words
        self.cut = None  # or how the connection ended
        self.start()

    def run(self):
        body = {"model": self.model, "prompt": self.prompt, "max_tokens": 1500, "stream": True,
                "ignore_eos": True, "temperature": 0}  # fmt: skip
        try:
            for event in self.server.stream("/v1/completions", body):
                self.events += 1
                if event != "[DONE]" and "error" in event:
                    self.error = event["error"]["message"]
        except (RuntimeError, OSError, http.client.HTTPException) as problem:
            self.cut = repr(problem)


def wait_for_prefill(server, clients, pid, seconds):
    """Until the engine has begun every prompt, and the rank has worked so long since then."""
    def begun():
        _, text = server.get("/metrics")
        return f'fathom_num_requests_running{{model_name="{clients[0].model}"}} {len(clients)}\n' in text

    wait_for("the prompts to begin", begun, 60, server.stderr)
    wait_for_work(pid, processor_s(pid) + seconds, server.stderr)


def take_down(number, kind, moment, *flags):
    """One job of which one rank gets the signal at a random point of its work; returns how long it
    took until it was named, in seconds, and raises AssertionError where something is not as it
    should be."""
    chance = random.Random(f"{kind} {moment} {number}")
    victim = chance.randrange(RANKS)
    with fathom.Server(TINY, *FLAGS, *flags, ranks=RANKS, ready=moment != "start") as server:
        clients = []
        if moment == "start":
            pid = wait_for("the rank", lambda: server.job.processes().get(victim), 30, server.stderr)
            wait_for_work(pid, chance.uniform(0, START_S), server.stderr)
        else:
            pid = server.job.processes()[victim]
            prompt = "one two three " * (2 if moment == "decode" else 200)
            clients = [Client(server, prompt) for _ in range(2)]
            if moment == "prefill":
                wait_for_prefill(server, clients, pid, chance.uniform(0, PREFILL_S))
            else:
                events = chance.randint(1, DECODE_EVENTS)
                for client in clients:
                    wait_for("an answer", lambda c=client: c.events >= events, 60, server.stderr)
        os.kill(pid, kind)
        killed_at = time.monotonic()
        place = rf"host {re.escape(socket.gethostname())}, pid {pid}"
        named = rf"lost rank {victim} \({place}\): .*; its last known operation: "
        if moment == "start":
            named = named.replace(place, f"({place}|host not known yet)")
            if kind == signal.SIGKILL:
                named = f"{named}|{names_killed_at_start(victim, pid)}"
        wait_for(named, lambda: re.search(named, server.stderr()), NAMED_WITHIN_S, server.stderr)
        took = time.monotonic() - killed_at
        wait_for("mpirun to end", lambda: server.process.poll() is not None, NAMED_WITHIN_S,
                 server.stderr)  # fmt: skip
        wait_for("no rank left", lambda: not server.job.processes(), 2, server.stderr)
        check_code(kind, moment == "start", server.process.returncode, server.stderr())
        for client in clients:
            client.join(NAMED_WITHIN_S)
            if client.is_alive():
                raise AssertionError("a client that waits for ever")
            if moment == "prefill" and client.events > 1:  # one is the error
                raise AssertionError("the kill came after the prompt")
            if victim != 0 and LOST not in f"{client.error} {client.cut}":  # 0 talks to clients
                raise AssertionError(f"expected {LOST!r}, got {client.error} {client.cut}")
        return took


class Losses(unittest.TestCase):
    """Jobs of all kinds run at the same time, for most of them wait."""

    @classmethod
    def setUpClass(cls):
        cls.pool = concurrent.futures.ThreadPoolExecutor(JOBS_AT_ONCE)
        cls.missing = cls.pool.submit(refused_with, RANK_LOST, 2, "--parallel", "dp=2",
                                      rank_1=("sleep", "infinity"))  # fmt: skip
        cls.taken_down = {
            (kind, moment): [cls.pool.submit(take_down, n, kind, moment) for n in range(TIMES)]
            for kind in (signal.SIGSTOP, signal.SIGKILL)
            for moment in ("start", "prefill", "decode")
        }
        # Whose streams wait for each other, and their hosts for them.
        cls.on_the_stream = {
            kind: cls.pool.submit(take_down, 0, kind, "decode", "--chip", "cpu-discrete")
            for kind in (signal.SIGSTOP, signal.SIGKILL)
        }

    @classmethod
    def tearDownClass(cls):
        cls.pool.shutdown(cancel_futures=True)

    def check(self, kind, moment):
        times = []
        for number, job in enumerate(self.taken_down[kind, moment]):
            with self.subTest(number):
                times.append(job.result())
        print(f"{kind.name} at {moment}: {len(times)} of {TIMES} as it should be, named within "
              f"{max(times, default=0):.1f} s", flush=True)  # fmt: skip

    def test_killed_at_start(self):
        self.check(signal.SIGKILL, "start")

    def test_killed_in_prefill(self):
        self.check(signal.SIGKILL, "prefill")

    def test_killed_in_decode(self):
        self.check(signal.SIGKILL, "decode")

    def test_stopped_at_start(self):
        self.check(signal.SIGSTOP, "start")

    def test_stopped_in_prefill(self):
        self.check(signal.SIGSTOP, "prefill")

    def test_stopped_in_decode(self):
        self.check(signal.SIGSTOP, "decode")

    def test_lost_with_collectives_on_the_stream(self):
        for kind, job in self.on_the_stream.items():
            print(f"{kind.name} with collectives: named within {job.result():.1f} s", flush=True)

    def test_a_rank_that_does_not_come_is_named(self):
        err = self.missing.result()
        self.assertRegex(err, r"start: expected 2 ranks within 30 s; .*; not seen: rank 1")


def refused_with(code, ranks, *flags, of_rank_1=(), rank_1=None, model_of_rank_1=TINY):
    """The stderr of a job that must end with `code` before it serves."""
    job = MpiJob(fathom.fathom_binary(), ranks)
    serve = [fathom.fathom_binary(), "serve", "--port", "0", *flags, "--model"]
    command = [*MpiJob(fathom.fathom_binary(), 1).command(), *serve, TINY, ":"]
    command += ["-n", str(ranks - 1)]
    command += rank_1 or [*serve, model_of_rank_1, *of_rank_1]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, env=job.environment(), stdout=out, stderr=err)
        try:
            wait_for("the job to end", lambda: process.poll() is not None, 60)
        finally:
            process.terminate()
            process.wait()
        out.seek(0)
        err.seek(0)
        out, err = out.read(), err.read()
    if process.returncode != code:
        raise AssertionError(f"expected exit code {code}, got {process.returncode}:\n{err}")
    if "listening" in out or job.processes():
        raise AssertionError(f"expected no server and no rank left, got {job.processes()}:\n{err}")
    return err


class Refusals(unittest.TestCase):
    def refused(self, ranks, *flags, **of_rank_1):
        return refused_with(1, ranks, *flags, **of_rank_1)

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

    def test_a_rank_with_another_model_is_named(self):
        with tempfile.TemporaryDirectory() as other:
            shutil.copytree(TINY, other, dirs_exist_ok=True)
            weights = os.path.join(other, "model-00001-of-000002.safetensors")
            with open(weights, "r+b") as file:
                file.seek(os.path.getsize(weights) // 2)
                file.write(bytes(64))
            err = self.refused(2, "--parallel", "dp=2", model_of_rank_1=other)
        self.assertRegex(err, r"expected model [0-9a-f]+ as on other ranks, got [0-9a-f]+ on rank 1")
        self.assertNotIn("lost rank", err)

    def test_what_goes_wrong_on_one_rank_is_said_by_all(self):
        err = self.refused(2, "--parallel", "dp=2", of_rank_1=("--weight-report", "/nowhere/report"))
        self.assertRegex(err, r"rank 1: .*/nowhere/report")
        self.assertNotIn("lost rank", err)


if __name__ == "__main__":
    unittest.main()
