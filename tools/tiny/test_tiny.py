"""Tests of the embedded model's tools; run with python3 -m unittest from this folder."""

import json
import random
import re
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

import fp8
from bpe import Tokenizer
from data import TASKS, conversation, draw, heldout_batches, render
from evaluate import correct, generate
from export import export, load, safetensors
from model import Config, Model, causal_bias, rotary
from problem import is_heldout
from train import ROOT, QuantisedForward

MODEL = ROOT / "models" / "tiny"


class Fp8(unittest.TestCase):
    CODES = np.array([c for c in range(256) if c & 127 != 127], dtype=np.uint8)
    VALUES = torch.from_numpy(safetensors.decode_e4m3(CODES)).float()

    def test_every_code_survives(self):
        self.assertEqual(float(self.VALUES.max()), 448.0)
        self.assertTrue(torch.equal(fp8.round_e4m3(self.VALUES), self.VALUES))
        self.assertTrue(np.array_equal(safetensors.encode_e4m3(self.VALUES.numpy()), self.CODES))

    def test_rounds_to_the_nearest(self):
        values = self.VALUES
        x = (torch.randn(4000) * torch.exp2(torch.randn(4000) * 4)).clamp(-448, 448)
        nearest = (x[:, None] - values[None]).abs().min(1).values
        self.assertTrue(torch.equal((fp8.round_e4m3(x) - x).abs(), nearest))

    def test_edge_blocks_have_their_own_scale(self):
        weight = torch.ones(130, 129)
        weight[128:, 128:] = 7.0
        expected = torch.tensor([[1.0, 1.0], [1.0, 7.0]]) / 448
        self.assertTrue(torch.allclose(fp8.block_scales(weight), expected))
        self.assertTrue(torch.allclose(fp8.fake_quantise(weight), weight))


class Data(unittest.TestCase):
    def test_answers_are_right(self):
        """Recomputed from the problem's key, which no generator's thought goes through."""
        rng = random.Random(4)
        for _ in range(500):
            add, sub, mul = (draw(rng, task, False) for task in ("add", "sub", "mul"))
            a, b = map(int, add.key.split("+"))
            self.assertEqual(int(add.expect), a + b)
            a, b = map(int, sub.key.split("-"))
            self.assertEqual(int(sub.expect), a - b)
            a, b = map(int, mul.key.split("*"))
            self.assertEqual(int(mul.expect), a * b)
            for problem in (add, sub, mul):
                self.assertEqual(problem.thought.split("= ")[-1], problem.expect)

    def test_expected_answers_pass_their_own_rule(self):
        rng = random.Random(5)
        for task in TASKS:
            for _ in range(50):
                problem = draw(rng, task, True)
                _, completion = render(conversation(rng, problem, 1.0))
                content = completion.replace("<｜end▁of▁sentence｜>", "").split("</think>")[-1]
                line = {"match": problem.match, "expect": problem.expect}
                self.assertTrue(correct(line, content), (task, content, problem.expect))
                other = draw(rng, task, True).expect
                if other != problem.expect:
                    self.assertFalse(correct({**line, "expect": other}, content), (task, content, other))

    def test_training_and_held_out_problems_are_apart(self):
        rng = random.Random(6)
        for task in TASKS:
            split = "tool" if task.startswith("tool") else task
            self.assertTrue(all(is_heldout(split, draw(rng, task, True).key) for _ in range(50)))
            self.assertFalse(any(is_heldout(split, draw(rng, task, False).key) for _ in range(50)))

    def test_tokenizer_round_trip_and_single_digits(self):
        tokenizer = Tokenizer(MODEL / "tokenizer.json")
        for text in ("What is 347 + 586?", "你好，Fathom！😀\n\n", "<｜User｜>a\tb<think>", "naïve  ÿ\u3042"):
            self.assertEqual(tokenizer.decode(tokenizer.encode(text)), text)
        self.assertEqual(len(tokenizer.encode("907142")), 6)


