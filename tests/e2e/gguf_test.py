#!/usr/bin/python3
"""`fathom convert` of GGUF files against decoders written from the format's description in NumPy.

Files of every block format with random contents, in the old form (attn_kv_b) and the new one
(attn_k_b, attn_v_b), and damaged ones. FATHOM_BIN names the binary.
"""

import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import unittest

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "tools", "oracle"))
import safetensors
import tokenizer_files
from server import fathom_binary

HIDDEN, HEADS, NOPE, ROPE, VALUE, LORA, INNER, EXPERTS = 256, 2, 256, 16, 128, 256, 256, 4
TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 8, "Q4_K": 12, "Q6_K": 14, "BF16": 30}


def halves(raw):
    return raw.copy().view("<f2").astype(np.float64)


def random_halves(generator, count):
    values = generator.uniform(0.001, 0.01, count) * generator.choice([-1, 1], count)
    return values.astype("<f2").view(np.uint8).reshape(count, 2)


def make_f32(generator, count):
    values = generator.normal(0, 1, count).astype("<f4")
    return values.tobytes(), values.astype(np.float64)


def make_f16(generator, count):
    values = generator.normal(0, 1, count).astype("<f2")
    return values.tobytes(), values.astype(np.float64)


def make_bf16(generator, count):
    bits = safetensors.encode_bf16(generator.normal(0, 1, count))
    return bits.tobytes(), safetensors.decode_bf16(bits)


def make_q8_0(generator, count):
    blocks = count // 32
    scale = random_halves(generator, blocks)
    codes = generator.integers(0, 256, (blocks, 32), dtype=np.uint8)
    values = halves(scale) * codes.view(np.int8)
    return np.hstack([scale, codes]).tobytes(), values.ravel()


def make_q4_0(generator, count):
    blocks = count // 32
    scale = random_halves(generator, blocks)
    codes = generator.integers(0, 256, (blocks, 16), dtype=np.uint8)
    numbers = np.hstack([codes & 15, codes >> 4]).astype(np.float64) - 8
    return np.hstack([scale, codes]).tobytes(), (halves(scale) * numbers).ravel()


def make_q4_k(generator, count):
    blocks = count // 256
    scale, least = random_halves(generator, blocks), random_halves(generator, blocks)
    scales = generator.integers(0, 64, (blocks, 8), dtype=np.uint8)
    minima = generator.integers(0, 64, (blocks, 8), dtype=np.uint8)
    packed = np.hstack(
        [
            scales[:, :4] | (scales[:, 4:] >> 4) << 6,
            minima[:, :4] | (minima[:, 4:] >> 4) << 6,
            (scales[:, 4:] & 15) | (minima[:, 4:] & 15) << 4,
        ]
    )
    numbers = generator.integers(0, 16, (blocks, 8, 32), dtype=np.uint8)
    codes = (numbers[:, 0::2] | numbers[:, 1::2] << 4).reshape(blocks, 128)
    values = halves(scale)[:, :, None] * scales[:, :, None] * numbers
    values -= halves(least)[:, :, None] * minima[:, :, None]
    return np.hstack([scale, least, packed, codes]).tobytes(), values.ravel()


def make_q6_k(generator, count):
    blocks = count // 256
    scale = random_halves(generator, blocks)
    scales = generator.integers(0, 256, (blocks, 16), dtype=np.uint8)
    numbers = generator.integers(0, 64, (blocks, 2, 4, 32), dtype=np.uint8)
    low, high = numbers & 15, numbers >> 4
    lows = np.concatenate([low[:, :, 0] | low[:, :, 2] << 4, low[:, :, 1] | low[:, :, 3] << 4], 2)
    highs = high[:, :, 0] | high[:, :, 1] << 2 | high[:, :, 2] << 4 | high[:, :, 3] << 6
    values = numbers.reshape(blocks, 16, 16).astype(np.float64) - 32
    values = values * scales.view(np.int8)[:, :, None] * halves(scale)[:, :, None]
    parts = [lows.reshape(blocks, 128), highs.reshape(blocks, 64), scales, scale]
    return np.hstack(parts).tobytes(), values.ravel()


