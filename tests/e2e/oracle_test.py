#!/usr/bin/python3
"""Checks the NumPy reference itself: formats by exhaustion, formulas by hand, path against path."""

import itertools
import json
import math
import os
import struct
import sys
import tempfile
import unittest

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "tools", "oracle"))
import deepseek_v3
import make_checkpoint
import safetensors
import shapes
import tokenizer_files


def e4m3_values():
    """The positive finite E4M3 numbers in order, written out from the format's definition."""
    values = [mantissa * 2.0**-9 for mantissa in range(8)]
    for exponent in range(1, 16):
        for eighths in range(8):
            if (exponent, eighths) != (15, 7):  # that code is NaN
                values.append((8 + eighths) * 2.0 ** (exponent - 10))
    return values


def nearest_code(value, table):
    """Code of the number nearest to |value|; of two equally near ones the even code."""
    return min(range(len(table)), key=lambda code: (abs(table[code] - abs(value)), code % 2))


class Fp8(unittest.TestCase):
    table = e4m3_values()

    def test_decodes_every_code(self):
        decoded = safetensors.decode_e4m3(np.arange(256, dtype=np.uint8))
        self.assertEqual(decoded[:127].tolist(), self.table)
        self.assertEqual(decoded[128:255].tolist(), [-value for value in self.table])
        self.assertTrue(np.isnan(decoded[127]) and np.isnan(decoded[255]))

    def test_encodes_what_it_decodes(self):
        codes = np.array([*range(127), *range(128, 255)], dtype=np.uint8)
        encoded = safetensors.encode_e4m3(safetensors.decode_e4m3(codes))
        self.assertEqual(encoded.tolist(), codes.tolist())

    def test_rounds_to_nearest_ties_to_even(self):
        values = []
        for low, high in itertools.pairwise(self.table):
            middle = (low + high) / 2
            values += [middle, np.nextafter(middle, 0), np.nextafter(middle, 999)]
        expected = [nearest_code(value, self.table) for value in values]
        self.assertEqual(safetensors.encode_e4m3(values).tolist(), expected)
        negative = safetensors.encode_e4m3([-value for value in values])
        self.assertEqual(negative.tolist(), [code + 128 for code in expected])

    def test_rounds_random_values(self):
        random = np.random.default_rng(7)
        values = random.standard_normal(2000) * np.exp2(random.uniform(-12, 10, 2000))
        sign = np.where(values < 0, 128, 0)
        expected = [nearest_code(value, self.table) for value in values] + sign
        self.assertEqual(safetensors.encode_e4m3(values).tolist(), expected.tolist())

    def test_saturates(self):
        codes = safetensors.encode_e4m3([448, 464, 465, 1e9, math.inf, -1e9, math.nan])
        self.assertEqual(codes.tolist(), [126, 126, 126, 126, 126, 254, 127])

    def test_dequantises_partial_blocks(self):
        random = np.random.default_rng(3)
        values = random.standard_normal((130, 260))
        scale = random.uniform(1, 2, (2, 3))
        got = deepseek_v3.dequantise(values, scale)
        for row, column in [(0, 0), (127, 127), (127, 128), (128, 127), (129, 255), (129, 259)]:
            expected = values[row, column] * scale[row // 128, column // 128]
            self.assertEqual(got[row, column], expected)


class Bf16(unittest.TestCase):
    def test_rounds_to_nearest_ties_to_even(self):
        cases = {
            0x3F800000: 0x3F80,  # 1.0
            0x3F808000: 0x3F80,  # tie, down to even
            0x3F818000: 0x3F82,  # tie, up to even
            0x3F808001: 0x3F81,
            0xBF817FFF: 0xBF81,
            0x7F7FFFFF: 0x7F80,  # the largest float32 rounds to infinity
        }
        floats = [struct.unpack("<f", struct.pack("<I", bits))[0] for bits in cases]
        encoded = safetensors.encode_bf16(np.array(floats, dtype=np.float32))
        self.assertEqual(encoded.tolist(), list(cases.values()))
        self.assertEqual(safetensors.decode_bf16(np.array([0xC049], np.uint16))[0], -3.140625)


class Files(unittest.TestCase):
    def test_sharded_round_trip(self):
        random = np.random.default_rng(5)
        tensors = {
            "a": safetensors.from_float(random.standard_normal((3, 5)), "BF16"),
            "b": safetensors.from_float(random.standard_normal((2, 2, 2)), "F8_E4M3"),
            "c": safetensors.from_float(random.standard_normal(4), "F32"),
        }
        with tempfile.TemporaryDirectory() as directory:
            safetensors.write_sharded(directory, tensors, shards=2)
            back = safetensors.read_sharded(directory)
            with open(os.path.join(directory, safetensors.INDEX_FILE), encoding="utf-8") as file:
                self.assertEqual(json.load(file)["metadata"]["total_size"], 30 + 8 + 16)
        for name, tensor in tensors.items():
            self.assertEqual(back[name].dtype, tensor.dtype)
            np.testing.assert_array_equal(back[name].bits, tensor.bits)

    def test_vocabulary(self):
        texts = tokenizer_files.text_of_ids()
        self.assertEqual(len(set(texts.values())), len(texts))
        tokens = tokenizer_files.vocabulary()
        self.assertEqual(tokens[3], "!")
        self.assertEqual(tokens[258], "Ń")  # the last of the byte alphabet, as released
        self.assertIn("你", texts.values())
        for shape in shapes.SHAPES:
            self.assertLessEqual(len(tokens), shapes.config_of(shape, "bf16")["vocab_size"])


class Rope(unittest.TestCase):
    yarn = {"factor": 40, "original_max_position_embeddings": 4096, "beta_fast": 32, "beta_slow": 1}

    def test_yarn_by_hand(self):
        # dim 16, theta 10^4: pair i turns 10^(-i/2) radians a position. Pairs with 32 turns and
        # 1 turn in 4096 positions: 16 ln(4096/(64 pi)) / (2 ln 10^4) = 2.617 and 5.628, so the
        # ramp runs from pair 2 to pair 6 in quarters.
        kept = [1, 1, 1, 0.75 + 0.25 / 40, 0.5 + 0.5 / 40, 0.25 + 0.75 / 40, 1 / 40, 1 / 40]
        plain = [10 ** (-i / 2) for i in range(8)]
        got = deepseek_v3.rope_frequencies(16, 10000, self.yarn)
        np.testing.assert_allclose(got, np.multiply(plain, kept), rtol=1e-14)

    def test_yarn_of_released_v3(self):
        # dim 64: 64 ln(4096/(64 pi)) / (2 ln 10^4) = 10.47, 64 ln(4096/(2 pi)) / ... = 22.51.
        ratio = deepseek_v3.rope_frequencies(64, 10000, self.yarn)
        ratio /= deepseek_v3.rope_frequencies(64, 10000)
        np.testing.assert_allclose(ratio[:11], 1, rtol=1e-14)
        np.testing.assert_allclose(ratio[11], 12 / 13 + 1 / 13 / 40, rtol=1e-14)
        np.testing.assert_allclose(ratio[22], 1 / 13 + 12 / 13 / 40, rtol=1e-14)
        np.testing.assert_allclose(ratio[23:], 1 / 40, rtol=1e-14)

    def test_mscale(self):
        self.assertAlmostEqual(deepseek_v3.yarn_mscale(40, 1.0), 1.3688879454113936, places=15)
        self.assertAlmostEqual(deepseek_v3.yarn_mscale(40, 0.707), 1.2608037774058553, places=15)
        self.assertEqual(deepseek_v3.yarn_mscale(1, 1.0), 1.0)

    def test_pairs_equal_the_released_permutation(self):
        """The released code moves evens before odds and rotates halves: the same dot products."""
        random = np.random.default_rng(1)
        q, k = random.standard_normal((2, 5, 12))
        frequencies = deepseek_v3.rope_frequencies(12, 10000)
        angles = np.outer(np.arange(5), frequencies)

        def rotate_halves(x):
            first, second = x[:, 0::2], x[:, 1::2]
            cos, sin = np.cos(angles), np.sin(angles)
            return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=1)

        pairs = [deepseek_v3.rotate_pairs(x, angles, 1.0) for x in (q, k)]
        np.testing.assert_allclose(pairs[0] @ pairs[1].T, rotate_halves(q) @ rotate_halves(k).T)


