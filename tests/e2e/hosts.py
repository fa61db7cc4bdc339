"""Hosts for tests: network namespaces on one machine, each with an address, a name, processes and
shared memory of its own, and an ssh server, as mpirun wants it. They are joined by veth pairs and a
bridge, which is in a namespace too, so that the machine's own network is left alone.

A guard process takes everything down when its pipe from the test closes: at the end of `with`, and
also if the test is killed.
"""

import ctypes
import getpass
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import waiting

NAME = "namespaces"  # for FATHOM_SKIP
NETWORK = "10.77.0"
# So that mpirun and its daemons give up on a host that cannot be reached within 30 s, not 15 minutes
# (docs/deploy.md). Signs of life every 10 s are rare enough to let the ranks' watch speak first.
TCP_RETRIES = 5
KEEP_ALIVE = {
    "OMPI_MCA_oob_tcp_keepalive_time": "10",
    "OMPI_MCA_oob_tcp_keepalive_intvl": "5",
    "OMPI_MCA_oob_tcp_keepalive_probes": "2",
}
SSH_KEEP_ALIVE = "-o ServerAliveInterval=5 -o ServerAliveCountMax=3"
DEADLINE_S = 120
# A program: posts its standard input to the URL that is its argument, prints the answer.
POST = """
import sys, urllib.request
headers = {"Content-Type": "application/json", "Authorization": f"Bearer {sys.argv[2]}"}
request = urllib.request.Request(sys.argv[1], sys.stdin.read().encode(), headers)
print(urllib.request.urlopen(request).read().decode())
"""
SSHD = "/usr/sbin/sshd"


def wait_for(what, condition, seconds=DEADLINE_S, show=lambda: ""):
    """As waiting.wait_for(), for what a host does when it starts or ends."""
    return waiting.wait_for(what, condition, seconds, show)


def skipped_by_name(name):
    """Whether the user chose to go without tests that need a privilege: FATHOM_SKIP=namespaces."""
    return name in os.environ.get("FATHOM_SKIP", "").replace(",", " ").split()


def skip_module(name):
    """For setUpModule(): leaves the file's tests out where the user chose so."""
    if skipped_by_name(name):
        print(f"left out: FATHOM_SKIP names {name}", flush=True)
        raise unittest.SkipTest(name)


