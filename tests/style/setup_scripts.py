#!/usr/bin/env python3
"""tools/setup/packages.sh, with a package system and a build that are made up: which packages it
chooses, what it says of those that are not there, and how a build goes."""

import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# As of a system that has some packages, and some of them installed. What apt-get is told goes to
# standard error.
SYSTEM = """
set -euo pipefail
source tools/setup/packages.sh
dpkg-query() { case " $INSTALLED " in *" ${@: -1} "*) echo "install ok installed" ;; *) return 1 ;; esac; }
apt-cache() {  # more than a reader that stops early would take
  case " $AVAILABLE " in *" $2 "*) echo "  Candidate: 1" ;; *) echo "  Candidate: (none)" ;; esac
  seq 100000
}
apt-get() { :; }
as_root() { echo "$*" >&2; }
say() { :; }
"""


def bash(script, cwd=ROOT, **variables):
    """(exit code, standard output, standard error)."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nowhere", **variables}
    done = subprocess.run(["bash", "-c", script], cwd=cwd, env=environment, check=False,
                          capture_output=True, text=True)  # fmt: skip
    return done.returncode, done.stdout, done.stderr


class Packages(unittest.TestCase):
    def install(self, packages, available="", installed=""):
        return bash(f"{SYSTEM}\ninstall_packages {packages}", AVAILABLE=available, INSTALLED=installed)

    def test_the_first_alternative_that_there_is(self):
        code, _, told = self.install("'old|new' other", available="new newer other")
        self.assertEqual(code, 0, told)
        self.assertRegex(told, r"(?m) new other$")

    def test_any_installed_alternative_will_do(self):
        self.assertEqual(self.install("'old|new'", available="old", installed="new"), (0, "", ""))

    def test_what_the_system_lacks_is_said_and_the_rest_installed(self):
        code, said, told = self.install("'a|b' c", available="c")
        self.assertEqual(code, 0, told)
        self.assertIn("no package a or b", said)
        self.assertRegex(told, r"(?m) c$")

    def test_a_user_has_no_need_of_what_tests_need(self):
        _, said, _ = bash('source tools/setup/packages.sh; echo "${FATHOM_BUILD_PACKAGES[*]}"')
        self.assertNotRegex(said, "gtest|gmock|clang|ccache|openmpi|ucx|python|debootstrap")


class Build(unittest.TestCase):
    """With cmake and ninja replaced."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)

    def build(self, preset, ninja):
        script = f"""
set -euo pipefail
source {ROOT}/tools/setup/packages.sh
cmake() {{ echo "cmake $*" >&2; }}
ninja() {{ {ninja}; }}
build {preset} target
"""
        return bash(script, cwd=self.root)

    def test_progress_is_told_in_tenths(self):
        code, said, _ = self.build("dev", "for i in $(seq 20); do echo \"@$i/20@ Building $i\"; done")
        self.assertEqual(code, 0)
        self.assertEqual([line.split()[0] for line in said.splitlines()],
                         [f"{tenth}0%" for tenth in range(1, 11)])  # fmt: skip
        self.assertNotIn("Building", said)

    def test_errors_are_shown_and_fail(self):
        code, said, _ = self.build("dev", "echo '@1/2@ Building'; echo 'FAILED: x'; echo 'error: y'; return 1")
        self.assertNotEqual(code, 0)
        self.assertIn("FAILED: x\nerror: y\n", said)

    def test_a_failing_configuration_fails(self):
        code, _, told = bash(f"""
set -euo pipefail
source {ROOT}/tools/setup/packages.sh
cmake() {{ return 1; }}
ninja() {{ echo never >&2; }}
build dev
""", cwd=self.root)  # fmt: skip
        self.assertNotEqual(code, 0)
        self.assertNotIn("never", told)

    def test_up_takes_what_check_has_built(self):
        self.assertIn("--preset up", self.build("user", ":")[2])
        cache = self.root / "build" / "CMakeCache.txt"
        cache.write_text("FATHOM_TESTS:BOOL=OFF\n", encoding="utf-8")
        self.assertIn("--preset up", self.build("user", ":")[2])
        cache.write_text("FATHOM_TESTS:BOOL=ON\n", encoding="utf-8")
        self.assertIn("--preset dev", self.build("user", ":")[2])


if __name__ == "__main__":
    unittest.main()
