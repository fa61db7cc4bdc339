#!/usr/bin/env python3
"""Runs every shell command of README.md, CONTRIBUTING.md and docs/*.md as it is written there, page by
page, in a copy of the tree where DIR is the embedded model and FILE a configuration. Servers stay until
the page ends or another
wants their port.

All of it is in a network namespace with the addresses that the pages name, so that their ports are
free. FATHOM_LONG=1 runs those that take minutes, too. Examples of docs/api.md in ```sh run elsewhere
(tests/node/docs).
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import hosts
from server import REPOSITORY, fathom_binary
from waiting import wait_for

INSIDE = "FATHOM_DOCS_NAMESPACE"  # is set there
DEADLINE_S = 1800
# Indented blocks that are none of commands begin so.
NO_COMMANDS = re.compile(
    r"lost rank|--parallel pp=|pp=|KV tokens =|tests/data/deepseek-v3-config\.json:"
    r"|\"quantization_config\"|Compiler compiler|\d{4}-\d\d-\d\dT|fathom: "
)
NOT_RUN = {  # and why
    r"^\./check": "runs this test",
    r"cmake --preset asan|build/asan/": "./check builds and runs these, for many minutes",
    r"compare\.mjs": "downloads llama.cpp, and measures for many minutes",
    r"apt-get install": "changes the machine: tests/e2e/package_test.py installs the package",
    r"systemctl|/etc/fathom": "changes the machine",
    r"sbatch --nodes": "needs Slurm: tests/e2e/slurm_test.py runs the script",
    r"helm install": "needs a cluster: tests/style/helm_chart.py renders the chart",
    r"(podman|docker) ": "needs a registry",
    r"^sysctl": "changes the machine: tests/e2e/hosts.py sets the same",
}
TAKES_MINUTES = r"--synthetic v3-mini|many_streams\.py|bystanders\.py|build/package"
# Of what a command prints.
EXPECTED = {
    r"fathom chat( --model \S+)? +#|What is 123 \+ 456": "579",
    r"/metrics": "fathom_num_requests_running",
    r"fathom doctor": "Ready to serve",
    r"--dry-run": "KV tokens",
    r"--print-config": "model",
}
CHAT = "What is 123 + 456?\n"
ASKS = re.compile(r"fathom chat( --[a-z]+ \S+)*( +#.*)?$")  # what is typed, and nothing else
# A program of the shell: the network of the namespace, then its arguments.
NETWORK = """
ip link set lo up
ip link add eth0 type veth peer name eth1
ip link set eth1 up
ip address add 10.0.0.5/24 dev eth0
ip address add 10.0.0.6/24 dev eth0
ip link set eth0 up
mount --bind "$1" /etc/hosts
shift
exec "$@"
"""


def indented_blocks(lines):
    """(line number, lines) of each block of Markdown that is indented by four."""
    block, start = [], 0
    for number, line in enumerate([*lines, "end"], 1):
        if line.startswith("    ") and (block or not lines[number - 2].strip()):
            start = start if block else number
            block.append(line[4:])
        elif block and line.strip():
            yield start, block
            block = []
        elif block:
            block.append("")


def fenced_blocks(lines):
    """The same of those that begin with ```sh."""
    block, start = None, 0
    for number, line in enumerate(lines, 1):
        if line.startswith("```"):
            if block is not None:
                yield start, block
            block, start = ([] if line == "```sh" else None), number + 1
        elif block is not None:
            block.append(line)


def is_whole(text):
    """Whether a command does not go on in the next line."""
    parsed = subprocess.run(["bash", "-n", "-c", text], check=False, capture_output=True)
    return parsed.returncode == 0 and not text.endswith("\\")


def commands_in(block, first):
    """(line number, command) of each in a block of shell."""
    text, start = "", first
    for number, line in enumerate(block, first):
        start = start if text else number
        text += ("\n" if text else "") + line
        if is_whole(text):
            if text.strip():
                yield start, text
            text = ""
    if text:
        raise RuntimeError(f"line {start}: a command without an end: {text}")


