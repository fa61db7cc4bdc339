#!/usr/bin/python3
"""Writes a random checkpoint in DeepSeek-V3's released format.

    make_checkpoint.py OUT --shape v3 --dtype fp8 --seed 1

The weights are scaled so that attention and routing choose and log-probabilities spread widely
(standard deviation 2 to 3): an error anywhere shows in the output.
"""

import argparse
import json
import os
import sys

import numpy as np
import safetensors
import shapes
import tokenizer_files

# Standard deviation of each projection's output for inputs of unit variance.
GAIN = {
    "q_proj": 1.3,
    "q_b_proj": 1.3,
    "o_proj": 1.5,
    "down_proj": 2.0,
    "gate": 1.3,
    "lm_head": 2.5,
    "head": 2.5,
}
BIAS_SPREAD = 0.15  # of e_score_correction_bias; sigmoid scores spread over about 0.5
UNTRAINED = 0.05  # factor on output rows of tokens a test never wants to see on top
FP8_LAYERS = ("self_attn", "mlp")  # the released files keep all else in bf16


def layer_matrices(config, layer):
    """{name: (out, in)} of the matrices of one decoder layer."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    nope, rope = config["qk_nope_head_dim"], config["qk_rope_head_dim"]
    q_rank, kv_rank = config["q_lora_rank"], config["kv_lora_rank"]
    attn, mlp = f"model.layers.{layer}.self_attn.", f"model.layers.{layer}.mlp."
    matrices = {}
    if q_rank is None:
        matrices[attn + "q_proj"] = (heads * (nope + rope), hidden)
    else:
        matrices[attn + "q_a_proj"] = (q_rank, hidden)
        matrices[attn + "q_b_proj"] = (heads * (nope + rope), q_rank)
    matrices[attn + "kv_a_proj_with_mqa"] = (kv_rank + rope, hidden)
    matrices[attn + "kv_b_proj"] = (heads * (nope + config["v_head_dim"]), kv_rank)
    matrices[attn + "o_proj"] = (hidden, heads * config["v_head_dim"])
    if not is_moe(config, layer):
        matrices.update(mlp_matrices(mlp, hidden, config["intermediate_size"]))
        return matrices
    inner = config["moe_intermediate_size"]
    matrices[mlp + "gate"] = (config["n_routed_experts"], hidden)
    for expert in range(config["n_routed_experts"]):
        matrices.update(mlp_matrices(f"{mlp}experts.{expert}.", hidden, inner))
    shared = inner * config["n_shared_experts"]
    matrices.update(mlp_matrices(mlp + "shared_experts.", hidden, shared))
    return matrices


def mlp_matrices(prefix, hidden, inner):
    return {
        prefix + "gate_proj": (inner, hidden),
        prefix + "up_proj": (inner, hidden),
        prefix + "down_proj": (hidden, inner),
    }


def is_moe(config, layer):
    after_dense = layer >= config["first_k_dense_replace"]
    return after_dense and layer % config["moe_layer_freq"] == 0


def layer_norms(config, layer):
    """{name: length} of the norm weights of one decoder layer."""
    prefix, hidden = f"model.layers.{layer}.", config["hidden_size"]
    norms = {
        prefix + "input_layernorm": hidden,
        prefix + "post_attention_layernorm": hidden,
        prefix + "self_attn.kv_a_layernorm": config["kv_lora_rank"],
    }
    if config["q_lora_rank"] is not None:
        norms[prefix + "self_attn.q_a_layernorm"] = config["q_lora_rank"]
    if layer >= config["num_hidden_layers"]:
        norms.update({prefix + n: hidden for n in ("enorm", "hnorm", "shared_head.norm")})
    return norms


class Writer:
    """Draws the tensors of a checkpoint one after another."""

    def __init__(self, config, dtype, seed):
        self.config, self.dtype = config, dtype
        self.random = np.random.default_rng(seed)
        self.tensors = {}

    def matrix(self, name, shape):
        kind, fan_in = name.split(".")[-1], shape[1]
        values = self.random.standard_normal(shape) * GAIN.get(kind, 1.0) / np.sqrt(fan_in)
        if kind == "lm_head":
            values[untrained_tokens(self.config)] *= UNTRAINED
        in_fp8 = self.dtype == "fp8" and kind != "gate"
        if in_fp8 and any(part in FP8_LAYERS for part in name.split(".")):
            self.fp8(name + ".weight", values)
        else:
            self.bf16(name + ".weight", values)

    def bf16(self, name, values):
        self.tensors[name] = safetensors.from_float(values, "BF16")

    def fp8(self, name, values):
        """Blocks differ in size by up to 4, so that a scale in the wrong place shows."""
        rows, columns = (-(-size // 128) for size in values.shape)
        size = np.exp2(self.random.uniform(-1, 1, (rows, columns)))
        values = values * spread_blocks(size, values.shape)
        padded = np.zeros((rows * 128, columns * 128))
        padded[: values.shape[0], : values.shape[1]] = values
        largest = np.abs(padded).reshape(rows, 128, columns, 128).max(axis=(1, 3))
        scale = (largest / safetensors.E4M3_MAX).astype(np.float32)
        quotient = values / spread_blocks(scale, values.shape)
        self.tensors[name] = safetensors.from_float(quotient, "F8_E4M3")
        self.tensors[name + "_scale_inv"] = safetensors.from_float(scale, "F32")

    def norm(self, name, length):
        self.bf16(name + ".weight", self.random.uniform(0.6, 1.4, length))

    def layer(self, layer):
        for name, shape in layer_matrices(self.config, layer).items():
            self.matrix(name, shape)
        for name, length in layer_norms(self.config, layer).items():
            self.norm(name, length)
        if is_moe(self.config, layer) and self.config["topk_method"] == "noaux_tc":
            bias = self.random.uniform(-BIAS_SPREAD, BIAS_SPREAD, self.config["n_routed_experts"])
            name = f"model.layers.{layer}.mlp.gate.e_score_correction_bias"
            self.tensors[name] = safetensors.from_float(bias, "F32")

    def mtp_layer(self, layer):
        """The layer after the last; its embedding and head are copies, as released."""
        prefix, hidden = f"model.layers.{layer}.", self.config["hidden_size"]
        self.layer(layer)
        self.matrix(prefix + "eh_proj", (hidden, 2 * hidden))
        self.tensors[prefix + "embed_tokens.weight"] = self.tensors["model.embed_tokens.weight"]
        self.tensors[prefix + "shared_head.head.weight"] = self.tensors["lm_head.weight"]

    def all(self):
        config = self.config
        vocab, hidden = config["vocab_size"], config["hidden_size"]
        self.bf16("model.embed_tokens.weight", self.random.standard_normal((vocab, hidden)))
        for layer in range(config["num_hidden_layers"]):
            self.layer(layer)
        self.norm("model.norm", hidden)
        self.matrix("lm_head", (vocab, hidden))
        for layer in range(config["num_nextn_predict_layers"]):
            self.mtp_layer(config["num_hidden_layers"] + layer)
        return self.tensors


def spread_blocks(values, shape):
    by_element = np.repeat(np.repeat(values, 128, axis=0), 128, axis=1)
    return by_element[: shape[0], : shape[1]]


def untrained_tokens(config):
    """Ids that no whole text belongs to: specials, single bytes above 127, padding rows."""
    texts = tokenizer_files.text_of_ids()
    return [i for i in range(config["vocab_size"]) if i not in texts]


def make_checkpoint(directory, shape, dtype, seed, shards=2):
    """Writes the checkpoint and returns its config."""
    config = shapes.config_of(shape, dtype)
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)
    safetensors.write_sharded(directory, Writer(config, dtype, seed).all(), shards)
    tokenizer_files.write(directory)
    return config


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("out", help="directory to write")
    parser.add_argument("--shape", choices=sorted(shapes.SHAPES), default="v3")
    parser.add_argument("--dtype", choices=["bf16", "fp8"], default="bf16")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shards", type=int, default=2, help="weight files (default 2)")
    args = parser.parse_args()
    if args.shards < 2:
        sys.exit("make_checkpoint: expected --shards of 2 or more")
    make_checkpoint(args.out, args.shape, args.dtype, args.seed, args.shards)


if __name__ == "__main__":
    main()