def run(*command, **options):
    """Standard output of a command that must succeed."""
    options = {"timeout": DEADLINE_S, "text": True, "capture_output": True, **options}
    done = subprocess.run(command, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: ended with {done.returncode}: {done.stderr}")
    return done.stdout


def require_namespaces():
    """Raises an error that says what is missing."""
    for tool in ("ip", "unshare", SSHD):
        if not shutil.which(tool):
            raise RuntimeError(f"{tool}: not found; install iproute2, util-linux, openssh-server")
    name = f"fathom-probe-{secrets.token_hex(3)}"
    try:
        run("ip", "netns", "add", name)
    except RuntimeError as error:
        raise RuntimeError(
            "expected the privilege to make network namespaces (root, or CAP_SYS_ADMIN with "
            f"CAP_NET_ADMIN), got: {error}To go without the tests that need it, set FATHOM_SKIP={NAME}"
        ) from None
    run("ip", "netns", "del", name)


def host_name(number):
    return f"node{number}"


def pod_name(number):
    """As LeaderWorkerSet names the pods of its group 0."""
    return f"fathom-0{f'-{number}' if number else ''}.fathom.test"


def address(number):
    return f"{NETWORK}.{number + 1}"


class Host:
    """One of `Hosts`. `pid` is its first process, an ssh server; without it the host is down."""

    def __init__(self, hosts, number):
        self.name = host_name(number)
        self.address = address(number)
        self.namespace = f"{hosts.prefix}-{self.name}"
        self._hosts = hosts
        run("ip", "netns", "add", self.namespace)
        switch = ("ip", "-n", hosts.switch)
        run(*switch, "link", "add", self.name, "type", "veth",
            "peer", "name", "eth0", "netns", self.namespace)  # fmt: skip
        run(*switch, "link", "set", self.name, "master", "bridge", "up")
        own = ("ip", "-n", self.namespace)
        run(*own, "link", "set", "lo", "up")
        run(*own, "address", "add", f"{self.address}/24", "dev", "eth0")
        run(*own, "link", "set", "eth0", "up")
        self.pid = self._boot()

    def _boot(self):
        directory = os.path.join(self._hosts.directory, self.name)
        os.mkdir(directory)
        config = os.path.join(directory, "sshd_config")
        with open(config, "w", encoding="utf-8") as file:
            file.write(
                f"ListenAddress {self.address}\nHostKey {self._hosts.key}\nPidFile none\n"
                f"AuthorizedKeysFile {self._hosts.key}.pub\nStrictModes no\nUsePAM no\n"
                f"PermitRootLogin prohibit-password\nPasswordAuthentication no\nMaxStartups 100\n"
                f"SetEnv {' '.join(f'{k}={v}' for k, v in self._hosts.environment.items())}\n"
            )
        script = (
            f"hostname {self.name} && mount -t tmpfs none /dev/shm && mkdir -p /run/sshd && "
            f"mount --bind {self._hosts.names} /etc/hosts && "
            "mount --bind /dev/null /etc/resolv.conf && "
            f"echo {TCP_RETRIES} > /proc/sys/net/ipv4/tcp_retries2 && "
            f"exec {SSHD} -D -e -f {config}"
        )
        log = os.path.join(directory, "sshd.log")
        with open(log, "w", encoding="utf-8") as file:
            # Signals of the test's own group (Ctrl-C) are the guard's business.
            self._unshare = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace, "unshare", "--uts", "--ipc", "--pid",
                 "--fork", "--mount-proc", "sh", "-c", script],
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + DEADLINE_S
        while True:
            with open(log, encoding="utf-8") as file:
                text = file.read()
            if "Server listening" in text:
                return int(children(self._unshare.pid)[0])
            if self._unshare.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name}: expected an ssh server, got: {text}")
            time.sleep(0.01)

    def popen(self, *command, environment=None, cwd=None, **options):
        """Starts a command on this host; no process stands between it and the caller."""
        environment = {**os.environ, **self._hosts.environment, **(environment or {})}
        directory = cwd or os.getcwd()

        def enter():
            for kind in ("net", "uts", "ipc", "mnt"):
                enter_namespace(self.pid, kind)
            os.chdir(directory)

        enter_namespace(self.pid, "pid")  # holds for the processes started from now on
        try:
            return subprocess.Popen(
                [str(word) for word in command], env=environment, preexec_fn=enter, **options
            )
        finally:
            enter_namespace("self", "pid")

    def post(self, url, body, key):
        """The JSON that answers a request from this host."""
        process = self.popen(sys.executable, "-c", POST, url, key, text=True, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        output, error = process.communicate(json.dumps(body), timeout=DEADLINE_S)
        if process.returncode != 0:
            raise RuntimeError(f"{url}: {error}")
        return json.loads(output)

    def processes(self):
        """pid (as the machine counts) -> command line, of all but the ssh server and its sessions."""
        found = {}
        for pid in run("ip", "netns", "pids", self.namespace).split():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    line = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
                name = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
            except OSError:
                continue
            if name not in ("sshd", "unshare") and line:
                found[int(pid)] = line
        return found

    def received_bytes(self):
        """What has come in through the host's end of its veth pair."""
        (link,) = json.loads(run("ip", "-n", self.namespace, "-s", "-j", "link", "show", "eth0"))
        return link["stats64"]["rx"]["bytes"]

    def set_link(self, state):
        """Pulls out ("down") or puts in ("up") the host's cable, at the switch."""
        run("ip", "-n", self._hosts.switch, "link", "set", self.name, state)

    def join(self):
        """Waits for the end of the host, which the guard brought about."""
        self._unshare.wait(DEADLINE_S)

    def kill_all(self):
        """Every process is gone at once; the kernel closes their connections."""
        os.kill(self.pid, signal.SIGKILL)

    def power_off(self):
        """The host is gone, and nobody tells the others."""
        self.set_link("down")
        self.kill_all()


class Hosts:
    """`with Hosts(2) as hosts: hosts[0].popen(...)`."""

    def __init__(self, count):
        self.prefix = f"fathom-{secrets.token_hex(3)}"
        self.switch = f"{self.prefix}-switch"
        self._count = count
        self._hosts = []

    def __enter__(self):
        require_namespaces()
        self.directory = tempfile.mkdtemp(prefix=f"{self.prefix}-")
        self._guard = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), self.prefix, self.directory],
            stdin=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._guard.stdin.close()
        removed = self._guard.wait(DEADLINE_S) == 0
        for host in self:
            host.join()
        if not removed:
            raise RuntimeError(f"{self.prefix}: its namespaces could not be removed")

    def __getitem__(self, number):
        return self._hosts[number]

    def __iter__(self):
        return iter(self._hosts)

    def _make(self):
        self.key = os.path.join(self.directory, "key")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
        self.environment = {  # for mpirun and all it starts, on every host
            **KEEP_ALIVE,
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "OMPI_MCA_orte_tmpdir_base": self.directory,
            "OMPI_MCA_btl_tcp_if_include": f"{NETWORK}.0/24",
            "OMPI_MCA_oob_tcp_if_include": f"{NETWORK}.0/24",
        }
        self.names = os.path.join(self.directory, "hosts")
        with open(self.names, "w", encoding="utf-8") as file:
            file.write("127.0.0.1 localhost\n")
            for n in range(self._count):
                file.write(f"{address(n)} {host_name(n)} {pod_name(n)}\n")
        run("ip", "netns", "add", self.switch)
        run("ip", "-n", self.switch, "link", "add", "bridge", "type", "bridge")
        run("ip", "-n", self.switch, "link", "set", "bridge", "up")
        self._hosts = [Host(self, number) for number in range(self._count)]

    def ssh_command(self):
        """For mpirun's --mca plm_rsh_agent."""
        return (
            f"ssh -F none -q -i {self.key} -l {getpass.getuser()} -o StrictHostKeyChecking=no "
            f"-o UserKnownHostsFile=/dev/null -o BatchMode=yes {SSH_KEEP_ALIVE}"
        )

    def mpirun(self, slots, *command, mpirun="mpirun", **options):
        """Starts mpirun on the first host, with so many ranks on each."""
        hostfile = os.path.join(self.directory, f"hostfile-{slots}")
        with open(hostfile, "w", encoding="utf-8") as file:
            file.writelines(f"{host.address} slots={slots}\n" for host in self)
        return self[0].popen(
            mpirun, "--mca", "plm_rsh_agent", self.ssh_command(), "--hostfile", hostfile,
            "-n", slots * self._count, *command, **options,
        )  # fmt: skip


LIBC = ctypes.CDLL(None, use_errno=True)


def enter_namespace(pid, kind):
    """setns(2): os.setns came with Python 3.12."""
    descriptor = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
    try:
        if LIBC.setns(descriptor, 0) != 0:
            raise OSError(ctypes.get_errno(), f"setns {kind} of {pid}")
    finally:
        os.close(descriptor)


def children(pid):
    """Process ids, as text, of a process's children."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return file.read().split()
    except OSError:
        return []


def guard(prefix, directory):
    """Waits until nobody holds the other end of standard input; then takes all down."""
    sys.stdin.buffer.read()
    names = [name for name in run("ip", "netns", "list").split() if name.startswith(f"{prefix}-")]
    deadline = time.monotonic() + DEADLINE_S / 2
    while pids := [pid for name in names for pid in run("ip", "netns", "pids", name).split()]:
        waiting.kill_all(map(int, pids))
        if time.monotonic() > deadline:
            raise RuntimeError(f"{prefix}: processes {pids} do not end")
        time.sleep(0.01)
    for name in names:
        run("ip", "netns", "del", name)
    shutil.rmtree(directory)


if __name__ == "__main__":
    guard(*sys.argv[1:])
