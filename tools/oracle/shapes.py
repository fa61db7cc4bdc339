"""The shapes of random checkpoints: what differs from DeepSeek-V3's config.json, by name.

Small enough that a test takes seconds; between them they cover every switch of the architecture
and the edges of 128x128 FP8 blocks (dimensions below, at and across 128; head borders inside a
block of kv_b_proj).
"""

# Every field of the released config.json that says something about the computation or that
# loaders look at. A shape overrides what it needs; num_key_value_heads follows the heads.
V3 = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "aux_loss_alpha": 0.0001,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "ep_size": 1,
    "first_k_dense_replace": 1,
    "hidden_act": "silu",
    "hidden_size": 128,
    "initializer_range": 0.02,
    "intermediate_size": 256,
    "kv_lora_rank": 64,
    "max_position_embeddings": 4096,
    "model_type": "deepseek_v3",
    "moe_intermediate_size": 64,
    "moe_layer_freq": 1,
    "n_group": 4,
    "n_routed_experts": 16,
    "n_shared_experts": 1,
    "norm_topk_prob": True,
    "num_attention_heads": 4,
    "num_experts_per_tok": 4,
    "num_hidden_layers": 3,
    "num_key_value_heads": 4,
    "num_nextn_predict_layers": 1,
    "pretraining_tp": 1,
    "q_lora_rank": 64,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 16,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 10000,
    "routed_scaling_factor": 2.5,
    "scoring_func": "sigmoid",
    "seq_aux": True,
    "tie_word_embeddings": False,
    "topk_group": 2,
    "topk_method": "noaux_tc",
    "torch_dtype": "bfloat16",
    "transformers_version": "4.33.1",
    "use_cache": True,
    "v_head_dim": 32,
    "vocab_size": 320,
}

# V2's config.json: softmax gates, no correction bias, no MTP layer.
_V2 = {
    "architectures": ["DeepseekV2ForCausalLM"],
    "model_type": "deepseek_v2",
    "norm_topk_prob": False,
    "num_nextn_predict_layers": 0,
    "scoring_func": "softmax",
}


def _yarn(factor, original, mscale=1.0, mscale_all_dim=1.0):
    return {
        "beta_fast": 32,
        "beta_slow": 1,
        "factor": factor,
        "mscale": mscale,
        "mscale_all_dim": mscale_all_dim,
        "original_max_position_embeddings": original,
        "type": "yarn",
    }