def commands_of(page):
    with open(os.path.join(REPOSITORY, page), encoding="utf-8") as file:
        lines = file.read().splitlines()
    blocks = list(indented_blocks(lines))
    if page != "docs/api.md":
        blocks += fenced_blocks(lines)
    for first, block in sorted(blocks):
        if not NO_COMMANDS.match(block[0].strip()):
            yield from commands_in(block, first)


def pages():
    docs = sorted(os.listdir(os.path.join(REPOSITORY, "docs")))
    return ["README.md", "CONTRIBUTING.md", *(f"docs/{name}" for name in docs if name.endswith(".md"))]


def is_server(command):
    serves = re.search(r"\bfathom serve\b|^\./up\b", command)
    return bool(serves) and not re.search(r"--dry-run|--check|--print-config", command)


def port_of(command):
    port = re.search(r"--port (\d+)", command)
    return int(port.group(1)) if port else 8000


class Page:
    """The tree as a reader has it, and what runs there."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="fathom-docs-")
        self._servers = {}  # by port: (process, its command, file of its output)
        shutil.copytree(REPOSITORY, self.directory, dirs_exist_ok=True, symlinks=True,
                        ignore=shutil.ignore_patterns(".git", "build", "node_modules"))  # fmt: skip
        subprocess.run(["git", "init", "--quiet"], cwd=self.directory, check=True)
        with open(self.path("question.txt"), "w", encoding="utf-8") as file:
            file.write(CHAT)
        for name in ("FILE", "fathom.toml"):
            with open(self.path(name), "w", encoding="utf-8") as file:
                file.write('model = "DIR"\n')
        os.mkdir(self.path("build"))
        os.symlink(os.path.dirname(os.path.realpath(fathom_binary())), self.path("build/bin"))
        os.symlink("models/tiny", self.path("DIR"))
        self._environment = {
            **os.environ,
            "PATH": f"{self.path('build/bin')}:{os.environ['PATH']}",
            "CURL_CA_BUNDLE": self.path("fullchain.pem"),
            "SSL_CERT_FILE": self.path("fullchain.pem"),
            "FATHOM_SKIP_PACKAGES": "1",
            "FATHOM_PLUG_INS": "no",
            "OMPI_MCA_rmaps_base_oversubscribe": "1",  # a page may want more cores than are here
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "OMPI_MCA_orte_tmpdir_base": self.directory,
        }
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-subj", "/CN=host", "-addext", "subjectAltName=DNS:host", "-keyout", "privkey.pem",
             "-out", "fullchain.pem"], cwd=self.directory, check=True, capture_output=True,
        )  # fmt: skip

    def path(self, name):
        return os.path.join(self.directory, name)

    def close(self):
        try:
            for port in list(self._servers):
                self._stop(port)
        finally:
            shutil.rmtree(self.directory)

    def run(self, command):
        if is_server(command):
            self._serve(command)
            return
        if re.search(r"curl |fathom chat(?!.*--model)", command):
            self._have_server("https://" in command)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command], cwd=self.directory, env=self._environment,
            input=CHAT if ASKS.search(command) else "", text=True, capture_output=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise AssertionError(f"ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        for pattern, text in EXPECTED.items():
            if re.search(pattern, command) and text not in done.stdout:
                raise AssertionError(f"expected {text} in its output:\n{done.stdout}{done.stderr}")

    def _have_server(self, tls):
        """What a client of this page talks to: the page's own server, where it fits."""
        if 8000 in self._servers and ("--tls-cert" in self._servers[8000][1]) == tls:
            return
        certificate = " --tls-cert fullchain.pem --tls-key privkey.pem" if tls else ""
        self._serve(f"build/bin/fathom serve --model models/tiny{certificate}")

    def _serve(self, command):
        port = port_of(command)
        self._stop(port)
        output = tempfile.TemporaryFile("w+", prefix="fathom-docs-")
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], env=self._environment, stdin=subprocess.DEVNULL,
            cwd=REPOSITORY if command.startswith("./up") else self.directory,
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._servers[port] = (process, command, output)

        def text():
            return os.pread(output.fileno(), 1 << 20, 0).decode(errors="replace")

        wait_for("an end, or a server that listens",
                 lambda: process.poll() is not None or "listening on http" in text(),
                 DEADLINE_S, text)  # fmt: skip
        if process.poll() is not None:
            del self._servers[port]
            said = text()
            output.close()
            raise AssertionError(f"ended with {process.returncode}:\n{said}")
        scheme = "https" if "--tls-cert" in command else "http"
        subprocess.run(["curl", "-fsSk", f"{scheme}://127.0.0.1:{port}/health"], check=True,
                       capture_output=True)  # fmt: skip

    def _stop(self, port):
        if port not in self._servers:
            return
        process, command, output = self._servers.pop(port)
        # As docs/deploy.md says.
        process.send_signal(signal.SIGUSR1 if command.startswith("mpirun") else signal.SIGTERM)
        try:
            code = process.wait(DEADLINE_S)
            if code != 0:
                told = os.pread(output.fileno(), 1 << 20, 0).decode(errors="replace")
                raise AssertionError(f"{command}: ended with {code}:\n{told}")
        finally:
            process.kill()
            output.close()


