"""DeepSeek-V3/R1 (and V2-style gates) in float64 NumPy: the independent reference.

Written from the DeepSeek-V2 and V3 papers (arXiv 2405.04434, 2412.19437), YaRN (arXiv 2309.00071)
and the behaviour of the code released with the weights. Shapes: n new tokens, t cached ones plus
the new, h heads. Slow and plain on purpose.
"""

import json
import math
import os
from dataclasses import dataclass, field

import numpy as np
import safetensors

BLOCK = 128  # rows and columns that share one FP8 scale
NORM_EPS_LATENT = 1e-6  # the released code gives the q and kv latent norms this constant


@dataclass
class LayerCache:
    """What one layer remembers of the tokens so far."""

    latent: np.ndarray  # [t, kv_lora_rank], after kv_a_layernorm
    k_pe: np.ndarray  # [t, qk_rope_head_dim], after RoPE


@dataclass
class State:
    """A sequence in progress; `layers` has one cache a layer."""

    layers: list
    length: int = 0

    def prefix(self, length):
        """The state as it was after the first `length` tokens."""
        layers = [LayerCache(c.latent[:length], c.k_pe[:length]) for c in self.layers]
        return State(layers, length)


@dataclass
class Output:
    """Of n new tokens."""

    logits: np.ndarray  # [n, vocab_size]
    hidden: np.ndarray  # [n, hidden_size], after the final norm
    router_margin: np.ndarray = field(repr=False)  # [n], see Model.forward

    def log_probs(self):
        return log_softmax(self.logits)


def log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(scores):
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def sigmoid(x):
    return 0.5 * (1 + np.tanh(0.5 * x))


def rms_norm(x, weight, eps):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def dequantise(values, scale):
    """[out, in] FP8 values times the scale of each 128x128 block; edge blocks are cut off."""
    rows, columns = values.shape
    by_element = np.repeat(np.repeat(scale, BLOCK, axis=0), BLOCK, axis=1)
    return values * by_element[:rows, :columns]


def yarn_mscale(factor, mscale):
    return 1.0 if factor <= 1 else 0.1 * mscale * math.log(factor) + 1.0


