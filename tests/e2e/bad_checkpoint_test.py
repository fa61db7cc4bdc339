#!/usr/bin/python3
"""Starts `fathom serve --check` on 500 damaged checkpoints: each gives exit code 1 and one line
that names the file and the tensor or field at fault, never a crash, a hang or a memory burst.

FATHOM_BIN names the binary, which may be a sanitizer build.
"""

import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "tools", "oracle"))
import damage
import damage_config
import make_checkpoint
from server import fathom_binary

CASES = 500
DEADLINE_S = 30
MEMORY_LIMIT_BYTES = 1 << 30  # of a process that loads 130 KB of weights; sanitizers need some
SANITIZER_EXIT = 99  # by default a sanitizer's exit code is 1 as well
FAMILIES = [
    damage.truncated,
    damage.header_lengths,
    damage.broken_headers,
    damage.header_entries,
    damage.overlaps,
    damage.wrong_tensors,
    damage.missing_tensors,
    damage.index_and_shards,
    damage.bad_numbers,
    damage_config.configs,
    damage_config.tokenizers,
]


def check_command(directory):
    """Runs `fathom serve --check`; returns (exit code, stderr)."""
    environment = dict(os.environ)
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"):
        options = environment.get(name, "")
        environment[name] = f"{options}:exitcode={SANITIZER_EXIT}".lstrip(":")
    done = subprocess.run(
        [fathom_binary(), "serve", "--model", directory, "--check"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=DEADLINE_S,
        env=environment,
        check=False,
    )
    return done.returncode, done.stderr.decode("utf-8", "replace")


def names_all(line, names):
    return all(
        any(one in line for one in name) if isinstance(name, tuple) else name in line
        for name in names
    )


def judge(code, stderr, names):
    """What is wrong with how a damaged checkpoint was refused, or None."""
    if code != 1:
        return f"exit code {code}, not 1; stderr:\n{stderr[-2000:]}"
    if not any(names_all(line, names) for line in stderr.splitlines()):
        return f"no line of stderr names {names}:\n{stderr[-2000:]}"
    return None


def all_cases(base):
    """CASES cases, the same each time: every family in full if they fit, else evenly thinned."""
    generator = random.Random(20)
    cases = [case for family in FAMILIES for case in family(base, generator)]
    return cases, [cases[i * len(cases) // CASES] for i in range(CASES)]


class BadCheckpoints(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        good = os.path.join(cls.temporary.name, "good")
        make_checkpoint.make_checkpoint(good, "tiny", "fp8", seed=3)
        cls.base = damage.Checkpoint.read(good)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def run_case(self, number, change):
        directory = os.path.join(self.temporary.name, str(number))
        checkpoint = self.base.copy()
        change(checkpoint)
        checkpoint.write(directory)
        try:
            return check_command(directory)
        except subprocess.TimeoutExpired:
            return f"none within {DEADLINE_S} s", ""
        finally:
            shutil.rmtree(directory)

    def test_good_checkpoints_pass(self):
        """What a released checkpoint may also look like; so refusing everything is no solution."""

        def single_file(checkpoint):
            shards = [checkpoint.shard(name) for name in checkpoint.shards()]
            whole = shards[0]
            for shard in shards[1:]:
                for name in shard.names():
                    entry = shard.header[name]
                    entry["data_offsets"] = [x + len(whole.data) for x in entry["data_offsets"]]
                    whole.header[name] = entry
                whole.data += shard.data
            for name in [*checkpoint.shards(), damage.INDEX]:
                del checkpoint.files[name]
            checkpoint.files["model.safetensors"] = whole.content()

        harmless = {
            "as written": lambda checkpoint: None,
            "unknown config field": damage.with_field(damage.CONFIG, ["auto_map"], {"a": "b"}),
            "no __metadata__": lambda c: c.edit_shard(
                c.shards()[0], lambda shard: shard.header.pop("__metadata__")
            ),
            "one file, no index": single_file,
        }
        for what, change in harmless.items():
            with self.subTest(what):
                code, stderr = self.run_case("harmless", change)
                self.assertEqual(code, 0, stderr)

    def test_damaged_checkpoints_are_refused(self):
        _, cases = all_cases(self.base)
        with ThreadPoolExecutor(max_workers=2) as pool:
            results = list(pool.map(self.run_case, range(CASES), [case.change for case in cases]))
        failures = []
        for number, (case, (code, stderr)) in enumerate(zip(cases, results)):
            wrong = judge(code, stderr, case.names)
            if wrong:
                failures.append(f"case {number}, {case.what}: {wrong}")
        if failures:
            self.fail(f"{len(failures)} of {CASES} cases:\n" + "\n".join(failures))
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        self.assertLess(peak, MEMORY_LIMIT_BYTES, "a damaged checkpoint made memory explode")


if __name__ == "__main__":
    unittest.main()
