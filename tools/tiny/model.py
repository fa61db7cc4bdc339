"""The embedded model: DeepSeek-V3's architecture at a few million parameters, made quick on one CPU core.

Attention is the expanded form of MLA; experts run over tokens sorted by expert. Parameters are fused where
that saves multiplications (`gate_up`, `experts`); export.py splits them into the released names.
"""

import math
from dataclasses import asdict, dataclass
from typing import Optional

import torch
from torch import nn
from torch.autograd import Function
from torch.nn import functional as F


@dataclass
class Config:
    vocab_size: int = 1280
    hidden_size: int = 192
    intermediate_size: int = 512
    moe_intermediate_size: int = 64
    num_hidden_layers: int = 4
    num_attention_heads: int = 6
    q_lora_rank: int = 96
    kv_lora_rank: int = 64
    qk_nope_head_dim: int = 32
    qk_rope_head_dim: int = 16
    v_head_dim: int = 32
    n_routed_experts: int = 16
    n_shared_experts: int = 1
    num_experts_per_tok: int = 4
    n_group: int = 4
    topk_group: int = 2
    routed_scaling_factor: float = 2.5
    first_k_dense_replace: int = 1
    num_nextn_predict_layers: int = 1
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    max_position_embeddings: int = 2048
    initializer_range: float = 0.02

    def to_dict(self) -> dict:
        return asdict(self)


class _RmsNorm(Function):
    @staticmethod
    def forward(ctx, x, weight, eps):
        inverse = torch.rsqrt(torch.mean(x * x, -1, keepdim=True) + eps)
        unit = x * inverse
        ctx.save_for_backward(unit, inverse, weight)
        return unit * weight

    @staticmethod
    def backward(ctx, dy):
        unit, inverse, weight = ctx.saved_tensors
        scaled = dy * weight
        product = scaled * unit
        dx = (scaled - unit * product.mean(-1, keepdim=True)) * inverse
        return dx, (dy * unit).flatten(0, -2).sum(0), None


class RmsNorm(nn.Module):
    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        return _RmsNorm.apply(x, self.weight, self.eps)


def _silu_gradients(gate, up, d_act):
    """Gradients of silu(gate) * up."""
    sigmoid = torch.sigmoid(gate)
    silu = gate * sigmoid
    d_gate = d_act * up * (sigmoid + silu - silu * sigmoid)
    return d_gate, d_act * silu


class _Experts(Function):
    """Sum over a token's experts of weight * down(silu(gate) * up); rows sorted by expert."""

    @staticmethod
    def forward(ctx, x, weights, chosen, gate_up, down):
        tokens, k = chosen.shape
        order = torch.argsort(chosen.reshape(-1), stable=True)
        inverse = torch.empty_like(order)
        inverse[order] = torch.arange(len(order), device=order.device)
        ends = torch.bincount(chosen.reshape(-1), minlength=len(gate_up)).cumsum(0).tolist()
        spans = list(zip([0] + ends[:-1], ends))
        size = down.shape[2]
        rows = x.index_select(0, torch.div(order, k, rounding_mode="floor"))
        inner = x.new_empty(len(order), 2 * size)
        for e, (a, b) in enumerate(spans):
            if b > a:
                torch.mm(rows[a:b], gate_up[e].t(), out=inner[a:b])
        act = F.silu(inner[:, :size]).mul_(inner[:, size:])
        out = x.new_empty(len(order), x.shape[1])
        for e, (a, b) in enumerate(spans):
            if b > a:
                torch.mm(act[a:b], down[e].t(), out=out[a:b])
        out = out.index_select(0, inverse).view(tokens, k, -1)
        ctx.save_for_backward(rows, inner, act, out, weights, order, inverse, gate_up, down)
        ctx.spans, ctx.k = spans, k
        return (out * weights.unsqueeze(-1)).sum(1)

    @staticmethod
    def backward(ctx, dy):
        rows, inner, act, out, weights, order, inverse, gate_up, down = ctx.saved_tensors
        size = down.shape[2]
        d_weights = (out * dy.unsqueeze(1)).sum(-1)
        d_out = dy.index_select(0, torch.div(order, ctx.k, rounding_mode="floor"))
        d_out *= weights.reshape(-1)[order].unsqueeze(1)
        d_act = torch.empty_like(act)
        d_down, d_gate_up = torch.zeros_like(down), torch.zeros_like(gate_up)
        for e, (a, b) in enumerate(ctx.spans):
            if b > a:
                torch.mm(d_out[a:b], down[e], out=d_act[a:b])
                torch.mm(d_out[a:b].t(), act[a:b], out=d_down[e])
        d_inner = torch.cat(_silu_gradients(inner[:, :size], inner[:, size:], d_act), 1)
        d_rows = torch.empty_like(rows)
        for e, (a, b) in enumerate(ctx.spans):
            if b > a:
                torch.mm(d_inner[a:b], gate_up[e], out=d_rows[a:b])
                torch.mm(d_inner[a:b].t(), rows[a:b], out=d_gate_up[e])
        dx = d_rows.index_select(0, inverse).view(len(dy), ctx.k, -1).sum(1)
        return dx, d_weights, None, d_gate_up, d_down