def rope_frequencies(dim, theta, yarn=None):
    """[dim/2] radians a position. `yarn` is config.json's rope_scaling, or None.

    YaRN (section 3.2): a pair that turns more than beta_fast times within the original context
    keeps its frequency, one that turns less than beta_slow times is slowed by `factor`, and
    between the two pair indices (rounded outwards) there is a linear ramp.
    """
    frequencies = theta ** -(np.arange(0, dim, 2) / dim)
    if yarn is None:
        return frequencies

    def pair_with_turns(turns):
        wavelength = yarn["original_max_position_embeddings"] / (turns * 2 * math.pi)
        return dim * math.log(wavelength) / (2 * math.log(theta))

    low = max(math.floor(pair_with_turns(yarn.get("beta_fast", 32))), 0)
    high = min(math.ceil(pair_with_turns(yarn.get("beta_slow", 1))), dim - 1)
    width = high - low if high != low else 0.001
    slowed = np.clip((np.arange(dim // 2) - low) / width, 0, 1)
    return frequencies * (1 - slowed) + frequencies / yarn["factor"] * slowed


def rotate_pairs(x, angles, magnitude):
    """Turns each consecutive pair (x[2i], x[2i+1]) of [..., dim] by angles [..., dim/2]."""
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = np.cos(angles) * magnitude, np.sin(angles) * magnitude
    out = np.empty_like(x)
    out[..., 0::2] = even * cos - odd * sin
    out[..., 1::2] = even * sin + odd * cos
    return out


def top_indices(scores, count):
    """[n, count] indices of the largest, the lower index first where two are equal."""
    return np.argsort(-scores, axis=-1, kind="stable")[:, :count]


def selection_margin(scores, count):
    """[n] how far the last one chosen is ahead of the first one left out, relative to it."""
    ordered = -np.sort(-scores, axis=-1)
    if count >= ordered.shape[1] or count == 0:
        return np.full(len(scores), np.inf)
    last_in, first_out = ordered[:, count - 1], ordered[:, count]
    return (last_in - first_out) / np.maximum(np.abs(last_in), 1e-30)


class Model:
    """A checkpoint directory in the released format, loaded to float64."""

    def __init__(self, directory, absorbed=False):
        with open(os.path.join(directory, "config.json"), encoding="utf-8") as file:
            self.config = json.load(file)
        self.absorbed = absorbed
        self.weights = self._load(directory)
        yarn = self.config.get("rope_scaling")
        self.frequencies = rope_frequencies(
            self.config["qk_rope_head_dim"], self.config["rope_theta"], yarn
        )
        qk_dim = self.config["qk_nope_head_dim"] + self.config["qk_rope_head_dim"]
        self.softmax_scale = qk_dim**-0.5
        self.rope_magnitude = 1.0
        if yarn is not None:
            all_dim = yarn.get("mscale_all_dim", 0)
            self.rope_magnitude = yarn_mscale(yarn["factor"], yarn.get("mscale", 1))
            self.rope_magnitude /= yarn_mscale(yarn["factor"], all_dim)
            self.softmax_scale *= yarn_mscale(yarn["factor"], all_dim) ** 2

    @staticmethod
    def _load(directory):
        stored = safetensors.read_sharded(directory)
        weights = {}
        for name, tensor in stored.items():
            if name.endswith("_scale_inv"):
                continue
            weights[name] = tensor.to_float64()
            if name + "_scale_inv" in stored:
                scale = stored[name + "_scale_inv"].to_float64()
                weights[name] = dequantise(weights[name], scale)
        return weights

    def linear(self, x, name):
        return x @ self.weights[name + ".weight"].T

    def norm(self, x, name, eps=None):
        eps = self.config["rms_norm_eps"] if eps is None else eps
        return rms_norm(x, self.weights[name + ".weight"], eps)

    def new_state(self, layers=None):
        count = self.config["num_hidden_layers"] if layers is None else layers
        empty = LayerCache(
            np.zeros((0, self.config["kv_lora_rank"])),
            np.zeros((0, self.config["qk_rope_head_dim"])),
        )
        return State([empty] * count)

    def forward(self, tokens, state=None):
        """Appends `tokens` to `state` (a fresh one if None) and returns their Output.

        router_margin is, for each token, the narrowest relative lead of a chosen expert (or
        group) over one left out in any layer: where it is near rounding error, another
        implementation may rightly choose otherwise.
        """
        state = self.new_state() if state is None else state
        x = self.weights["model.embed_tokens.weight"][np.asarray(tokens)]
        margin = np.full(len(x), np.inf)
        for layer in range(self.config["num_hidden_layers"]):
            x, state.layers[layer], layer_margin = self.block(x, layer, state.layers[layer])
            margin = np.minimum(margin, layer_margin)
        state.length += len(x)
        hidden = self.norm(x, "model.norm")
        return Output(self.linear(hidden, "lm_head"), hidden, margin)

    def forward_mtp(self, next_tokens, hidden, state=None):
        """The multi-token-prediction layer: Output over the tokens after `next_tokens`.

        `hidden` [n, hidden_size] is the main model's, after its final norm (what the released
        code hands over); next_tokens[i] follows the token that hidden[i] came from.
        """
        layer = self.config["num_hidden_layers"]
        prefix = f"model.layers.{layer}"
        state = self.new_state(layers=1) if state is None else state
        embedded = self.weights[f"{prefix}.embed_tokens.weight"][np.asarray(next_tokens)]
        joined = np.concatenate(
            [self.norm(embedded, f"{prefix}.enorm"), self.norm(hidden, f"{prefix}.hnorm")], axis=-1
        )
        x = self.linear(joined, f"{prefix}.eh_proj")
        x, state.layers[0], margin = self.block(x, layer, state.layers[0])
        state.length += len(x)
        out = self.norm(x, f"{prefix}.shared_head.norm")
        return Output(self.linear(out, f"{prefix}.shared_head.head"), out, margin)

    def block(self, x, layer, cache):
        """One decoder layer: x [n, hidden_size] -> (x, the longer cache, router margin [n])."""
        prefix = f"model.layers.{layer}"
        attended, cache = self.attention(
            self.norm(x, f"{prefix}.input_layernorm"), f"{prefix}.self_attn", cache
        )
        x = x + attended
        normed = self.norm(x, f"{prefix}.post_attention_layernorm")
        if self.is_moe(layer):
            y, margin = self.moe(normed, f"{prefix}.mlp")
        else:
            y, margin = self.mlp(normed, f"{prefix}.mlp"), np.full(len(x), np.inf)
        return x + y, cache, margin

    def is_moe(self, layer):
        return (
            self.config.get("n_routed_experts") is not None
            and layer >= self.config["first_k_dense_replace"]
            and layer % self.config["moe_layer_freq"] == 0
        )

    def queries(self, x, prefix):
        """[n, h, nope + rope], before RoPE."""
        if self.config["q_lora_rank"] is None:
            q = self.linear(x, f"{prefix}.q_proj")
        else:
            q = self.linear(x, f"{prefix}.q_a_proj")
            q = self.norm(q, f"{prefix}.q_a_layernorm", NORM_EPS_LATENT)
            q = self.linear(q, f"{prefix}.q_b_proj")
        return q.reshape(len(x), self.config["num_attention_heads"], -1)

    def attention(self, x, prefix, cache):
        """Multi-head latent attention (V2 paper, section 2.1) of new tokens over all so far."""
        nope, rank = self.config["qk_nope_head_dim"], self.config["kv_lora_rank"]
        start = len(cache.latent)
        angles = np.outer(np.arange(start, start + len(x)), self.frequencies)  # [n, rope/2]

        q = self.queries(x, prefix)
        q_nope = q[..., :nope]  # [n, h, nope]
        q_pe = rotate_pairs(q[..., nope:], angles[:, None, :], self.rope_magnitude)

        kv_a = self.linear(x, f"{prefix}.kv_a_proj_with_mqa")  # [n, rank + rope]
        latent = self.norm(kv_a[:, :rank], f"{prefix}.kv_a_layernorm", NORM_EPS_LATENT)
        k_pe = rotate_pairs(kv_a[:, rank:], angles, self.rope_magnitude)
        cache = LayerCache(
            np.concatenate([cache.latent, latent]), np.concatenate([cache.k_pe, k_pe])
        )

        attend = self.attend_absorbed if self.absorbed else self.attend_expanded
        kv_b = self.weights[f"{prefix}.kv_b_proj.weight"]
        kv_b = kv_b.reshape(self.config["num_attention_heads"], -1, rank)  # [h, nope + v, rank]
        out = attend(q_nope, q_pe, cache, kv_b[:, :nope], kv_b[:, nope:], start)  # [h, n, v]
        out = out.transpose(1, 0, 2).reshape(len(x), -1)
        return self.linear(out, f"{prefix}.o_proj"), cache

    def attend_expanded(self, q_nope, q_pe, cache, w_uk, w_uv, start):
        """Keys and values are built for every head from the latent."""
        k_nope = np.matmul(cache.latent, w_uk.transpose(0, 2, 1))  # [h, t, nope]
        v = np.matmul(cache.latent, w_uv.transpose(0, 2, 1))  # [h, t, v]
        scores = np.matmul(q_nope.transpose(1, 0, 2), k_nope.transpose(0, 2, 1))
        scores += np.matmul(q_pe.transpose(1, 0, 2), cache.k_pe.T)  # [h, n, t]
        return np.matmul(self.causal_softmax(scores, start), v)

    def attend_absorbed(self, q_nope, q_pe, cache, w_uk, w_uv, start):
        """The same, with the up-projections moved to the query and the output."""
        q_latent = np.matmul(q_nope.transpose(1, 0, 2), w_uk)  # [h, n, rank]
        scores = np.matmul(q_latent, cache.latent.T)
        scores += np.matmul(q_pe.transpose(1, 0, 2), cache.k_pe.T)  # [h, n, t]
        attended = np.matmul(self.causal_softmax(scores, start), cache.latent)  # [h, n, rank]
        return np.matmul(attended, w_uv.transpose(0, 2, 1))

    def causal_softmax(self, scores, start):
        """[h, n, t] scores; new token i sits at position start + i and sees up to itself."""
        _, new, total = scores.shape
        hidden = np.arange(total)[None, :] > np.arange(start, start + new)[:, None]
        return softmax(np.where(hidden, -np.inf, scores * self.softmax_scale))

    def mlp(self, x, prefix):
        gate = self.linear(x, f"{prefix}.gate_proj")
        up = self.linear(x, f"{prefix}.up_proj")
        return self.linear(gate * sigmoid(gate) * up, f"{prefix}.down_proj")

    def moe(self, x, prefix):
        """DeepSeekMoE (V3 paper, section 2.1.2): chosen routed experts plus the shared ones."""
        chosen, weights, margin = self.gate(x, prefix)
        y = np.zeros_like(x)
        for expert in range(self.config["n_routed_experts"]):
            token, slot = np.nonzero(chosen == expert)
            if len(token):
                out = self.mlp(x[token], f"{prefix}.experts.{expert}")
                y[token] += out * weights[token, slot, None]
        if self.config.get("n_shared_experts"):
            y += self.mlp(x, f"{prefix}.shared_experts")
        return y, margin

    def gate(self, x, prefix):
        """-> expert indices [n, k], their weights [n, k], router margin [n]."""
        config = self.config
        logits = self.linear(x, f"{prefix}.gate")
        scores = sigmoid(logits) if config["scoring_func"] == "sigmoid" else softmax(logits)
        for_choice, margin = scores, np.full(len(x), np.inf)
        if config["topk_method"] == "noaux_tc":
            for_choice = scores + self.weights[f"{prefix}.gate.e_score_correction_bias"]
        if config["topk_method"] in ("noaux_tc", "group_limited_greedy"):
            for_choice, margin = self.keep_best_groups(for_choice)
        top_k = config["num_experts_per_tok"]
        chosen = top_indices(for_choice, top_k)
        margin = np.minimum(margin, selection_margin(for_choice, top_k))
        weights = np.take_along_axis(scores, chosen, axis=-1)
        return chosen, self.scale_weights(weights), margin

    def keep_best_groups(self, scores):
        """Sets the scores outside the best topk_group groups to -inf."""
        groups, kept = self.config["n_group"], self.config["topk_group"]
        by_group = scores.reshape(len(scores), groups, -1)
        best_of_group = 2 if self.config["topk_method"] == "noaux_tc" else 1
        group_scores = -np.sort(-by_group, axis=-1)[..., :best_of_group].sum(axis=-1)
        mask = np.zeros_like(group_scores, dtype=bool)
        np.put_along_axis(mask, top_indices(group_scores, kept), True, axis=-1)
        masked = np.where(mask[:, :, None], by_group, -np.inf).reshape(scores.shape)
        return masked, selection_margin(group_scores, kept)

    def scale_weights(self, weights):
        """V3 normalises and then scales; V2's code scales only what it has not normalised."""
        normalise = self.config["norm_topk_prob"] and self.config["num_experts_per_tok"] > 1
        if normalise:
            weights = weights / (weights.sum(axis=-1, keepdims=True) + 1e-20)
        if normalise and self.config["topk_method"] != "noaux_tc":
            return weights
        return weights * self.config["routed_scaling_factor"]