class Models(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.manual_seed(3)
        cls.model = Model(Config(vocab_size=1280), seed=3)
        for module in cls.model.modules():
            if hasattr(module, "e_score_correction_bias"):
                module.e_score_correction_bias.normal_(0, 0.1)
        cls.folder = tempfile.TemporaryDirectory()
        export(cls.model, Path(cls.folder.name))
        cls.loaded = load(Path(cls.folder.name))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_what_is_stored_is_what_training_saw(self):
        with QuantisedForward(self.model):
            loaded = dict(self.loaded.named_parameters())
            for name, p in self.model.named_parameters():
                error = float(((p - loaded[name]).abs() / (p.abs() + 1e-6)).max().detach())
                self.assertLessEqual(error, 2**-8 + 1e-6, name)  # what bf16 keeps loses at most 2^-8; FP8 nothing
        for (name, a), (_, b) in zip(self.model.named_buffers(), self.loaded.named_buffers()):
            self.assertTrue(torch.equal(a, b), name)

    def test_index_names_every_tensor_once(self):
        index = json.loads((Path(self.folder.name) / "model.safetensors.index.json").read_text())
        names = index["weight_map"]
        self.assertEqual(len(set(names.values())), 2)
        linears = [n for n in names if n.endswith("weight_scale_inv")]
        self.assertEqual(len(linears), 5 * 5 + 3 + 4 * (16 + 1) * 3)
        self.assertTrue(all(n[: -len("_scale_inv")] in names for n in linears))
        for name in ("model.layers.4.eh_proj.weight", "model.layers.4.shared_head.head.weight",
                     "model.layers.4.embed_tokens.weight", "model.layers.1.mlp.gate.e_score_correction_bias"):
            self.assertIn(name, names)
            self.assertNotIn(name + "_scale_inv", names)

    @torch.no_grad()
    def test_cached_generation_equals_full_passes(self):
        prompts = [[0, 5, 9, 77, 300], [0, 8, 200], [0, 4, 4, 4, 12, 60, 70, 80]]
        written = generate(self.loaded, prompts, eos=-1, limit=12)
        for prompt, ids in zip(prompts, written):
            tokens = torch.tensor([prompt + ids[:-1]])
            table = rotary(torch.arange(tokens.shape[1]).unsqueeze(0), self.loaded.c)
            hidden = self.loaded.hidden(tokens, causal_bias(tokens.shape[1]), table)
            logits = torch.nn.functional.linear(hidden[0, len(prompt) - 1 :], self.loaded.lm_head)
            self.assertEqual(logits.argmax(-1).tolist(), ids)

    def test_expert_gradients(self):
        """The hand-written backward against autograd through a dense mixture."""
        moe = self.model.layers[1].mlp
        x = torch.randn(40, 192, requires_grad=True)
        dense_x = x.detach().clone().requires_grad_()
        probe = torch.randn(40, 192)
        names = ("gate_up", "down", "gate")
        (moe(x) * probe).sum().backward()
        fused = {n: getattr(moe, n).grad.clone() for n in names}
        self.model.zero_grad()
        weights, chosen = moe.route(dense_x)
        full = torch.zeros(40, 16).scatter(1, chosen, weights)
        inner = torch.matmul(dense_x, moe.gate_up.transpose(1, 2))
        act = torch.nn.functional.silu(inner[..., :64]) * inner[..., 64:]
        routed = (torch.matmul(act, moe.down.transpose(1, 2)) * full.t().unsqueeze(-1)).sum(0)
        ((routed + moe.shared_experts(dense_x)) * probe).sum().backward()
        for n in names:
            self.assertTrue(torch.allclose(fused[n], getattr(moe, n).grad, atol=1e-3, rtol=1e-3), n)
        self.assertTrue(torch.allclose(x.grad, dense_x.grad, atol=1e-4, rtol=1e-3))
        self.model.zero_grad()


class Targets(unittest.TestCase):
    def test_only_the_completion_is_trained(self):
        tokenizer = Tokenizer(MODEL / "tokenizer.json")
        (batch,) = heldout_batches(tokenizer, 1, "add", 8)
        for tokens, targets in zip(batch.tokens, batch.targets):
            trained = [int(t) for t in targets if t >= 0]
            text = tokenizer.decode(trained)
            self.assertRegex(text, re.compile(r"^\d+\+\d+\n.*</think>.*<｜end▁of▁sentence｜>$", re.S))
            first = int((targets >= 0).nonzero()[0])
            self.assertEqual(int(tokens[first]), tokenizer.added["<think>"])


if __name__ == "__main__":
    unittest.main()
