#!/usr/bin/python3
"""`fathom serve --chip emulated`: the GPU kernels on the emulated chip, as a client sees them.

Its numbers are BF16 where the CPU's are F32, so what it answers is compared by log-probabilities,
teacher-forced on the CPU's own answers. With itself it must agree to the bit: alone and beside
others, in any order of lanes, with graphs and speculation and without.
"""

import concurrent.futures
import json
import os
import subprocess
import unittest

import server as fathom

TINY = os.path.join(fathom.REPOSITORY, "models", "tiny")
EMULATED = ("--chip", "emulated")
WIDTHS = ("32", "64", "128")
LOST = 75

# BF16 rounds to 2^-9 of a number, and some forty roundings lie between a token and its logits.
MEAN_DIFFERENCE = 0.03
CLEAR_MARGIN = 0.2  # of the CPU's two best; below it either may be first

PROMPTS = [
    "What is 12 + 35?",
    "Name three colours.",
    "One, two, three, four, five, six, seven.",
    "The capital of France is",
]


def emulated(*flags, warp="32", order="rising", **variables):
    """A server on the chip; the environment is this process's, and set back."""
    names = {"FATHOM_EMULATED_WARP": warp, "FATHOM_EMULATED_ORDER": order, **variables}
    before = dict(os.environ)
    os.environ.update(names)
    try:
        return fathom.Server(TINY, *EMULATED, *flags)
    finally:
        os.environ.clear()
        os.environ.update(before)


def scores(server, text):
    """The tokens of a text, each one's log-probability and the two best in its place."""
    choice = fathom.completion(server, text, max_tokens=1, echo=True, logprobs=2)["logprobs"]
    return list(zip(choice["tokens"], choice["token_logprobs"], choice["top_logprobs"]))[1:-1]


def drawn(server, at_once=1):
    """What the chip answers by itself, with its log-probabilities."""

    def draw(prompt):
        return fathom.completion(
            server, prompt, max_tokens=24, temperature=0.8, seed=11, logprobs=2, ignore_eos=True
        )

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(draw, PROMPTS))


class Emulated(unittest.TestCase):
    maxDiff = None

    def test_log_probabilities_are_near_the_cpus(self):
        with fathom.Server(TINY, "--chip", "cpu", "--weights", "bf16") as server:
            texts = [
                prompt + fathom.completion(server, prompt, max_tokens=24)["text"]
                for prompt in PROMPTS
            ]
            expected = [scores(server, text) for text in texts]
        for warp in WIDTHS:
            with emulated("--weights", "bf16", warp=warp) as server:
                got = [scores(server, text) for text in texts]
            differences = []
            for cpu_text, chip_text in zip(expected, got):
                for (token, cpu, cpu_top), (same, chip, chip_top) in zip(cpu_text, chip_text):
                    self.assertEqual(token, same)
                    differences.append(abs(cpu - chip))
                    best = sorted(cpu_top.values(), reverse=True)
                    if best[0] - best[1] > CLEAR_MARGIN:
                        self.assertEqual(max(cpu_top, key=cpu_top.get), max(chip_top, key=chip_top.get))
            self.assertGreater(len(differences), 40)
            self.assertLess(sum(differences) / len(differences), MEAN_DIFFERENCE, warp)

    def test_it_agrees_with_itself(self):
        with emulated("--speculate", "0") as server:
            expected = drawn(server)
        for order, flags, at_once in (
            ("falling", ("--speculate", "0"), len(PROMPTS)),
            ("7", ("--speculate", "2", "--prefill-chunk", "16"), len(PROMPTS)),
        ):
            with emulated(*flags, order=order) as server:
                self.assertEqual(drawn(server, at_once), expected, (order, flags))

    def test_a_lost_chip_ends_the_server(self):
        with emulated(FATHOM_EMULATED_LOSE="2000") as server:
            with self.assertRaises(RuntimeError):
                for _ in range(50):
                    fathom.completion(server, PROMPTS[0], max_tokens=24, ignore_eos=True)
            self.assertEqual(server.process.wait(fathom.STOP_DEADLINE_S), LOST, server.stderr())

    def devices(self, **variables):
        done = subprocess.run(
            [fathom.fathom_binary(), "devices", "--json"],
            check=True, capture_output=True, text=True, env={**os.environ, **variables},
        )  # fmt: skip
        return {chip["chip"]: chip for chip in json.loads(done.stdout)["chips"]}

    def test_devices(self):
        for warp in WIDTHS:
            chips = self.devices(FATHOM_EMULATED_WARP=warp)
            self.assertIsNone(chips["cpu"]["error"])
            (device,) = chips["emulated"]["devices"]
            self.assertIn(f"warps of {warp}", device["name"])
            self.assertIsNone(device["error"])
        (device,) = self.devices(FATHOM_EMULATED_WARP="33")["emulated"]["devices"]
        self.assertIn("expected 32, 64 or 128, got 33", device["error"])


if __name__ == "__main__":
    unittest.main()