class FixedGate(deepseek_v3.Model):
    """A gate whose router logits are given."""

    def __init__(self, logits, bias, **config):
        self.logits, self.config = np.array([logits], dtype=float), config
        self.weights = {"m.gate.e_score_correction_bias": np.array(bias)}

    def linear(self, x, name):
        return self.logits

    def choose(self):
        chosen, weights, _ = self.gate(np.zeros((1, 1)), "m")
        return chosen[0].tolist(), weights[0].tolist()


def logit(p):
    return math.log(p / (1 - p))


class Gate(unittest.TestCase):
    v3 = {
        "scoring_func": "sigmoid",
        "topk_method": "noaux_tc",
        "n_group": 2,
        "topk_group": 1,
        "num_experts_per_tok": 2,
        "norm_topk_prob": True,
        "routed_scaling_factor": 2.5,
    }
    v2 = {**v3, "scoring_func": "softmax", "norm_topk_prob": False}

    def test_group_is_scored_by_its_best_two(self):
        # Group 0 has the best expert (0.9 + 0.1), group 1 the better pair (0.7 + 0.6).
        scores = [0.9, 0.1, 0.2, 0.7, 0.6, 0.1]
        gate = FixedGate([logit(p) for p in scores], np.zeros(6), **self.v3)
        chosen, weights = gate.choose()
        self.assertEqual(chosen, [3, 4])
        np.testing.assert_allclose(weights, [2.5 * 0.7 / 1.3, 2.5 * 0.6 / 1.3])

    def test_bias_chooses_but_does_not_weigh(self):
        scores = [0.5, 0.4, 0.3, 0.2, 0.2, 0.2]
        bias = [0.0, -0.3, 0.3, 0.0, 0.0, 0.0]
        gate = FixedGate([logit(p) for p in scores], bias, **self.v3)
        chosen, weights = gate.choose()
        self.assertEqual(chosen, [2, 0])
        np.testing.assert_allclose(weights, [2.5 * 0.3 / 0.8, 2.5 * 0.5 / 0.8])

    def test_unnormalised_weights_are_scaled(self):
        config = {**self.v3, "norm_topk_prob": False}
        gate = FixedGate([logit(p) for p in (0.5, 0.4, 0.3, 0.2)], np.zeros(4), **config)
        np.testing.assert_allclose(gate.choose()[1], [1.25, 1.0])

    def test_equal_scores_go_to_the_lower_index(self):
        gate = FixedGate([0.0] * 6, np.zeros(6), **self.v3)
        self.assertEqual(gate.choose()[0], [0, 1])

    def test_group_limited_greedy_takes_the_best_of_each_group(self):
        config = {**self.v2, "topk_method": "group_limited_greedy"}
        probabilities = [0.3, 0.05, 0.05, 0.2, 0.2, 0.2]
        gate = FixedGate(np.log(probabilities), np.zeros(6), **config)
        chosen, weights = gate.choose()
        self.assertEqual(chosen, [0, 1])
        np.testing.assert_allclose(weights, [0.75, 0.125])

    def test_greedy_ignores_groups_and_normalised_weights_stay_unscaled(self):
        config = {**self.v2, "topk_method": "greedy", "norm_topk_prob": True}
        probabilities = [0.3, 0.05, 0.05, 0.2, 0.25, 0.15]
        gate = FixedGate(np.log(probabilities), np.zeros(6), **config)
        chosen, weights = gate.choose()
        self.assertEqual(chosen, [0, 4])
        np.testing.assert_allclose(weights, [0.3 / 0.55, 0.25 / 0.55])