MAKERS = {
    "F32": make_f32,
    "F16": make_f16,
    "BF16": make_bf16,
    "Q8_0": make_q8_0,
    "Q4_0": make_q4_0,
    "Q4_K": make_q4_k,
    "Q6_K": make_q6_k,
}


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def key_value(key, value):
    if isinstance(value, bool):
        return text(key) + struct.pack("<IB", 7, value)
    if isinstance(value, int):
        return text(key) + struct.pack("<II", 4, value)
    if isinstance(value, float):
        return text(key) + struct.pack("<If", 6, value)
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    kind = 8 if isinstance(value[0], str) else 5
    body = b"".join(text(v) if kind == 8 else struct.pack("<i", v) for v in value)
    return text(key) + struct.pack("<IIQ", 9, kind, len(value)) + body


def values(split):
    tokens = tokenizer_files.vocabulary()
    late = len(tokens) - len(tokenizer_files.LATE_TOKENS)
    arch = {
        "vocab_size": len(tokens),
        "context_length": 512,
        "embedding_length": HIDDEN,
        "block_count": 2,
        "feed_forward_length": INNER,
        "attention.head_count": HEADS,
        "attention.head_count_kv": 1 if split else HEADS,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "attention.kv_lora_rank": LORA,
        "attention.key_length": LORA + ROPE if split else NOPE + ROPE,
        "attention.value_length": LORA if split else VALUE,
        "rope.dimension_count": ROPE,
        "leading_dense_block_count": 1,
        "expert_feed_forward_length": INNER,
        "expert_shared_count": 1,
        "expert_count": EXPERTS,
        "expert_used_count": 2,
        "expert_weights_scale": 2.5,
        "expert_weights_norm": True,
        "expert_gating_func": 2,
    }
    if split:
        arch |= {"attention.key_length_mla": NOPE + ROPE, "attention.value_length_mla": VALUE}
    pairs = {"general.architecture": "deepseek2"}
    pairs |= {f"deepseek2.{key}": value for key, value in arch.items()}
    return pairs | {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "deepseek-v3",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3 if i < 3 or i >= late else 1 for i in range(len(tokens))],
        "tokenizer.ggml.merges": [" ".join(pair) for pair in tokenizer_files.MERGES],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.chat_template": tokenizer_files.CHAT_TEMPLATE,
    }


def shapes(split):
    """{GGUF name: shape, columns last}; vectors have one size."""
    vocabulary = len(tokenizer_files.vocabulary())
    all_shapes = {"token_embd.weight": (vocabulary, HIDDEN), "output.weight": (vocabulary, HIDDEN)}
    all_shapes["output_norm.weight"] = (HIDDEN,)
    for layer in range(2):
        at = f"blk.{layer}."
        block = {
            "attn_norm": (HIDDEN,),
            "ffn_norm": (HIDDEN,),
            "attn_kv_a_norm": (LORA,),
            "attn_q": (HEADS * (NOPE + ROPE), HIDDEN),
            "attn_kv_a_mqa": (LORA + ROPE, HIDDEN),
            "attn_output": (HIDDEN, HEADS * VALUE),
        }
        if split:
            block |= {"attn_k_b": (HEADS, LORA, NOPE), "attn_v_b": (HEADS, VALUE, LORA)}
        else:
            block["attn_kv_b"] = (HEADS * (NOPE + VALUE), LORA)
        if layer == 0:
            block |= {"ffn_gate": (INNER, HIDDEN), "ffn_up": (INNER, HIDDEN)}
            block["ffn_down"] = (HIDDEN, INNER)
        else:
            block |= {"ffn_gate_inp": (EXPERTS, HIDDEN)}
            all_shapes[at + "exp_probs_b.bias"] = (EXPERTS,)
            for kind, lead in (("exps", (EXPERTS,)), ("shexp", ())):
                block[f"ffn_gate_{kind}"] = (*lead, INNER, HIDDEN)
                block[f"ffn_up_{kind}"] = (*lead, INNER, HIDDEN)
                block[f"ffn_down_{kind}"] = (*lead, HIDDEN, INNER)
        all_shapes |= {f"{at}{name}.weight": shape for name, shape in block.items()}
    return all_shapes


