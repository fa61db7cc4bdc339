#!/usr/bin/env python3
"""The suites of the model, of ranks and of the API once more on `--chip cpu-discrete`: whole, with
each part of it switched off, and with other caches.

    discrete_suites_test.py [--list] [NAME...]

Names are of variants, of suites, or of both. With FATHOM_LONG=1, for all of it takes hours; without,
it sees that the suites are there. Tests that choose their own chip run as they do anyway; a suite
that opens no cpu-discrete besides fails here. Left out are suites that run on the simulated chip,
and those whose engine or model is a fake.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = os.environ.get("FATHOM_BUILD_DIR", "build")
# By their names for ctest. tests/model/chips.h, server.py and tests/node/server.mjs choose the chip.
SUITES = (
    # The model.
    "logit_rows_test", "decode_allocation_test", "load_failure_test", "mtp_test", "speculation_test",
    "steps_test", "graphs_test", "chips_test", "handover_test",
    # The API.
    "e2e_recorded_api", "e2e_request_log", "e2e_leak", "e2e_chat",
    "node_openai", "node_docs", "node_agents", "node_ai_sdk", "node_anthropic", "node_langchain",
    "node_structured", "e2e_weight_formats", "e2e_embedded_model", "e2e_logprobs",
    # Ranks, and engines apart.
    "ranks_allocation_test", "ranks_draws_test", "model_ranks_test", "e2e_apart", "e2e_apart_faults",
    "e2e_ranks_faults", "e2e_ranks",
)  # fmt: skip
PARTS = ("asynchronous", "graphs", "collectives", "sample", "take_tokens", "moe_exchange", "pack")
VARIANTS = {
    "whole": "",
    **{part: f"without={part}" for part in PARTS},
    "planes": "planes=2",
    "small_blocks": "block=16",
    "large_blocks": "block=128",
    "bf16": "kv=bf16",
}
WHOLE_SUITE = "*"
OTHER_KERNELS = "*/int*"  # without a layout of their own such weights multiply in F32
# Of variants and suites: tests that are about what the chip lacks, as patterns of GoogleTest.
LEFT_OUT = {
    ("asynchronous", "steps_test"): WHOLE_SUITE,  # goes through these parts itself
    ("sample", "steps_test"): WHOLE_SUITE,
    ("graphs", "graphs_test"): WHOLE_SUITE,
    ("collectives", "model_ranks_test"): "*/StreamTest.*",
    ("pack", "chips_test"): OTHER_KERNELS,
    ("pack", "graphs_test"): OTHER_KERNELS,
}


def left_out(variant, suite):
    return LEFT_OUT.get((variant, suite))


def run_suite(variant, suite):
    """-> (what failed or None, how many chips were opened)."""
    with tempfile.NamedTemporaryFile("r", prefix="fathom-starts-") as starts:
        environment = {
            **os.environ,
            "FATHOM_TEST_DISCRETE": VARIANTS[variant],
            "FATHOM_TEST_STARTS": starts.name,
        }
        if tests := left_out(variant, suite):
            environment["GTEST_FILTER"] = "-" + tests
        run = subprocess.run(
            ["ctest", "--test-dir", BUILD, "-R", f"^{suite}$", "--no-tests=error", "--output-on-failure"],
            env=environment,
            capture_output=True,
            text=True,
        )
        opened = len(starts.readlines())
    if run.returncode != 0:
        return run.stdout[-20000:], opened
    return None if opened > 0 else "it ran on no cpu-discrete", opened


class DiscreteSuites(unittest.TestCase):
    names = ()

    def chosen(self, known):
        return [name for name in known if name in self.names] or list(known)

    def test_each_suite_is_there(self):
        listed = subprocess.run(["ctest", "--test-dir", BUILD, "-N"], capture_output=True, text=True).stdout
        known = re.findall(r"^ +Test +#\d+: (\S+)", listed, re.MULTILINE)
        self.assertEqual(set(SUITES) - set(known), set(), listed)

    @unittest.skipUnless(os.environ.get("FATHOM_LONG"), "FATHOM_LONG=1 runs it")
    def test_suites(self):
        unknown = set(self.names) - set(VARIANTS) - set(SUITES)
        self.assertFalse(unknown, f"expected names of {tuple(VARIANTS)} or {SUITES}")
        for variant in self.chosen(VARIANTS):
            for suite in self.chosen(SUITES):
                if left_out(variant, suite) == WHOLE_SUITE:
                    continue
                began = time.monotonic()
                with self.subTest(variant=variant, suite=suite):
                    failed, opened = run_suite(variant, suite)
                    print(f"{variant:13} {suite:23} {'FAILED' if failed else 'passed'}, {opened} chips, "
                          f"{time.monotonic() - began:.0f} s", flush=True)  # fmt: skip
                    self.assertIsNone(failed, failed)


if __name__ == "__main__":
    if "--list" in sys.argv:
        print("\n".join((*VARIANTS, *SUITES)))
    else:
        DiscreteSuites.names = tuple(sys.argv[1:])
        unittest.main(argv=sys.argv[:1])
