#!/usr/bin/env python3
"""The containers' leader and worker scripts (deploy/container), on hosts named as LeaderWorkerSet
names its pods; the ranks are comm_mpi_test, and where the leader is told to end `fathom serve`.
"""

import os
import re
import signal
import subprocess
import sys
import unittest

import hosts
from hosts import DEADLINE_S, Hosts, wait_for
from mpi_job import RANK_LOST
from server import REPOSITORY, fathom_binary

BINARY = os.environ["COMM_MPI_TEST"]
SCRIPTS = os.path.join(REPOSITORY, "deploy", "container")
PODS = 2
RANKS_PER_POD = 2
TOKENS = 800
# A program: one streamed answer; says when it has begun, and with which words it ended.
STREAM = f"""
import json, urllib.request
body = {{"model": "tiny", "prompt": "x", "max_tokens": {TOKENS}, "ignore_eos": True, "stream": True}}
request = urllib.request.Request("http://127.0.0.1:8000/v1/completions", json.dumps(body).encode(),
                                 {{"Content-Type": "application/json"}})
answer = urllib.request.urlopen(request)
lines = [answer.readline()]
print("begun", flush=True)
lines += answer.readlines()
print("ended with", [line for line in lines if line.strip()][-1].decode())
"""


def setUpModule():
    hosts.skip_module(hosts.NAME)


class Group(unittest.TestCase):
    def setUp(self):
        self.cluster = Hosts(PODS)
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__)
        self.ranks_program = os.path.join(self.cluster.directory, "ranks")
        with open(self.ranks_program, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nexec {BINARY} $FATHOM_MODE\n")
            os.fchmod(file.fileno(), 0o755)
        self.log = os.path.join(self.cluster.directory, "pods.log")

    def start(self, script, pod, mode="run", **variables):
        environment = {
            "LWS_LEADER_ADDRESS": hosts.pod_name(0),
            "LWS_GROUP_SIZE": str(PODS),
            "FATHOM_RANKS_PER_POD": str(RANKS_PER_POD),
            "FATHOM_SSH": os.path.join(self.cluster.directory, f"ssh-{pod}"),
            "FATHOM_SSH_KEY": self.cluster.key,
            "FATHOM": self.ranks_program,
            "FATHOM_MODE": mode,
            **variables,
        }
        with open(self.log, "ab") as log:
            return self.cluster[pod].popen(
                os.path.join(SCRIPTS, script), environment=environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_for_text(self, pattern, seconds=DEADLINE_S):
        wait_for(pattern, lambda: re.search(pattern, self.output()), seconds, self.output)

    def end(self, process):
        wait_for("an end", lambda: process.poll() is not None, show=self.output)
        return process.returncode

    def ranks(self, pod):
        lines = self.cluster[pod].processes().items()
        return [pid for pid, line in lines if line.startswith(BINARY)]

    def test_the_leader_waits_for_its_workers_and_starts_ranks_on_all(self):
        leader = self.start("leader", 0, "operations")
        self.wait_for_text(r"leader: waiting for fathom-0-1\.fathom\.test")
        worker = self.start("worker", 1)
        self.assertEqual(self.end(leader), 0, self.output())
        self.assertIn("all right", self.output())
        worker.terminate()
        self.end(worker)
        for host in self.cluster:
            wait_for(f"nothing left on {host.name}", lambda h=host: not h.processes())

    def test_a_lost_rank_ends_the_leader_with_its_code(self):
        self.start("worker", 1)
        leader = self.start("leader", 0)
        self.wait_for_text(r"step 10\n")
        os.kill(self.ranks(1)[0], signal.SIGSTOP)
        self.wait_for_text(r"lost rank 2 \(host node1, pid \d+\)", 10)
        self.assertEqual(self.end(leader), RANK_LOST, self.output())

    def test_a_leader_that_is_told_to_end_lets_answers_finish(self):
        serve = {"FATHOM": fathom_binary(), "FATHOM_PARALLEL": "pp=2,tp=2", "FATHOM_WEIGHTS": "bf16",
                 "FATHOM_MODEL": os.path.join(REPOSITORY, "models", "tiny"),
                 "FATHOM_KERNELS": "reference", "FATHOM_SPECULATE": "0"}  # fmt: skip
        self.start("worker", 1)
        leader = self.start("leader", 0, **serve)
        self.wait_for_text("listening on http")
        client = self.cluster[0].popen(sys.executable, "-c", STREAM, stdout=subprocess.PIPE, text=True)
        self.assertEqual(client.stdout.readline(), "begun\n")
        leader.terminate()
        output, _ = client.communicate(timeout=DEADLINE_S)
        self.assertIn("ended with data: [DONE]", output)
        self.assertEqual(self.end(leader), 0, self.output())
        self.assertIn("stopping: running answers have", self.output())

    def test_a_leader_that_only_waits_ends_when_told(self):
        leader = self.start("leader", 0)
        self.wait_for_text("leader: waiting for")
        leader.terminate()
        self.assertEqual(self.end(leader), 0, self.output())


if __name__ == "__main__":
    unittest.main()
