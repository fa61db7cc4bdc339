#!/usr/bin/env python3
"""deploy/slurm/fathom.sbatch on a real Slurm: slurmctld, munged, and a slurmd on each of two hosts,
which are network namespaces (hosts.py) with everything of Slurm's in a directory of the test.
"""

import os
import re
import shutil
import signal
import stat
import subprocess
import unittest

import hosts
from hosts import DEADLINE_S, Hosts, wait_for
from server import REPOSITORY, fathom_binary

BINARY = os.environ["COMM_MPI_TEST"]
SCRIPT = os.path.join(REPOSITORY, "deploy", "slurm", "fathom.sbatch")
TINY = os.path.join(REPOSITORY, "models", "tiny")
NAME = "slurm"  # for FATHOM_SKIP
NODES = 2
TASKS = 2  # ranks a node
PORT = 8000
NAMED_WITHIN_S = 10


def setUpModule():
    hosts.skip_module(NAME)
    hosts.skip_module(hosts.NAME)
    for tool in ("munged", "slurmctld", "slurmd", "sbatch"):
        if not shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin"):
            raise RuntimeError(
                f"{tool}: not found; install munge, slurmctld, slurmd and slurm-client, or set "
                f"FATHOM_SKIP={NAME} to go without this test"
            )


class Slurm:
    """A cluster of the given hosts; the first has the controller."""

    def __init__(self, cluster):
        self._cluster = cluster
        self.directory = os.path.join(cluster.directory, "slurm")
        os.mkdir(self.directory, 0o755)
        os.chmod(cluster.directory, stat.S_IRWXU | stat.S_IXGRP | stat.S_IXOTH)  # for munged
        self._environment = {"SLURM_CONF": self._write_config()}
        with open(self._path("munge.key"), "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(os.urandom(1024))
        self._daemons = [
            self._start(
                cluster[0], "/usr/sbin/munged", "--foreground", f"--socket={self._path('munge.socket')}",
                *(f"--{kind}-file={self._path('munge.' + kind)}" for kind in ("key", "pid", "seed")),
                f"--log-file={self._path('munge.log')}",
            )
        ]  # fmt: skip
        wait_for("munged", lambda: os.path.exists(self._path("munge.socket")), show=self.logs)
        self._daemons.append(self._start(cluster[0], "/usr/sbin/slurmctld", "-D"))
        self._daemons += [self._start(host, "/usr/sbin/slurmd", "-D") for host in cluster]
        wait_for("all nodes idle", lambda: self._states() == {"idle"}, show=self.logs)
        self._own = {pid for host in cluster for pid in host.processes()}

    def _path(self, name):
        return os.path.join(self.directory, name)

    def _write_config(self):
        for host in self._cluster:
            os.mkdir(self._path(f"tmp-{host.name}"))
        nodes = "\n".join(
            f"NodeName={host.name} NodeAddr={host.address} CPUs={TASKS} State=UNKNOWN"
            for host in self._cluster
        )
        # Named, for looking at the machine's fails where it has none; nothing here uses cgroups.
        with open(self._path("cgroup.conf"), "w", encoding="utf-8") as file:
            file.write("CgroupPlugin=cgroup/v1\n")
        path = self._path("slurm.conf")
        first = self._cluster[0]
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"""
ClusterName=fathom
SlurmctldHost={first.name}({first.address})
SlurmUser=root
AuthInfo=socket={self._path("munge.socket")}
StateSaveLocation={self._path("state")}
SlurmdSpoolDir={self._path("spool-%n")}
SwitchType=switch/none
SlurmdUser=root
MailProg=/bin/true
SlurmctldPidFile={self._path("slurmctld.pid")}
SlurmdPidFile={self._path("slurmd-%n.pid")}
SlurmdLogFile={self._path("slurmd-%n.log")}
TmpFS={self._path("tmp-%n")}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1
KillWait=20
{nodes}
PartitionName=main Nodes=ALL Default=YES
""")
        return path

    def _start(self, host, *command):
        name = f"{os.path.basename(command[0])}-{host.name}.output.log"
        with open(self._path(name), "wb") as log:
            return host.popen(
                *command, environment=self._environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip

    def logs(self):
        text = ""
        for name in sorted(os.listdir(self.directory)):
            if name.endswith(".log"):
                with open(self._path(name), encoding="utf-8", errors="replace") as file:
                    text += f"== {name}\n{file.read()}"
        return text

    def command(self, *command, environment=None):
        """Output of a command on the first host."""
        process = self._cluster[0].popen(
            *command, environment={**self._environment, **(environment or {})}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.directory,
        )  # fmt: skip
        output, _ = process.communicate(timeout=DEADLINE_S)
        if process.returncode != 0:
            raise RuntimeError(f"{command}: ended with {process.returncode}: {output}{self.logs()}")
        return output

    def _states(self):
        try:
            return set(self.command("sinfo", "--noheader", "--Node", "--format=%T").split())
        except RuntimeError:
            return set()  # the controller is not there yet

    def processes(self):
        """Of all hosts, without the cluster's own daemons."""
        return {
            pid: line
            for host in self._cluster
            for pid, line in host.processes().items()
            if pid not in self._own
        }

    def stop(self):
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in self._daemons:
            daemon.wait(DEADLINE_S)


class Job:
    """A batch job: its log goes to a file of its own."""

    def __init__(self, slurm, options, flags=(), **environment):
        self._slurm = slurm
        output = slurm.command(
            "sbatch", "--parsable", *options, SCRIPT, *flags, environment=environment
        )
        self.id = output.strip()

    def log(self):
        try:
            with open(os.path.join(self._slurm.directory, f"fathom-{self.id}.log"),
                      encoding="utf-8", errors="replace") as file:  # fmt: skip
                return file.read()
        except FileNotFoundError:
            return ""

    def wait_for_text(self, pattern, seconds=DEADLINE_S):
        def show():
            return self.log() + self._slurm.logs()

        return wait_for(pattern, lambda: re.search(pattern, self.log(), re.DOTALL), seconds, show)

    def state(self):
        shown = self._slurm.command("scontrol", "--oneliner", "show", "job", self.id)
        return re.search(r"JobState=(\w+)", shown).group(1)

    def wait_until_gone(self):
        """No job and none of its processes on any host."""
        wait_for("the job to end", lambda: self.state() not in ("RUNNING", "COMPLETING"),
                 show=self.log)  # fmt: skip
        wait_for("no process left", lambda: not self._slurm.processes(), NAMED_WITHIN_S,
                 lambda: f"{self._slurm.processes()}")  # fmt: skip


class BatchScript(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Hosts(NODES)
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        cls.slurm = Slurm(cls.cluster)
        cls.addClassCleanup(cls.slurm.stop)

    def ranks_job(self, mode, **environment):
        """The script with comm_mpi_test in place of `fathom serve`, one rank a task."""
        path = os.path.join(self.slurm.directory, f"ranks-{mode}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nexec {BINARY} {mode}\n")
            os.fchmod(file.fileno(), 0o755)
        options = [f"--nodes={NODES}", f"--ntasks-per-node={TASKS}"]
        return Job(self.slurm, options, FATHOM=path, FATHOM_MODEL=TINY, **environment)

    def ranks(self, host):
        return [pid for pid, line in host.processes().items() if line.startswith(BINARY)]

    def test_ranks_meet_on_all_nodes_and_end_in_order(self):
        before = [host.received_bytes() for host in self.cluster]
        job = self.ranks_job("sums")
        job.wait_for_text(r"the ranks ended with code 0\n")
        job.wait_until_gone()
        self.assertEqual(job.state(), "COMPLETED", job.log())
        hashes = re.findall(r"hash ([0-9a-f]{16})", job.log())
        self.assertEqual((len(hashes), len(set(hashes))), (NODES * TASKS, 1), job.log())
        for host, early in zip(self.cluster, before):
            self.assertGreater(host.received_bytes() - early, 400_000)  # a vector is 412,020 bytes

    def test_a_lost_rank_is_named_and_started_again_and_scancel_ends_all(self):
        job = self.ranks_job("run")
        job.wait_for_text(r"step 10\n")
        os.kill(self.ranks(self.cluster[1])[0], signal.SIGKILL)
        job.wait_for_text(r"lost rank 2 \(host node1, pid \d+\)", NAMED_WITHIN_S)
        job.wait_for_text(r"ended with code (75|137)\n.*starting 4 ranks.*step 10\n")
        self.slurm.command("scancel", job.id)
        job.wait_until_gone()
        self.assertEqual(job.state(), "CANCELLED", job.log())
        self.assertNotIn("starting 4 ranks", job.log().rpartition("step 10\n")[2])

    def test_what_starting_again_does_not_mend_ends_the_job(self):
        job = Job(self.slurm, ["--nodes=1", "--ntasks=1"],
                  FATHOM=fathom_binary(), FATHOM_MODEL="/no/such/model")  # fmt: skip
        job.wait_for_text(r"the ranks ended with code 1\n")
        job.wait_until_gone()
        self.assertEqual(job.state(), "FAILED", job.log())
        self.assertEqual(job.log().count("starting 1 ranks"), 1)
        self.assertIn("/no/such/model", job.log())

    def test_a_rank_has_the_threads_of_its_task(self):
        path = os.path.join(self.slurm.directory, "threads")
        with open(path, "w", encoding="utf-8") as file:
            file.write('#!/bin/sh\necho "threads ${FATHOM_THREADS:-of the node} on $(nproc)"\n')
            os.fchmod(file.fileno(), 0o755)
        for options, threads in (([f"--cpus-per-task={TASKS}"], str(TASKS)), ([], "of the node")):
            job = Job(self.slurm, ["--nodes=1", "--ntasks=1", *options],
                      FATHOM=path, FATHOM_MODEL=TINY)  # fmt: skip
            job.wait_for_text(rf"threads {threads} on .*the ranks ended with code 0\n")
            job.wait_until_gone()

    def test_after_too_many_losses_slurm_is_asked_again(self):
        job = self.ranks_job("mismatch", FATHOM_RESTARTS="1")
        job.wait_for_text(r"asking Slurm for another allocation after 2 starts")
        wait_for("the job to wait", lambda: job.state() == "PENDING", show=job.log)
        self.slurm.command("scancel", job.id)
        job.wait_until_gone()

    def test_serves_answers_until_it_is_cancelled(self):
        key = "sk-0123456789abcdef"
        keys = os.path.join(self.slurm.directory, "keys")
        with open(keys, "w", encoding="utf-8") as file:
            file.write(f"{key} alice\n")
        # FP8 weights of heads this small cannot be cut.
        job = Job(self.slurm, [f"--nodes={NODES}", f"--ntasks-per-node={TASKS}"],
                  ["--threads", "1", "--weights", "bf16"],
                  FATHOM=fathom_binary(), FATHOM_MODEL=TINY, FATHOM_PARALLEL="pp=2,tp=2",
                  FATHOM_API_KEYS=keys, FATHOM_PORT=str(PORT))  # fmt: skip
        job.wait_for_text(r"listening on http://0\.0\.0\.0:8000")
        url = f"http://{self.cluster[0].address}:{PORT}/v1/chat/completions"
        answer = self.cluster[1].post(
            url, {"model": "tiny", "temperature": 0, "thinking": {"type": "enabled"},
                  "messages": [{"role": "user", "content": "What is 123 + 456?"}]},
            key,
        )  # fmt: skip
        self.assertIn("579", answer["choices"][0]["message"]["content"])
        self.slurm.command("scancel", job.id)
        job.wait_until_gone()
        self.assertEqual(job.state(), "CANCELLED", job.log())
        self.assertIn("stopping: running answers", job.log())


if __name__ == "__main__":
    unittest.main()
