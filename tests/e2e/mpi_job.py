"""Processes that mpirun starts: how to start them, and how to find them from outside."""

import os
import shutil
import signal
import tempfile
import uuid
import weakref

MPIRUN = os.environ.get("MPIRUN", "mpirun")
JOB_VARIABLE = "FATHOM_TEST_JOB"
RANK_LOST = 75  # kExitRankLost
KILLED = 128 + signal.SIGKILL  # mpirun's code if it saw the signal before a rank's 75

# Where a rank is killed while mpirun greets it, an mpirun with PMIx 4.2 says this and crashes, or
# hangs until the launcher guard kills it (src/comm/launcher_guard.h).
MPIRUN_FAILS = "PMIX ERROR: UNREACHABLE"
MPIRUN_TELLS = "noticed that process rank"


def names_killed_at_start(rank, pid):
    """A pattern: the others may not have begun to look, then mpirun's word is all there is."""
    return (
        rf"not seen: rank (\d, )?{rank}|process rank {rank} with PID"
        rf"|rank {rank} \(pid {pid}\) is stopped or has ended|{MPIRUN_FAILS}"
    )


def check_code(kind, at_start, code, output):
    """Raises AssertionError if a job that lost a rank to a signal ended with another code."""
    expected = {RANK_LOST} if kind == signal.SIGSTOP else {RANK_LOST, KILLED}
    if at_start and kind == signal.SIGKILL:
        if MPIRUN_FAILS in output and code != 0:
            return
        expected.add(-signal.SIGKILL)  # mpirun hung, and was killed before it said why
        # An mpirun that told of the rank may yet crash as it ends.
        if code == -signal.SIGSEGV and MPIRUN_TELLS in output:
            return
    if code not in expected:
        raise AssertionError(f"expected exit code {expected}, got {code}:\n{output}")


class MpiJob:
    """The ranks of one program under one mpirun."""

    def __init__(self, binary, ranks):
        self.id = uuid.uuid4().hex
        self.binary = os.path.realpath(binary)
        self.ranks = ranks
        # mpirun removes the directory of its host where that is empty: another may begin in it.
        self._directory = tempfile.mkdtemp(prefix="mpi-")
        weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)

    def command(self, *mpi):
        """What stands before the program and its arguments."""
        return [MPIRUN, "--oversubscribe", *mpi, "-n", str(self.ranks)]

    def environment(self):
        return dict(
            os.environ,
            OMPI_ALLOW_RUN_AS_ROOT="1",
            OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
            OMPI_MCA_orte_tmpdir_base=self._directory,
            **{JOB_VARIABLE: self.id},
        )

    def runs_here(self, pid):
        try:
            return os.readlink(f"/proc/{pid}/exe") == self.binary
        except OSError:
            return False

    def processes(self):
        """rank -> pid of this job's living ranks."""
        found = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                if not self.runs_here(name):
                    continue
                with open(f"/proc/{name}/stat") as file:
                    parent = file.read().rpartition(")")[2].split()[1]
                if self.runs_here(parent):
                    continue  # what a rank starts looks like itself for a moment
                with open(f"/proc/{name}/environ", "rb") as file:
                    text = file.read().decode(errors="replace")
            except OSError:
                continue
            variables = dict(v.split("=", 1) for v in text.split("\0") if "=" in v)
            if variables.get(JOB_VARIABLE) == self.id:
                found[int(variables["OMPI_COMM_WORLD_RANK"])] = int(name)
        return found
