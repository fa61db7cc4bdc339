#!/usr/bin/env python3
"""Plants mistakes (mistakes.py) in the tree one at a time, builds, and sees that a test fails.

    planted_test.py [--list] [NAME...]

With FATHOM_LONG=1, for it builds the model and the engine twice a mistake; without, it sees that each
has its place in the code. The files that it changes must be as they were committed; they are put back
whatever happens.
"""

import os
import pathlib
import subprocess
import sys
import unittest

from gpu_mistakes import GPU_MISTAKES
from mistakes import MISTAKES as HOST_MISTAKES

MISTAKES = HOST_MISTAKES + GPU_MISTAKES
ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("FATHOM_BUILD_DIR", ROOT / "build"))
DEADLINE_S = 300  # for the tests; one that hangs has noticed


def text_around(mistake):
    """The file that it changes, in which its place must be found."""
    text = (ROOT / mistake.file).read_text(encoding="utf-8")
    found = text.count(mistake.old)
    if found != 1:
        raise RuntimeError(f"{mistake.name}: expected its place in {mistake.file} once, found {found}")
    return text


class Planted:
    """The tree with a mistake in it."""

    def __init__(self, mistake):
        self.file = ROOT / mistake.file
        self.mistake = mistake

    def __enter__(self):
        changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", self.file], cwd=ROOT)
        if changed.returncode != 0:
            raise RuntimeError(f"{self.file}: expected it as it was committed")
        self.text = text_around(self.mistake)
        self.file.write_text(self.text.replace(self.mistake.old, self.mistake.new), "utf-8")
        return self

    def __exit__(self, *_):
        self.file.write_text(self.text, encoding="utf-8")


def build(target):
    built = subprocess.run(["ninja", "-C", BUILD, target], capture_output=True, text=True)
    if built.returncode != 0:
        raise RuntimeError(f"{target}: expected it to build:\n{built.stdout[-4000:]}")


def passes(mistake):
    program = next(path for path in BUILD.rglob(mistake.target) if path.is_file())
    command = [program, f"--gtest_filter={mistake.tests}", "--gtest_fail_fast"]
    try:
        run = subprocess.run(command, capture_output=True, timeout=DEADLINE_S, cwd=BUILD)
    except subprocess.TimeoutExpired:
        return False
    return run.returncode == 0


class PlantedMistakes(unittest.TestCase):
    names = ()

    def test_each_has_its_place(self):
        for mistake in MISTAKES:
            with self.subTest(mistake=mistake.name):
                text_around(mistake)

    @unittest.skipUnless(os.environ.get("FATHOM_LONG"), "FATHOM_LONG=1 runs it")
    def test_each_is_noticed(self):
        chosen = [m for m in MISTAKES if not self.names or m.name in self.names]
        self.assertTrue(chosen, f"expected names of mistakes, got {self.names}")
        for target in sorted({mistake.target for mistake in chosen}):
            build(target)
        for mistake in chosen:
            with self.subTest(mistake=mistake.name):
                with Planted(mistake):
                    build(mistake.target)
                    noticed = not passes(mistake)
                print(f"{'noticed' if noticed else 'MISSED '}  {mistake.name}", flush=True)
                self.assertTrue(noticed)


if __name__ == "__main__":
    if "--list" in sys.argv:
        print("\n".join(mistake.name for mistake in MISTAKES))
    else:
        PlantedMistakes.names = tuple(sys.argv[1:])
        unittest.main(argv=sys.argv[:1])