class Commands(unittest.TestCase):
    def test_every_command_runs(self):
        long = bool(os.environ.get("FATHOM_LONG"))
        # ./up would build what this test was not given.
        built = os.path.dirname(os.path.realpath(fathom_binary())) == f"{REPOSITORY}/build/bin"
        for name in pages():
            page = Page()
            try:
                for line, command in commands_of(name):
                    if any(re.search(pattern, command) for pattern in NOT_RUN):
                        continue
                    if re.search(TAKES_MINUTES, command) and not long:
                        continue
                    if command.startswith("./up") and not built:
                        continue
                    with self.subTest(f"{name}:{line}", command=command):
                        page.run(command)
                        print(f"{name}:{line}: {command}", flush=True)
            finally:
                page.close()

    def test_what_is_not_run_is_there(self):
        every = [command for name in pages() for _, command in commands_of(name)]
        for pattern in NOT_RUN:
            self.assertTrue(any(re.search(pattern, command) for command in every), pattern)


class Reader(unittest.TestCase):
    """What this test would make of a page."""

    def test_commands_are_found(self):
        lines = ["Text:", "", "    one a  # remark", "    two \\", "      b", "", "    three '", "    4'",
                 "more", "    no code", "", "```sh", "five", "```", "```json", "{}", "```"]  # fmt: skip
        (first, block), = indented_blocks(lines)
        self.assertEqual(list(commands_in(block, first)),
                         [(3, "one a  # remark"), (4, "two \\\n  b"), (7, "three '\n4'")])  # fmt: skip
        self.assertEqual(list(fenced_blocks(lines)), [(13, ["five"])])

    def test_a_command_that_fails_is_an_error(self):
        page = Page()
        self.addCleanup(page.close)
        for command in ("false", "build/bin/fathom serve --no-such-flag", "fathom doctor --model docs"):
            with self.assertRaises(AssertionError, msg=command):
                page.run(command)


def enter_namespace():
    """This program again, in a network of its own."""
    names = tempfile.NamedTemporaryFile("w", prefix="fathom-docs-hosts-")
    names.write("127.0.0.1 localhost host\n::1 localhost\n")
    names.flush()
    command = ["unshare", "--net", "--mount"]
    if os.getuid() != 0:
        command += ["--user", "--map-root-user"]
    command += ["sh", "-ec", NETWORK, "sh", names.name, sys.executable, *sys.argv]
    return subprocess.run(command, env={**os.environ, INSIDE: "1"}, check=False).returncode


def setUpModule():
    hosts.skip_module(hosts.NAME)


if __name__ == "__main__":
    if INSIDE not in os.environ and not hosts.skipped_by_name(hosts.NAME):
        sys.exit(enter_namespace())
    unittest.main()