class Mlp(nn.Module):
    def __init__(self, hidden: int, size: int):
        super().__init__()
        self.size = size
        self.gate_up = nn.Parameter(torch.empty(2 * size, hidden))
        self.down = nn.Parameter(torch.empty(hidden, size))

    def forward(self, x):
        inner = F.linear(x, self.gate_up)
        return F.linear(F.silu(inner[..., : self.size]) * inner[..., self.size :], self.down)


class Moe(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        self.gate = nn.Parameter(torch.empty(c.n_routed_experts, c.hidden_size))
        self.register_buffer("e_score_correction_bias", torch.zeros(c.n_routed_experts))
        self.gate_up = nn.Parameter(torch.empty(c.n_routed_experts, 2 * c.moe_intermediate_size, c.hidden_size))
        self.down = nn.Parameter(torch.empty(c.n_routed_experts, c.hidden_size, c.moe_intermediate_size))
        self.shared_experts = Mlp(c.hidden_size, c.n_shared_experts * c.moe_intermediate_size)
        self.load = None  # tokens each expert got in the last training step

    def route(self, x):
        """noaux_tc: the bias takes part in choosing only. Returns ([tokens, k] weights, [tokens, k] experts)."""
        c = self.c
        scores = torch.sigmoid(F.linear(x, self.gate))
        with torch.no_grad():
            biased = scores + self.e_score_correction_bias
            grouped = biased.view(len(x), c.n_group, -1)
            groups = grouped.topk(2, -1).values.sum(-1).topk(c.topk_group, -1).indices
            closed = torch.ones(len(x), c.n_group, dtype=torch.bool, device=x.device).scatter_(1, groups, False)
            biased = grouped.masked_fill(closed.unsqueeze(-1), -math.inf).flatten(1)
            chosen = biased.topk(c.num_experts_per_tok, -1).indices
        weights = scores.gather(1, chosen)
        return weights / (weights.sum(-1, keepdim=True) + 1e-20) * c.routed_scaling_factor, chosen

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])
        weights, chosen = self.route(flat)
        if self.training:
            self.load = torch.bincount(chosen.reshape(-1), minlength=self.c.n_routed_experts)
        routed = _Experts.apply(flat, weights, chosen, self.gate_up, self.down)
        return routed.view_as(x) + self.shared_experts(x)


def rotary(positions: torch.Tensor, c: Config) -> torch.Tensor:
    """[..., rope / 2, 2] cosines and sines of the angles of each pair."""
    powers = torch.arange(0, c.qk_rope_head_dim, 2, device=positions.device) / c.qk_rope_head_dim
    angles = positions.unsqueeze(-1) * c.rope_theta ** -powers
    return torch.stack([angles.cos(), angles.sin()], -1)


