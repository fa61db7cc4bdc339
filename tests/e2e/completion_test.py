#!/usr/bin/env python3
"""`fathom completion bash|zsh`, in the shells: every command and every flag that --help shows."""

import re
import subprocess
import tempfile
import unittest

from server import fathom_binary

COMMANDS = ("serve", "chat", "bench", "convert", "devices", "doctor")
# Completes the last of its arguments as bash does, which also divides words at "=".
BASH = """
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_fathom
printf '%s\\n' "${COMPREPLY[@]}"
"""
# What zsh's own functions would be told.
ZSH = """
compdef() { }
_arguments() { print -l -- "$@" }
_describe() { print -l -- "$commands[@]" }
source "$1"; shift
words=("$@") CURRENT=$#
_fathom
"""


def run(*command):
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0 or done.stderr:
        raise RuntimeError(f"{command}: ended with {done.returncode}: {done.stderr}")
    return done.stdout


def flags_in_help(command):
    """Those that lines begin with; descriptions name other commands' flags, too."""
    lines = re.findall(r"(?m)^ {1,8}(-.*?)(?:  |$)", run(fathom_binary(), command, "--help"))
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", " ".join(lines)))


class Completion(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)

    def script(self, shell):
        path = f"{self.directory.name}/{shell}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(run(fathom_binary(), "completion", shell))
        return path

    def complete(self, *words):
        return run("bash", "-c", BASH, "bash", self.script("bash"), "fathom", *words).split()

    def test_bash_knows_commands(self):
        self.assertLessEqual({*COMMANDS, "--help", "--version"}, set(self.complete("")))
        self.assertEqual(self.complete("se"), ["serve"])

    def test_bash_knows_every_flag(self):
        for command in COMMANDS:
            offered = set(self.complete(command, ""))
            self.assertGreater(len(flags_in_help(command)), 2)
            self.assertGreaterEqual(offered, flags_in_help(command), command)
            self.assertTrue(all(flag.startswith("--") for flag in offered), offered)
        self.assertEqual(self.complete("serve", "--prefix-c"), ["--prefix-cache"])

    def test_bash_knows_values(self):
        self.assertEqual(self.complete("serve", "--prefix-cache", ""), ["on", "off"])
        self.assertEqual(self.complete("serve", "--weights", "int"), ["int8", "int4"])
        self.assertEqual(self.complete("serve", "--weights", "=", "int8"), ["int8"])
        self.assertIn("bf16", self.complete("serve", "--weights", "="))
        self.assertEqual(self.complete("serve", "--model", ""), [])  # names of files
        self.assertIn("--model", self.complete("serve", "--exact", ""))

    def test_zsh_knows_the_same(self):
        script = self.script("zsh")
        run("zsh", "--no-exec", script)
        commands = run("zsh", "-f", "-c", ZSH, "zsh", script, "fathom", "")
        for command in COMMANDS:
            self.assertRegex(commands, rf"(?m)^{command}:\w")
            told = run("zsh", "-f", "-c", ZSH, "zsh", script, "fathom", command, "--")
            offered = set(re.findall(r"(?m)^\*?(--[a-z-]+)", told))
            self.assertEqual(offered, set(self.complete(command, "")), command)
        self.assertRegex(run("zsh", "-f", "-c", ZSH, "zsh", script, "fathom", "serve", "--"),
                         r"(?m)^--prefix-cache=\[.*\]:value:\(on off\)$")  # fmt: skip

    def test_other_shells_are_refused(self):
        done = subprocess.run([fathom_binary(), "completion", "fish"], check=False, capture_output=True,
                              text=True)  # fmt: skip
        self.assertEqual(done.returncode, 2)
        self.assertIn("expected bash or zsh, got fish", done.stderr)


if __name__ == "__main__":
    unittest.main()
