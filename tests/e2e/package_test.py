#!/usr/bin/env python3
"""The Debian package that cpack makes: what is in it, what it needs, and that it serves from where it
is installed. With FATHOM_LONG=1 it is installed by apt into a Debian 12 made for it by debootstrap;
that takes minutes, root, and a mirror (FATHOM_DEBIAN_MIRROR; default: deb.debian.org).
"""

import gzip
import os
import re
import stat
import subprocess
import tarfile
import tempfile
import unittest
from unittest import mock

import server as fathom
from mpi_job import MpiJob

BUILD = os.environ.get("FATHOM_BUILD_DIR", os.path.join(fathom.REPOSITORY, "build"))
MIRROR = os.environ.get("FATHOM_DEBIAN_MIRROR", "http://deb.debian.org/debian")
TINY = "usr/share/fathom/models/tiny"
SUM = {"messages": [{"role": "user", "content": "What is 123 + 456?"}], "temperature": 0,
       "thinking": {"type": "enabled"}}
# A program that enters a root directory with a /proc of its own and is `fathom` there.
ENTER = """#!/bin/sh
exec unshare --mount sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" /usr/bin/fathom "$@"' {} "$@"
"""


def run(*command, **options):
    """Standard output of a command that must succeed."""
    done = subprocess.run(command, check=False, text=True, capture_output=True, **options)
    if done.returncode != 0:
        raise RuntimeError(
            f"{' '.join(command)}: ended with {done.returncode}: {done.stdout}{done.stderr}"
        )
    return done.stdout


def setUpModule():
    global package, scratch  # pylint: disable=global-statement
    scratch = tempfile.TemporaryDirectory(prefix="fathom-package-")
    unittest.addModuleCleanup(scratch.cleanup)
    run("cpack", "--config", os.path.join(BUILD, "CPackConfig.cmake"), "-B", scratch.name)
    (name,) = (name for name in os.listdir(scratch.name) if name.endswith(".deb"))
    package = os.path.join(scratch.name, name)


def field(name):
    return run("dpkg-deb", "--field", package, name).strip()


def answer_of(binary, model):
    with mock.patch.dict(os.environ, FATHOM_BIN=binary), fathom.Server(model) as server:
        status, answer = server.post("/v1/chat/completions", {"model": "tiny", **SUM})
        if status != 200:
            raise RuntimeError(f"expected 200, got {status}: {answer}")
        return answer["choices"][0]["message"]["content"]


class Contents(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        data = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True, capture_output=True)
        path = os.path.join(scratch.name, "data.tar")
        with open(path, "wb") as file:
            file.write(data.stdout)
        with tarfile.open(path) as archive:
            cls.members = {member.name.removeprefix("./"): member for member in archive.getmembers()}
        cls.control = os.path.join(scratch.name, "control")
        run("dpkg-deb", "--control", package, cls.control)

    def read_control(self, name):
        with open(os.path.join(self.control, name), encoding="utf-8") as file:
            return file.read()

    def test_everything_is_in_its_place(self):
        expected = (
            "usr/bin/fathom", "usr/lib/fathom/libfathom_mpi.so", "usr/lib/fathom/libfathom_ucx.so",
            "usr/lib/systemd/system/fathom.service", "usr/lib/sysusers.d/fathom.conf",
            "usr/share/bash-completion/completions/fathom", "usr/share/zsh/vendor-completions/_fathom",
            "usr/share/doc/fathom/copyright", "usr/share/doc/fathom/changelog.gz",
            "usr/share/doc/fathom/README.md", "usr/share/doc/fathom/docs/deploy.md",
            "usr/share/doc/fathom/examples/fathom.service.d/ranks.conf",
            "usr/share/doc/fathom/examples/slurm/fathom.sbatch",
            f"{TINY}/config.json", f"{TINY}/tokenizer.json", "etc/fathom/fathom.env",
        )  # fmt: skip
        for name in expected:
            self.assertIn(name, self.members)
        for name in self.members:
            self.assertRegex(name, r"^(\.|etc|etc/fathom(/.*)?|usr(/(bin|lib|share)(/.*)?)?)?$")

    def test_owners_and_modes(self):
        for name, member in self.members.items():
            self.assertEqual((member.uname, member.gname), ("root", "root"), name)
            runs = member.isdir() or name == "usr/bin/fathom"
            self.assertEqual(member.mode, 0o755 if runs else 0o644, name)
            self.assertFalse(member.issym(), name)  # nothing is enabled by a link

    def test_needs_what_the_binary_needs_and_suggests_what_plug_ins_need(self):
        needed, suggested = field("Depends"), field("Suggests")
        for name in ("libc6", "libstdc++6", "libssl3", "libhwloc15"):
            self.assertIn(name, needed)
        self.assertNotRegex(needed, "mpi|ucx")
        for name in ("libopenmpi", "openmpi-bin", "libucx0"):
            self.assertIn(name, suggested)

    def test_control_files_are_as_policy_wants_them(self):
        self.assertRegex(field("Version"), r"^\d+\.\d+\.\d+$")
        self.assertRegex(field("Maintainer"), r"^.+ <.+@.+>$")
        summary, *rest = field("Description").splitlines()
        self.assertLess(len(summary), 80)
        self.assertTrue(rest)
        for name in ("postinst", "prerm", "postrm"):
            text = self.read_control(name)
            self.assertRegex(text, r"\A#!/bin/sh\nset -e\n")
            run("sh", "-n", os.path.join(self.control, name))
            self.assertNotRegex(text, r"systemctl (enable|start)")
            self.assertTrue(os.stat(os.path.join(self.control, name)).st_mode & stat.S_IXUSR)
        configured = [f"/{name}" for name, member in self.members.items()
                      if name.startswith("etc/") and member.isfile()]  # fmt: skip
        self.assertEqual(self.read_control("conffiles").split(), configured)


