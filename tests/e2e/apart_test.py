#!/usr/bin/python3
"""Prefill and decode apart: two engines that hand KV blocks over answer as one does."""

import os
import sys
import tempfile
import unittest

os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "tools", "oracle"))
import make_checkpoint
import server as fathom
from apart import (BLOCK, FLAGS, SHORT_AND_LONG, TINY, DecodeEngine, PrefillEngine, ask,
                   ask_all, fetched, metric, sent, wait_until_idle)  # fmt: skip
from waiting import wait_for


class SameLayout(unittest.TestCase):
    """Bit-identical: log-probabilities are compared as they are."""

    @classmethod
    def setUpClass(cls):
        with fathom.Server(TINY, *FLAGS) as server:
            cls.expected = dict(zip(SHORT_AND_LONG, ask_all(server, SHORT_AND_LONG)))

    def check(self, server, prompts):
        for text, got in zip(prompts, ask_all(server, prompts)):
            self.assertEqual(got, self.expected[text], text)

    def test_two_engines_answer_as_one(self):
        with PrefillEngine() as prefill, DecodeEngine(prefill) as decode:
            self.check(decode, SHORT_AND_LONG)
            blocks = fetched(decode)
            self.assertGreater(blocks * BLOCK, 1000)
            for server in (decode, prefill):
                wait_until_idle(server)
            self.assertEqual(sent(prefill), blocks)
            transfers = fetched(decode, "kv_transfers_total")
            wait_for("as many transfers sent", lambda: sent(prefill, "kv_transfers_total") == transfers, 5)
            self.assertEqual(fetched(decode, "kv_transfer_failures_total"), 0)
            self.assertEqual(metric(decode, "prefix_cache_hits_total"), 0)  # nobody's discount
            self.check(decode, SHORT_AND_LONG)  # from the cache, now
            self.assertEqual(fetched(decode), blocks)
            self.assertGreater(metric(decode, "prefix_cache_hits_total"), 1000)

    def test_salts_travel(self):
        with PrefillEngine() as prefill, DecodeEngine(prefill) as decode:
            text = SHORT_AND_LONG[-1]
            for salt in ("a", "b"):
                before = fetched(decode)
                self.assertEqual(ask(decode, text, cache_salt=salt), self.expected[text])
                self.assertGreater(fetched(decode), before)

    def test_memory_that_the_host_cannot_touch(self):
        chip = ("--chip", "cpu-discrete")
        with PrefillEngine(*chip) as prefill, DecodeEngine(prefill, flags=chip) as decode:
            self.check(decode, SHORT_AND_LONG)
            self.assertGreater(fetched(decode) * BLOCK, 1000)

    def test_tcp_alone_will_do(self):
        os.environ["UCX_TLS"] = "tcp"
        try:
            with PrefillEngine() as prefill, DecodeEngine(prefill) as decode:
                self.check(decode, SHORT_AND_LONG)
                self.assertGreater(fetched(decode), 0)
        finally:
            del os.environ["UCX_TLS"]


def chip(*options):
    """Flags of a chip whose cache is as `options` say."""
    return ("--chip", "cpu-discrete", "--kernels", ",".join(("native", *options)))


def block_size(tokens):
    return ("--kv-block-size", str(tokens))


