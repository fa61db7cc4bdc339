#!/usr/bin/env python3
"""The other end-to-end suites once more on `--chip cpu-discrete`: whole, and with each part of it
switched off. With FATHOM_LONG=1, for it takes an hour or two; FATHOM_DISCRETE names the variants to
run ("whole,graphs"). Tests that choose their own chip run as they do anyway.
"""

import os
import subprocess
import unittest

BUILD = os.environ.get("FATHOM_BUILD_DIR", "build")
# By their names for ctest.
SUITES = (
    r"^(e2e_(oracle|logprobs|embedded_model|weight_formats|request_log|leak|robustness)"
    r"|node_(openai|docs|structured))$"
)
RANK_SUITES = r"^e2e_(ranks|ranks_faults|apart|apart_faults)$"
WHOLE = "whole"
PARTS = ("asynchronous", "graphs", "collectives", "sample", "take_tokens", "moe_exchange", "pack")
VARIANTS = (WHOLE, *PARTS)


def chosen():
    names = os.environ.get("FATHOM_DISCRETE", ",".join(VARIANTS)).split(",")
    unknown = set(names) - set(VARIANTS)
    if unknown:
        raise ValueError(f"FATHOM_DISCRETE: expected names of {VARIANTS}, got {sorted(unknown)}")
    return names


@unittest.skipUnless(os.environ.get("FATHOM_LONG"), "FATHOM_LONG=1 runs it")
class DiscreteSuites(unittest.TestCase):
    def run_suites(self, suites):
        for variant in chosen():
            part = {} if variant == WHOLE else {"FATHOM_KERNELS": f"native,without={variant}"}
            with self.subTest(variant=variant, suites=suites):
                run = subprocess.run(
                    ["ctest", "--test-dir", BUILD, "-R", suites, "--no-tests=error", "--output-on-failure"],
                    env={**os.environ, "FATHOM_CHIP": "cpu-discrete", **part},
                    capture_output=True,
                    text=True,
                )
                self.assertEqual(run.returncode, 0, run.stdout[-20000:])

    def test_one_rank(self):
        self.run_suites(SUITES)

    def test_several_ranks_and_engines(self):
        self.run_suites(RANK_SUITES)


if __name__ == "__main__":
    unittest.main()