def rotate(x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Turns pairs (0,1), (2,3), ... of the last dimension; x [b, t, h, rope], table [b or 1, t, rope / 2, 2]."""
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = table[..., 0].unsqueeze(2), table[..., 1].unsqueeze(2)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)


class Attention(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.c, heads = c, c.num_attention_heads
        self.q_a_proj = nn.Parameter(torch.empty(c.q_lora_rank, c.hidden_size))
        self.q_a_layernorm = RmsNorm(c.q_lora_rank, c.rms_norm_eps)
        self.q_b_proj = nn.Parameter(torch.empty(heads * (c.qk_nope_head_dim + c.qk_rope_head_dim), c.q_lora_rank))
        self.kv_a_proj_with_mqa = nn.Parameter(torch.empty(c.kv_lora_rank + c.qk_rope_head_dim, c.hidden_size))
        self.kv_a_layernorm = RmsNorm(c.kv_lora_rank, c.rms_norm_eps)
        self.kv_b_proj = nn.Parameter(torch.empty(heads * (c.qk_nope_head_dim + c.v_head_dim), c.kv_lora_rank))
        self.o_proj = nn.Parameter(torch.empty(c.hidden_size, heads * c.v_head_dim))

    def forward(self, x, bias, table, cache: Optional[list] = None):
        """x [b, t, hidden]; bias is added to scores [b, h, t, seen]; cache holds earlier (keys, values)."""
        c, (b, t, _) = self.c, x.shape
        heads, nope, rope = c.num_attention_heads, c.qk_nope_head_dim, c.qk_rope_head_dim
        q = F.linear(self.q_a_layernorm(F.linear(x, self.q_a_proj)), self.q_b_proj).view(b, t, heads, nope + rope)
        latent = F.linear(x, self.kv_a_proj_with_mqa)
        k_rope = rotate(latent[..., c.kv_lora_rank :].unsqueeze(2), table)
        kv = F.linear(self.kv_a_layernorm(latent[..., : c.kv_lora_rank]), self.kv_b_proj).view(b, t, heads, -1)
        q = torch.cat([q[..., :nope], rotate(q[..., nope:], table)], -1).transpose(1, 2)
        k = torch.cat([kv[..., :nope], k_rope.expand(b, t, heads, rope)], -1).transpose(1, 2)
        v = kv[..., nope:].transpose(1, 2)
        if cache is not None:
            if cache:
                k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
            cache[:] = [k, v]
        seen, width = k.shape[2], nope + rope
        q, k, v = q.reshape(b * heads, t, width), k.reshape(b * heads, seen, width), v.reshape(b * heads, seen, -1)
        scores = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=width**-0.5)
        out = torch.bmm(torch.softmax(scores, -1), v)
        return F.linear(out.view(b, heads, t, -1).transpose(1, 2).reshape(b, t, -1), self.o_proj)


class Block(nn.Module):
    def __init__(self, c: Config, layer: int):
        super().__init__()
        self.input_layernorm = RmsNorm(c.hidden_size, c.rms_norm_eps)
        self.self_attn = Attention(c)
        self.post_attention_layernorm = RmsNorm(c.hidden_size, c.rms_norm_eps)
        self.mlp = Mlp(c.hidden_size, c.intermediate_size) if layer < c.first_k_dense_replace else Moe(c)

    def forward(self, x, bias, table, cache=None):
        x = x + self.self_attn(self.input_layernorm(x), bias, table, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class MtpLayer(nn.Module):
    """From the hidden state after the final norm and the next token: the token after that."""

    def __init__(self, c: Config):
        super().__init__()
        self.enorm = RmsNorm(c.hidden_size, c.rms_norm_eps)
        self.hnorm = RmsNorm(c.hidden_size, c.rms_norm_eps)
        self.eh_proj = nn.Parameter(torch.empty(c.hidden_size, 2 * c.hidden_size))
        self.block = Block(c, c.num_hidden_layers)
        self.shared_head_norm = RmsNorm(c.hidden_size, c.rms_norm_eps)

    def forward(self, hidden, embedded, bias, table, cache=None):
        x = F.linear(torch.cat([self.enorm(embedded), self.hnorm(hidden)], -1), self.eh_proj)
        return self.shared_head_norm(self.block(x, bias, table, cache))


def causal_bias(width: int, device=None) -> torch.Tensor:
    return torch.full((1, width, width), -math.inf, device=device).triu_(1)


class Model(nn.Module):
    def __init__(self, c: Config, seed: int = 0):
        super().__init__()
        self.c = c
        self.embed_tokens = nn.Parameter(torch.empty(c.vocab_size, c.hidden_size))
        self.layers = nn.ModuleList(Block(c, i) for i in range(c.num_hidden_layers))
        self.norm = RmsNorm(c.hidden_size, c.rms_norm_eps)
        self.lm_head = nn.Parameter(torch.empty(c.vocab_size, c.hidden_size))
        self.mtp = MtpLayer(c)
        generator = torch.Generator().manual_seed(seed)
        outputs = ("o_proj", "down")
        for name, parameter in self.named_parameters():
            if parameter.dim() < 2:
                continue
            scale = 0.5 / math.sqrt(parameter.shape[-1])
            if name.endswith(outputs):
                scale /= math.sqrt(2 * c.num_hidden_layers)
            if name == "embed_tokens":
                scale = 0.5
            with torch.no_grad():
                parameter.normal_(0, scale, generator=generator)

    def hidden(self, tokens, bias, table, caches=None):
        """[b, t, hidden] after the final norm: what lm_head and the MTP layer read."""
        x = F.embedding(tokens, self.embed_tokens)
        for i, layer in enumerate(self.layers):
            x = layer(x, bias, table, caches[i] if caches is not None else None)
        return self.norm(x)

    def forward(self, tokens, targets, mtp: bool = True):
        """Mean losses over targets >= 0: (next token, the token after), and whether each target was the top token."""
        width = tokens.shape[1]
        bias = causal_bias(width, tokens.device)
        table = rotary(torch.arange(width, device=tokens.device).unsqueeze(0), self.c)
        hidden = self.hidden(tokens, bias, table)
        loss, right = self._loss(hidden, targets)
        if not mtp:
            return loss, None, right, None
        next_tokens = F.pad(tokens[:, 1:], (0, 1))
        later_targets = F.pad(targets[:, 1:], (0, 1), value=-1)
        later = self.mtp(hidden, F.embedding(next_tokens, self.embed_tokens), bias, table)
        mtp_loss, mtp_right = self._loss(later, later_targets)
        return loss, mtp_loss, right, mtp_right

    def _loss(self, hidden, targets):
        at = (targets.reshape(-1) >= 0).nonzero().squeeze(1)
        wanted = targets.reshape(-1)[at]
        logits = F.linear(hidden.reshape(-1, hidden.shape[-1]).index_select(0, at), self.lm_head)
        right = torch.ones_like(targets, dtype=torch.bool)
        right.view(-1)[at] = logits.detach().argmax(-1) == wanted
        return F.cross_entropy(logits, wanted), right

    def balance(self, speed: float) -> None:
        """The aux-free rule: raise the bias of experts with less than the mean load, lower the others'."""
        for module in self.modules():
            if isinstance(module, Moe) and module.load is not None:
                load = module.load.float()
                module.e_score_correction_bias += speed * torch.sign(load.mean() - load)
                module.load = None