class OtherCaches(unittest.TestCase):
    """Engines whose caches have other blocks, planes and numbers. Where the numbers are the same,
    the answers are bit-identical to those of one engine."""

    PROMPTS = SHORT_AND_LONG[2:]
    MAX_ERROR = 0.1  # of a log-probability, by latents in bf16
    NUMBERS = 5 * (64 + 16)  # of a token: latents and rotated keys of the layers and the MTP layer

    def answers(self, prefill_flags, decode_flags, bits=32):
        """Of two engines, which hand over numbers of so many bits."""
        with PrefillEngine(*prefill_flags) as prefill, DecodeEngine(prefill, flags=decode_flags) as decode:
            answers = ask_all(decode, self.PROMPTS)
            self.assertEqual(fetched(decode, "kv_transfers_total"), len(self.PROMPTS), decode.stderr())
            self.assertEqual(fetched(decode, "kv_transfer_failures_total"), 0)
            tokens = fetched(decode, "kv_transfer_bytes_total") * 8 / bits / self.NUMBERS
            self.assertGreater(tokens, 700)
            self.assertEqual(tokens % fetched(decode), 0)  # in whole blocks
            for server in (decode, prefill):
                wait_until_idle(server)
        return answers

    def alone(self, *flags):
        with fathom.Server(TINY, *FLAGS, *flags) as server:
            return ask_all(server, self.PROMPTS)

    def expect_near(self, answers, expected):
        for text, got, right in zip(self.PROMPTS, answers, expected):
            self.assertEqual(got[0], right[0], text)
            for a, b in zip(got[1], right[1]):
                self.assertLess(abs(a - b), self.MAX_ERROR, text)

    def test_blocks_and_planes(self):
        expected = self.alone()
        for prefill, decode in (
            (block_size(16), block_size(64)),
            (chip("planes=2", "block=64"), block_size(16)),
            (block_size(48), chip("planes=2", "block=32")),
        ):
            with self.subTest(prefill=prefill, decode=decode):
                self.assertEqual(self.answers(prefill, decode), expected)

    def test_f32_to_bf16(self):
        """The same bits whatever the blocks and planes; near to what one bf16 engine answers."""
        one = self.answers(("--kv-cache", "f32"), ("--kv-cache", "bf16", *block_size(16)), 16)
        other = self.answers(chip("planes=2", "block=64"), chip("planes=2", "kv=bf16", "block=16"), 16)
        self.assertEqual(one, other)
        self.expect_near(one, self.alone("--kv-cache", "bf16"))

    def test_bf16_to_f32(self):
        one = self.answers(("--kv-cache", "bf16"), ("--kv-cache", "f32", *block_size(64)), 16)
        other = self.answers(chip("kv=bf16", "block=16"), chip("planes=2", "block=64"), 16)
        self.assertEqual(one, other)
        self.expect_near(one, self.alone())


class CacheFlags(unittest.TestCase):
    def refused(self, *flags):
        server = fathom.Server(TINY, *FLAGS, *flags, ready=False)
        with server:
            self.assertNotEqual(server.process.wait(60), 0)
            return server.stderr()

    def test_a_block_size_that_the_chip_does_not_take(self):
        self.assertIn("--kv-block-size: expected 64, which chip cpu-discrete takes, got 32",
                      self.refused(*chip("block=64"), *block_size(32)))  # fmt: skip
        self.assertIn("--kv-block-size: expected 16 to 128 tokens, got 8", self.refused(*block_size(8)))

    def test_the_log_tells_the_caches_format(self):
        with fathom.Server(TINY, *FLAGS, *chip("planes=2", "block=64", "kv=bf16")) as server:
            self.assertIn("(bf16, blocks of 64 in two planes)", server.stderr())


class OtherLayouts(unittest.TestCase):
    """Prefill and decode engines over several ranks, with reference kernels."""

    KERNELS = ("--kernels", "reference")
    MAX_ERROR = 1e-3
    PROMPTS = SHORT_AND_LONG[1:4]

    def check(self, prefill_layout, decode_layout, model=TINY):
        def over(layout):
            return [*self.KERNELS, *(("--parallel", layout[0]) if layout[1] > 1 else ())]

        with fathom.Server(model, *FLAGS, *self.KERNELS) as server:
            expected = ask_all(server, self.PROMPTS)
        with PrefillEngine(*over(prefill_layout), ranks=prefill_layout[1], model=model) as prefill:
            with DecodeEngine(prefill, flags=over(decode_layout), ranks=decode_layout[1],
                              model=model) as decode:  # fmt: skip
                answers = ask_all(decode, self.PROMPTS)
                self.assertGreater(fetched(decode) * BLOCK, 300, decode.stderr())
                self.assertGreaterEqual(fetched(decode, "kv_transfers_total"), 2)  # one may be too short
                self.assertEqual(fetched(decode, "kv_transfer_failures_total"), 0)
                wait_until_idle(decode)
                wait_until_idle(prefill)
                self.assertEqual(decode.stop(), 0, decode.stderr())
        for text, got, right in zip(self.PROMPTS, answers, expected):
            self.assertEqual(got[0], right[0], text)
            for a, b in zip(got[1], right[1]):
                self.assertLess(abs(a - b), self.MAX_ERROR, text)

    def test_tensor_to_one(self):
        self.check(("tp=2", 2), ("", 1))

    def test_four_tensor_ranks_to_one(self):
        with tempfile.TemporaryDirectory() as directory:
            make_checkpoint.make_checkpoint(directory, "v3", "bf16", seed=1)
            self.check(("tp=4", 4), ("", 1), directory)

    def test_pipeline_to_tensor(self):
        self.check(("pp=2", 2), ("tp=2", 2))

    def test_data_and_experts_to_pipeline(self):
        self.check(("dp=2,ep=2", 2), ("pp=2", 2))

    def test_one_to_data_and_tensor(self):
        self.check(("", 1), ("dp=2,tp=2", 4))


if __name__ == "__main__":
    unittest.main()
