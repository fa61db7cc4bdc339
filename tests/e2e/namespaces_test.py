#!/usr/bin/env python3
"""Ranks on several hosts: network namespaces with an address each, joined by veth, under mpirun.

The ranks are comm_mpi_test (src/comm), and those of `fathom serve`. Where the privilege to make namespaces is missing this fails,
unless FATHOM_SKIP=namespaces.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest

import hosts
import server as fathom
from hosts import Hosts, wait_for
from mpi_job import KILLED, MPIRUN, RANK_LOST
from waiting import kill_all

BINARY = os.environ["COMM_MPI_TEST"]
HOSTS = 2
SLOTS = 2  # ranks on each host
NAMED_WITHIN_S = 10
END_WITHIN_S = 60
# comm_mpi_test's "sums" adds vectors of so many float32 over all ranks.
SUMMED_BYTES = 4 * (5 + 3000 + 100000)
FOR_EVER = "--for-ever"  # what test_a_killed_test_leaves_nothing kills


def setUpModule():
    hosts.skip_module(hosts.NAME)


class Job:
    """comm_mpi_test on all hosts: `with Job(cluster, "run") as job`; or another program."""

    def __init__(self, cluster, *arguments, slots=SLOTS, binary=BINARY):
        self._cluster = cluster
        self._output = tempfile.TemporaryFile(prefix="namespaces-")
        self.mpirun = cluster.mpirun(
            slots, binary, *arguments, mpirun=MPIRUN,
            stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for host in self._cluster:
            kill_all(host.processes())
        self.mpirun.wait(hosts.DEADLINE_S)
        self._output.close()

    def output(self):
        return os.pread(self._output.fileno(), 1 << 22, 0).decode(errors="replace")

    def wait_for(self, what, condition, seconds):
        return wait_for(what, condition, seconds, self.output)

    def wait_for_text(self, pattern, seconds=NAMED_WITHIN_S):
        return self.wait_for(pattern, lambda: re.search(pattern, self.output()), seconds)

    def ranks(self, host):
        return [pid for pid, line in host.processes().items() if line.startswith(BINARY)]

    def end(self):
        """The exit code, when mpirun and every process on every host have ended by themselves."""
        self.wait_for("mpirun to end", lambda: self.mpirun.poll() is not None, END_WITHIN_S)
        for host in self._cluster:
            self.wait_for(f"nothing left on {host.name}", lambda h=host: not h.processes(), 10)
        return self.mpirun.returncode


class AcrossHosts(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Hosts(HOSTS))

    def enterContext(self, manager):  # unittest has it from Python 3.11
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def start(self, *arguments):
        return self.enterContext(Job(self.cluster, *arguments))

    def received(self):
        return [host.received_bytes() for host in self.cluster]

    def test_every_operation(self):
        job = self.start("operations")
        self.assertEqual(job.end(), 0, job.output())
        self.assertIn("all right", job.output())

    def test_the_bytes_go_over_the_wire_and_sums_are_as_on_one_host(self):
        ranks = HOSTS * SLOTS
        before = self.received()
        job = self.start("sums")
        self.assertEqual(job.end(), 0, job.output())
        across = [after - early for after, early in zip(self.received(), before)]

        alone = self.enterContext(Hosts(1))
        early = alone[0].received_bytes()
        local = self.enterContext(Job(alone, "sums", slots=ranks))
        self.assertEqual(local.end(), 0, local.output())
        within = alone[0].received_bytes() - early

        hashes = [re.findall(r"hash ([0-9a-f]{16})", each.output()) for each in (job, local)]
        self.assertEqual([len(each) for each in hashes], [ranks, ranks])
        self.assertEqual(len(set(hashes[0] + hashes[1])), 1, hashes)
        # No host can know a sum without a vector's worth of bytes from the other.
        for count in across:
            self.assertGreater(count, SUMMED_BYTES)
        self.assertLess(within, SUMMED_BYTES)

    def test_each_host_runs_its_own_ranks(self):
        job = self.start("run")
        job.wait_for_text("step 10\n", 60)
        for host in self.cluster:
            self.assertEqual(len(job.ranks(host)), SLOTS)

    def test_a_killed_rank_is_named_with_its_host(self):
        for victim in self.cluster:
            with self.subTest(victim.name), Job(self.cluster, "run") as job:
                job.wait_for_text("step 10\n", 60)
                os.kill(job.ranks(victim)[-1], signal.SIGKILL)
                job.wait_for_text(rf"lost rank \d \(host {victim.name}, pid \d+\)")
                self.assertIn(job.end(), {RANK_LOST, KILLED})

    def test_a_stopped_rank_is_named_with_its_host(self):
        job = self.start("run")
        job.wait_for_text("step 10\n", 60)
        os.kill(job.ranks(self.cluster[1])[0], signal.SIGSTOP)
        job.wait_for_text(r"lost rank 2 \(host node1, pid \d+\)")
        self.assertEqual(job.end(), RANK_LOST)

    def test_a_host_without_power_is_named(self):
        job = self.start("run")
        job.wait_for_text("step 10\n", 60)
        self.cluster[1].power_off()
        job.wait_for_text(r"lost rank [23] \(host node1, pid \d+\)")
        self.assertNotEqual(job.end(), 0)

    def test_a_host_whose_processes_all_die_is_named(self):
        job = self.start("run")
        job.wait_for_text("step 10\n", 60)
        self.cluster[1].kill_all()
        # mpirun sees it first and kills the other ranks, so its word may be all there is.
        job.wait_for_text(r"node1|10\.77\.0\.2")
        self.assertNotEqual(job.end(), 0)

    def test_a_cut_cable_is_named(self):
        job = self.start("run")
        job.wait_for_text("step 10\n", 60)
        self.cluster[1].set_link("down")
        job.wait_for_text(r"lost rank [23] \(host node1, pid \d+\)")
        self.assertNotEqual(job.end(), 0)


class Serving(unittest.TestCase):
    """The same greedy tokens from ranks on two hosts as from one rank on this machine."""

    MODEL = os.path.join(fathom.REPOSITORY, "models", "tiny")
    FLAGS = ("--kernels", "reference", "--weights", "bf16")
    PROMPTS = ["What is 12 + 35?", "One, two, three, four, five, six, seven. " * 8]

    def body(self, prompt):
        return {"model": "tiny", "prompt": prompt, "max_tokens": 16, "temperature": 0, "logprobs": 1}

    def test_layouts_across_hosts(self):
        with fathom.Server(self.MODEL, *self.FLAGS) as server:
            expected = [server.post("/v1/completions", self.body(p))[1] for p in self.PROMPTS]
        with Hosts(HOSTS) as cluster:
            for layout in ("pp=2,tp=2", "tp=2,dp=2"):
                with self.subTest(layout):
                    before = [host.received_bytes() for host in cluster]
                    self.compare(cluster, layout, expected)
                    for host, early in zip(cluster, before):  # mpirun's own words are some 30 KB
                        self.assertGreater(host.received_bytes() - early, 100_000)

    def compare(self, cluster, layout, expected):
        serve = ("serve", "--model", self.MODEL, "--port", "0", *self.FLAGS, "--parallel", layout)
        with Job(cluster, *serve, binary=fathom.fathom_binary()) as job:
            url = job.wait_for_text(r"listening on (http://\S+)", hosts.DEADLINE_S).group(1)
            for prompt, right in zip(self.PROMPTS, expected):
                answer = cluster[0].post(f"{url}/v1/completions", self.body(prompt), "none")
                got, right = (each["choices"][0]["logprobs"] for each in (answer, right))
                self.assertEqual(got["tokens"], right["tokens"])
                for a, b in zip(got["token_logprobs"], right["token_logprobs"]):
                    self.assertAlmostEqual(a, b, delta=1e-3)
            job.mpirun.send_signal(signal.SIGUSR1)  # which it passes on
            self.assertEqual(job.end(), 0, job.output())


def run_this_test(*wrapper, test, **environment):
    """This file in a process of its own."""
    return subprocess.Popen(
        [*wrapper, sys.executable, os.path.abspath(__file__), test],
        env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


class Environment(unittest.TestCase):
    def test_without_the_privilege_it_fails_and_says_so(self):
        test = "AcrossHosts.test_every_operation"
        powerless = ("setpriv", "--bounding-set=-sys_admin,-net_admin")
        process = run_this_test(*powerless, test=test)
        output, _ = process.communicate(timeout=hosts.DEADLINE_S)
        self.assertNotEqual(process.returncode, 0)
        self.assertIn("expected the privilege to make network namespaces", output)
        self.assertIn("FATHOM_SKIP=namespaces", output)

        process = run_this_test(*powerless, test=test, FATHOM_SKIP="other,namespaces")
        output, _ = process.communicate(timeout=hosts.DEADLINE_S)
        self.assertEqual(process.returncode, 0, output)
        self.assertIn("left out: FATHOM_SKIP names namespaces", output)

    def test_a_killed_test_leaves_nothing(self):
        process = run_this_test(test=FOR_EVER)
        prefix = process.stdout.readline().strip()
        self.assertTrue(prefix.startswith("fathom-"), prefix)
        process.kill()
        process.communicate()
        wait_for("no namespace left", lambda: prefix not in hosts.run("ip", "netns", "list"))
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    line = file.read().decode(errors="replace")
            except OSError:
                continue
            # The guard itself may be about to end.
            if prefix in line and os.path.basename(hosts.__file__) not in line:
                self.fail(f"left: {line}")


def run_for_ever():
    with Hosts(HOSTS) as cluster, Job(cluster, "run") as job:
        job.wait_for_text("step 10\n", 60)
        print(cluster.prefix, flush=True)
        job.mpirun.wait()


if __name__ == "__main__":
    if sys.argv[1:] == [FOR_EVER]:
        run_for_ever()
    else:
        unittest.main()