class Unpacked(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = os.path.join(scratch.name, "root")
        run("dpkg-deb", "--extract", package, cls.root)
        cls.binary = os.path.join(cls.root, "usr/bin/fathom")
        cls.model = os.path.join(cls.root, TINY)

    def read(self, name):
        with open(os.path.join(self.root, name), encoding="utf-8") as file:
            return file.read()

    def test_binaries_are_stripped_and_look_nowhere_special(self):
        for name in ("usr/bin/fathom", "usr/lib/fathom/libfathom_mpi.so", "usr/lib/fathom/libfathom_ucx.so"):
            path = os.path.join(self.root, name)
            self.assertNotIn(".debug_info", run("readelf", "--sections", path))
            self.assertNotIn("RPATH", run("readelf", "--dynamic", path))
            self.assertNotIn("RUNPATH", run("readelf", "--dynamic", path))

    def test_it_answers(self):
        self.assertIn("579", answer_of(self.binary, self.model))

    def test_plug_ins_are_found(self):
        found = run(self.binary, "doctor")
        self.assertIn("MPI is there", found)
        self.assertIn("UCX is there", found)
        job = MpiJob(self.binary, 2)
        said = run(*job.command(), self.binary, "serve", "--check", "--model", self.model,
                   "--parallel", "pp=2", env=job.environment())  # fmt: skip
        self.assertIn("is good", said)

    def test_the_unit_runs_the_installed_binary(self):
        unit = self.read("usr/lib/systemd/system/fathom.service")
        self.assertRegex(unit, r"\nExecStart=/usr/bin/fathom serve")
        for name in ("usr/lib/systemd/system/fathom.service",
                     "usr/share/doc/fathom/examples/fathom.service.d/ranks.conf"):  # fmt: skip
            self.assertNotIn("/usr/local", self.read(name))
        (settings,) = re.findall(r"\nEnvironmentFile=(\S+)", unit)
        variables = dict(line.split("=") for line in self.read(settings.lstrip("/-")).splitlines()
                         if line and not line.startswith("#"))  # fmt: skip
        model = os.path.join(self.root, variables["FATHOM_MODEL"].lstrip("/"))
        self.assertTrue(os.path.exists(os.path.join(model, "config.json")))

    def test_the_changelog_is_of_this_version(self):
        with gzip.open(os.path.join(self.root, "usr/share/doc/fathom/changelog.gz"), "rt") as file:
            self.assertRegex(file.readline(), rf"^fathom \({re.escape(field('Version'))}\) ")


@unittest.skipUnless(os.environ.get("FATHOM_LONG"), "FATHOM_LONG=1 runs it")
class Debian(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = os.path.join(scratch.name, "debian")
        run("debootstrap", "--variant=minbase", "--include=systemd", "bookworm", cls.root, MIRROR,
            env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"})  # fmt: skip
        os.link(package, os.path.join(cls.root, os.path.basename(package)))
        cls.inside("apt-get", "install", "--yes", "--no-install-recommends", f"/{os.path.basename(package)}")
        cls.binary = os.path.join(scratch.name, "fathom")
        with open(cls.binary, "w", encoding="utf-8") as file:
            file.write(ENTER.format(cls.root))
            os.fchmod(file.fileno(), 0o755)

    @classmethod
    def inside(cls, *command):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
        return run("chroot", cls.root, *command, env=environment)

    def test_it_answers(self):
        self.assertIn("579", answer_of(self.binary, f"/{TINY}"))

    def test_its_user_is_there_and_the_service_is_not_enabled(self):
        self.assertIn("fathom", self.inside("getent", "passwd", "fathom"))
        state = subprocess.run(["chroot", self.root, "systemctl", "is-enabled", "fathom"],
                               check=False, capture_output=True, text=True)  # fmt: skip
        self.assertEqual(state.stdout.strip(), "disabled", state.stderr)
        self.inside("systemd-analyze", "verify", "/usr/lib/systemd/system/fathom.service")

    def test_without_mpi_it_says_what_to_install(self):
        self.assertRegex(run(self.binary, "doctor"), r"note .*libfathom_mpi\.so.*openmpi-bin")


if __name__ == "__main__":
    unittest.main()