class WholeModel(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = temporary.name

    def load(self, shape, dtype, **options):
        make_checkpoint.make_checkpoint(self.directory, shape, dtype, seed=1)
        return deepseek_v3.Model(self.directory, **options)

    def test_absorbed_equals_expanded_and_chunks_equal_the_whole(self):
        tokens = np.random.default_rng(2).integers(0, 300, 90)
        for shape in shapes.SHAPES:
            with self.subTest(shape=shape):
                model = self.load(shape, "fp8")
                whole = model.forward(tokens)
                absorbed = deepseek_v3.Model(self.directory, absorbed=True).forward(tokens)
                np.testing.assert_allclose(absorbed.logits, whole.logits, atol=1e-10)
                state = model.new_state()
                parts = [model.forward(part, state).logits for part in np.split(tokens, [1, 40])]
                np.testing.assert_allclose(np.concatenate(parts), whole.logits, atol=1e-10)
                again = model.forward(tokens[40:], state.prefix(40))
                np.testing.assert_allclose(again.logits, whole.logits[40:], atol=1e-10)

    def test_output_is_spread_and_routing_is_decided(self):
        tokens = np.random.default_rng(2).integers(0, 300, 200)
        for shape in shapes.SHAPES:
            with self.subTest(shape=shape):
                out = self.load(shape, "bf16").forward(tokens)
                trained = list(tokenizer_files.text_of_ids())
                self.assertGreater(out.log_probs()[:, trained].std(), 1.8)
                self.assertTrue(np.isin(out.logits.argmax(axis=1), trained).all())
                self.assertGreater(np.median(out.router_margin), 0.005)

    def test_mtp_of_one_token_by_hand(self):
        """With one token attention is the value itself, and RoPE at position 0 does nothing."""
        model = self.load("tiny", "fp8")
        w, eps = model.weights, 1e-6
        prefix = "model.layers.2."

        def norm(x, name):
            return x / np.sqrt((x * x).mean() + eps) * w[prefix + name + ".weight"]

        hidden = np.random.default_rng(4).standard_normal(32)
        joined = [norm(w["model.embed_tokens.weight"][42], "enorm"), norm(hidden, "hnorm")]
        x = w[prefix + "eh_proj.weight"] @ np.concatenate(joined)
        kv_a = w[prefix + "self_attn.kv_a_proj_with_mqa.weight"] @ norm(x, "input_layernorm")
        latent = norm(kv_a[:16], "self_attn.kv_a_layernorm")
        kv = (w[prefix + "self_attn.kv_b_proj.weight"] @ latent).reshape(2, 16)
        x = x + w[prefix + "self_attn.o_proj.weight"] @ kv[:, 8:].ravel()
        normed = norm(x, "post_attention_layernorm")
        x = x + model.moe(normed[None], prefix + "mlp")[0][0]
        expected = w["lm_head.weight"] @ norm(x, "shared_head.norm")

        got = model.forward_mtp([42], hidden[None])
        np.testing.assert_allclose(got.logits[0], expected, rtol=1e-12)


if __name__ == "__main__":
    unittest.main()