def make_gguf(kind, split, seed):
    """The bytes of a file whose matrices are of type `kind`, and {name: its numbers}."""
    generator = np.random.default_rng(seed)
    pairs = values(split)
    infos, data, numbers = b"", b"", {}
    for name, shape in shapes(split).items():
        stored_as = kind if len(shape) > 1 and "gate_inp" not in name else "F32"
        raw, content = MAKERS[stored_as](generator, int(np.prod(shape)))
        numbers[name] = content.reshape(shape)
        data += b"\0" * (-len(data) % 32)
        infos += text(name) + struct.pack("<I", len(shape))
        infos += struct.pack(f"<{len(shape)}Q", *reversed(shape))
        infos += struct.pack("<IQ", TYPES[stored_as], len(data))
        data += raw
    header = b"GGUF" + struct.pack("<IQQ", 3, len(numbers), len(pairs))
    header += b"".join(key_value(key, value) for key, value in pairs.items()) + infos
    return header + b"\0" * (-len(header) % 32) + data, numbers


def expected_tensors(numbers):
    """Some of what the directory must hold, by released name."""
    if "blk.1.attn_k_b.weight" in numbers:
        keys = numbers["blk.1.attn_k_b.weight"].transpose(0, 2, 1)
        both = np.concatenate([keys, numbers["blk.1.attn_v_b.weight"]], 1)
        kv_b = both.reshape(-1, LORA)
    else:
        kv_b = numbers["blk.1.attn_kv_b.weight"]
    return {
        "model.embed_tokens.weight": numbers["token_embd.weight"],
        "lm_head.weight": numbers["output.weight"],
        "model.layers.1.self_attn.kv_b_proj.weight": kv_b,
        "model.layers.0.mlp.down_proj.weight": numbers["blk.0.ffn_down.weight"],
        "model.layers.1.mlp.experts.3.up_proj.weight": numbers["blk.1.ffn_up_exps.weight"][3],
        "model.layers.1.mlp.shared_experts.gate_proj.weight": numbers["blk.1.ffn_gate_shexp.weight"],
        "model.layers.1.mlp.gate.weight": numbers["blk.1.ffn_gate_inp.weight"],
        "model.layers.1.mlp.gate.e_score_correction_bias": numbers["blk.1.exp_probs_b.bias"],
    }


class Gguf(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.file = os.path.join(self.temporary.name, "model.gguf")
        self.out = os.path.join(self.temporary.name, "out")

    def convert(self, content, *flags):
        with open(self.file, "wb") as file:
            file.write(content)
        command = [fathom_binary(), "convert", "--model", self.file, "--out", self.out, *flags]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def test_every_format(self):
        for seed, kind in enumerate(MAKERS):
            for split in (False, True):
                with self.subTest(kind=kind, split=split):
                    content, numbers = make_gguf(kind, split, seed)
                    done = self.convert(content, "--weights", "bf16")
                    self.assertEqual(done.returncode, 0, done.stderr)
                    tensors = safetensors.read_sharded(self.out)
                    for name, expected in expected_tensors(numbers).items():
                        got = tensors[name].to_float64()
                        self.assertEqual(got.shape, expected.shape, name)
                        worst = np.abs(got - expected).max() / np.abs(expected).max()
                        self.assertLess(worst, 2**-8, name)
                    subprocess.run(["rm", "-r", self.out], check=True)

    def test_the_directory_serves(self):
        content, _ = make_gguf("Q6_K", True, 1)
        done = self.convert(content, "--weights", "bf16")
        self.assertEqual(done.returncode, 0, done.stderr)
        command = [fathom_binary(), "serve", "--check", "--model", self.out]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(self.out, "tokenizer_config.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file)["chat_template"], tokenizer_files.CHAT_TEMPLATE)

    def test_damage_is_refused_in_a_line(self):
        content, _ = make_gguf("Q8_0", True, 2)
        generator = random.Random(4)
        for number in range(60):
            if number % 2:
                damaged = content[: generator.randrange(len(content) - 64)]
            else:
                at = generator.randrange(24)
                damaged = content[:at] + bytes([content[at] ^ 0x81]) + content[at + 1 :]
            done = self.convert(damaged)
            self.assertEqual(done.returncode, 1, f"case {number}: {done.stderr}")
            self.assertIn("model.gguf", done.stderr)
            self.assertFalse(os.path.exists(self.out))


if __name__ == "__main__":
    unittest.main()
