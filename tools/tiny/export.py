"""Writes a trained model as DeepSeek-V3 is released, and reads such a checkpoint back into the torch model."""

import argparse
import json
import sys
from pathlib import Path

import torch

import fp8
from model import Config, Mlp, Model
from train import ROOT

sys.path.append(str(ROOT / "tools" / "oracle"))
import safetensors  # the oracle's

SHARDS = 2
BOS, EOS = 0, 1


def config_json(c: Config) -> dict:
    fields = {
        "architectures": ["DeepseekV3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
        "bos_token_id": BOS, "eos_token_id": EOS, "ep_size": 1, "hidden_act": "silu", "model_type": "deepseek_v3",
        "moe_layer_freq": 1, "norm_topk_prob": True, "num_key_value_heads": c.num_attention_heads,
        "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
                                "weight_block_size": [fp8.BLOCK, fp8.BLOCK]},
        "rope_scaling": None, "scoring_func": "sigmoid", "tie_word_embeddings": False, "topk_method": "noaux_tc",
        "torch_dtype": "bfloat16", "transformers_version": "4.33.1", "use_cache": True}
    return dict(sorted({**c.to_dict(), **fields}.items()))


def read_config(path: Path) -> Config:
    spec = json.loads((path / "config.json").read_text())
    return Config(**{name: spec[name] for name in Config().to_dict()})


def _mlp(prefix: str, gate_up: torch.Tensor, down: torch.Tensor) -> dict:
    gate, up = gate_up.chunk(2, 0)
    return {f"{prefix}.gate_proj": gate, f"{prefix}.up_proj": up, f"{prefix}.down_proj": down}


def _block(prefix: str, block) -> tuple:
    """(linear weights stored as FP8, other tensors with their dtype) under the released names."""
    attention = block.self_attn
    linears = {f"{prefix}.self_attn.{name}": getattr(attention, name)
               for name in ("q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj")}
    others = {f"{prefix}.input_layernorm.weight": ("BF16", block.input_layernorm.weight),
              f"{prefix}.post_attention_layernorm.weight": ("BF16", block.post_attention_layernorm.weight),
              f"{prefix}.self_attn.q_a_layernorm.weight": ("BF16", attention.q_a_layernorm.weight),
              f"{prefix}.self_attn.kv_a_layernorm.weight": ("BF16", attention.kv_a_layernorm.weight)}
    mlp = block.mlp
    if isinstance(mlp, Mlp):
        linears.update(_mlp(f"{prefix}.mlp", mlp.gate_up, mlp.down))
        return linears, others
    for e in range(len(mlp.gate_up)):
        linears.update(_mlp(f"{prefix}.mlp.experts.{e}", mlp.gate_up[e], mlp.down[e]))
    linears.update(_mlp(f"{prefix}.mlp.shared_experts", mlp.shared_experts.gate_up, mlp.shared_experts.down))
    others[f"{prefix}.mlp.gate.weight"] = ("BF16", mlp.gate)
    others[f"{prefix}.mlp.gate.e_score_correction_bias"] = ("F32", mlp.e_score_correction_bias)
    return linears, others


def named_tensors(model: Model) -> tuple:
    """(linears: name without '.weight' -> matrix, others: name -> (dtype, tensor)); views, not copies."""
    mtp = f"model.layers.{model.c.num_hidden_layers}"
    linears, others = {}, {"model.embed_tokens.weight": ("BF16", model.embed_tokens)}
    blocks = [(f"model.layers.{i}", layer) for i, layer in enumerate(model.layers)] + [(mtp, model.mtp.block)]
    for prefix, block in blocks:
        more_linears, more_others = _block(prefix, block)
        linears.update(more_linears)
        others.update(more_others)
    others.update({
        f"{mtp}.embed_tokens.weight": ("BF16", model.embed_tokens),
        f"{mtp}.enorm.weight": ("BF16", model.mtp.enorm.weight),
        f"{mtp}.hnorm.weight": ("BF16", model.mtp.hnorm.weight),
        f"{mtp}.eh_proj.weight": ("BF16", model.mtp.eh_proj),
        f"{mtp}.shared_head.norm.weight": ("BF16", model.mtp.shared_head_norm.weight),
        f"{mtp}.shared_head.head.weight": ("BF16", model.lm_head),
        "model.norm.weight": ("BF16", model.norm.weight), "lm_head.weight": ("BF16", model.lm_head)})
    return linears, others


def _stored(tensor: torch.Tensor, dtype: str) -> safetensors.Tensor:
    return safetensors.from_float(tensor.detach().cpu().numpy(), dtype)


@torch.no_grad()
def export(model: Model, path: Path) -> None:
    linears, others = named_tensors(model)
    stored = {name: _stored(tensor, dtype) for name, (dtype, tensor) in others.items()}
    for name, weight in linears.items():
        scales = fp8.block_scales(weight)
        stored[f"{name}.weight"] = _stored(fp8.round_e4m3(weight / fp8.spread(scales, *weight.shape)), "F8_E4M3")
        stored[f"{name}.weight_scale_inv"] = _stored(scales, "F32")
    _write_shards(path, stored)
    _write_json(path / "config.json", config_json(model.c))
    _write_json(path / "generation_config.json", {
        "_from_model_config": True, "bos_token_id": BOS, "eos_token_id": EOS, "do_sample": True, "temperature": 0.6,
        "top_p": 0.95, "transformers_version": "4.33.1"})
    print(f"wrote {path}: {sum(tensor.bits.size for tensor in stored.values())} values", flush=True)


def _write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _write_shards(path: Path, stored: dict) -> None:
    total = sum(tensor.bits.nbytes for tensor in stored.values())
    shards, used = [{} for _ in range(SHARDS)], 0
    for name in sorted(stored):
        shards[min(SHARDS - 1, used * SHARDS // total)][name] = stored[name]
        used += stored[name].bits.nbytes
    weight_map = {}
    for i, shard in enumerate(shards, 1):
        file = f"model-{i:05d}-of-{SHARDS:06d}.safetensors"
        safetensors.write_file(path / file, shard)
        weight_map.update({name: file for name in shard})
    _write_json(path / safetensors.INDEX_FILE, {"metadata": {"total_size": total}, "weight_map": weight_map})


@torch.no_grad()
def load(path: Path) -> Model:
    """The torch model with exactly the stored weights, FP8 multiplied by its scales."""
    tensors = {name: torch.from_numpy(tensor.to_float64()).float()
               for name, tensor in safetensors.read_sharded(path).items()}
    model = Model(read_config(path))
    linears, others = named_tensors(model)
    for name, (_, target) in others.items():
        target.copy_(tensors.pop(name))
    for name, target in linears.items():
        scales = tensors.pop(f"{name}.weight_scale_inv")
        target.copy_(tensors.pop(f"{name}.weight") * fp8.spread(scales, *target.shape))
    if tensors:
        raise SystemExit(f"load: unexpected tensors {sorted(tensors)[:3]}")
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "tiny")
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "build" / "tiny" / "last.pt")
    arguments = parser.parse_args()
    model = Model(Config())
    model.load_state_dict(torch.load(arguments.checkpoint, map_location="cpu")["model"])
    export(model, arguments.model)


if __name__ == "__main__":
    main()