SHAPES = {
    # V3 in small: every feature on, the released YaRN numbers.
    "v3": {"max_position_embeddings": 163840, "rope_scaling": _yarn(40, 4096)},
    # No q_lora, no YaRN, odd sizes, two shared experts, unnormalised expert weights.
    "v3_no_q_lora": {
        "hidden_size": 160,
        "intermediate_size": 200,
        "kv_lora_rank": 48,
        "moe_intermediate_size": 72,
        "n_group": 2,
        "n_routed_experts": 8,
        "n_shared_experts": 2,
        "norm_topk_prob": False,
        "num_attention_heads": 5,
        "num_experts_per_tok": 3,
        "q_lora_rank": None,
        "qk_nope_head_dim": 24,
        "qk_rope_head_dim": 8,
        "routed_scaling_factor": 0.8,
        "topk_group": 1,
        "v_head_dim": 40,
        "vocab_size": 331,
    },
    # Every matrix crosses a 128 border without filling the next block; the YaRN ramp lies within
    # the prompt and cos/sin carry a magnitude other than 1; one group.
    "v3_uneven": {
        "hidden_size": 200,
        "intermediate_size": 264,
        "kv_lora_rank": 136,
        "max_position_embeddings": 1024,
        "moe_intermediate_size": 136,
        "n_group": 1,
        "n_routed_experts": 8,
        "num_attention_heads": 3,
        "num_experts_per_tok": 2,
        "num_hidden_layers": 2,
        "q_lora_rank": 144,
        "qk_nope_head_dim": 40,
        "qk_rope_head_dim": 16,
        "rope_scaling": _yarn(16, 64, mscale=0.707),
        "topk_group": 1,
        "v_head_dim": 24,
    },
    # Eight heads and groups, 32 experts, MoE in every second layer, RoPE part wider than the rest.
    "v3_wide": {
        "hidden_size": 96,
        "intermediate_size": 160,
        "kv_lora_rank": 32,
        "moe_intermediate_size": 32,
        "moe_layer_freq": 2,
        "n_group": 8,
        "n_routed_experts": 32,
        "num_attention_heads": 8,
        "num_experts_per_tok": 8,
        "num_hidden_layers": 4,
        "q_lora_rank": 48,
        "qk_nope_head_dim": 16,
        "qk_rope_head_dim": 32,
        "rope_scaling": _yarn(4, 256),
        "rope_theta": 50000,
        "topk_group": 4,
        "v_head_dim": 24,
        "vocab_size": 384,
    },
    # Halves of every tensor that ranks divide are whole groups of 128, as parts of V3's own are.
    "v3_groups": {
        "moe_intermediate_size": 256,
        "n_routed_experts": 8,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "num_nextn_predict_layers": 0,
        "v_head_dim": 128,
    },
    # No expert anywhere, a single head.
    "dense": {
        "first_k_dense_replace": 2,
        "num_attention_heads": 1,
        "num_hidden_layers": 2,
        "num_nextn_predict_layers": 0,
        "qk_nope_head_dim": 64,
        "qk_rope_head_dim": 32,
        "v_head_dim": 128,
    },
    # V2-Lite: greedy softmax gate, no q_lora, two shared experts.
    "v2_lite": {
        **_V2,
        "intermediate_size": 192,
        "moe_intermediate_size": 48,
        "n_group": 1,
        "n_shared_experts": 2,
        "num_attention_heads": 2,
        "num_experts_per_tok": 6,
        "q_lora_rank": None,
        "rope_scaling": _yarn(40, 4096, mscale=0.707, mscale_all_dim=0.707),
        "routed_scaling_factor": 1.0,
        "topk_group": 1,
        "topk_method": "greedy",
        "v_head_dim": 48,
    },
    # V2: groups scored by their best expert, a large routed scale.
    "v2": {
        **_V2,
        "hidden_size": 96,
        "moe_intermediate_size": 32,
        "n_group": 8,
        "n_routed_experts": 32,
        "n_shared_experts": 2,
        "num_experts_per_tok": 6,
        "rope_scaling": _yarn(40, 4096, mscale=0.707, mscale_all_dim=0.707),
        "routed_scaling_factor": 16.0,
        "topk_group": 3,
        "topk_method": "group_limited_greedy",
    },
    # A softmax gate that normalises: V2's code then leaves the routed scale out.
    "v2_normalised": {
        **_V2,
        "hidden_size": 64,
        "intermediate_size": 128,
        "n_group": 1,
        "n_routed_experts": 12,
        "norm_topk_prob": True,
        "num_experts_per_tok": 3,
        "q_lora_rank": 40,
        "qk_nope_head_dim": 16,
        "routed_scaling_factor": 3.0,
        "topk_group": 1,
        "topk_method": "greedy",
    },
    # The least that has every kind of tensor, for tests that load it hundreds of times.
    "tiny": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "kv_lora_rank": 16,
        "max_position_embeddings": 256,
        "moe_intermediate_size": 16,
        "n_group": 2,
        "n_routed_experts": 4,
        "num_attention_heads": 2,
        "num_experts_per_tok": 2,
        "num_hidden_layers": 2,
        "q_lora_rank": 16,
        "qk_nope_head_dim": 8,
        "qk_rope_head_dim": 4,
        "rope_scaling": _yarn(4, 64),
        "topk_group": 1,
        "v_head_dim": 8,
    },
}


def config_of(shape, dtype):
    """The config.json of a shape, as a dictionary."""
    config = {**V3, **SHAPES[shape]}
    config["num_key_value_heads"] = config["num_attention_heads"]
    if dtype == "fp8":
        config["quantization_config"] = {
            "activation_scheme": "dynamic",
            "fmt": "e4m3",
            "quant_method": "fp8",
            "weight_block_size": [128, 128],
        }
    return dict(sorted(config.items()))
