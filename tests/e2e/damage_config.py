"""Damaged config.json, tokenizer.json and tokenizer_config.json; see damage.py."""

import math

from damage import (
    CONFIG,
    DEEP,
    DELETE,
    TOKENIZER,
    TOKENIZER_CONFIG,
    Case,
    with_field,
)

SIZES = [
    "hidden_size",
    "intermediate_size",
    "kv_lora_rank",
    "moe_intermediate_size",
    "num_attention_heads",
    "num_experts_per_tok",
    "num_hidden_layers",
    "qk_nope_head_dim",
    "qk_rope_head_dim",
    "v_head_dim",
    "vocab_size",
]
COUNTS = ["n_group", "n_routed_experts", "topk_group", "moe_layer_freq", "q_lora_rank"]
NUMBERS = ["rms_norm_eps", "rope_theta", "routed_scaling_factor"]

# Well-formed values that no DeepSeek model has and that must not pass in silence.
UNSUPPORTED = {
    "model_type": ["llama", "", "deepseek_v99"],
    "hidden_act": ["gelu", "relu", ""],
    "scoring_func": ["tanh", ""],
    "topk_method": ["random", ""],
    "attention_bias": [True],
    "qk_rope_head_dim": [3, 5],
    "n_group": [3, 5],
    "topk_group": [3, 100],
    "num_experts_per_tok": [5, 10**6],
    "rms_norm_eps": [-1e-6, math.inf],
    "rope_theta": [-1, math.inf],
    "routed_scaling_factor": [math.inf],
}
UNSUPPORTED_NESTED = {
    ("rope_scaling", "type"): ["linear", "", 5, None],
    ("rope_scaling", "factor"): ["4", None, 0, -4, DELETE, [], math.inf],
    ("rope_scaling", "original_max_position_embeddings"): ["64", None, 0, -1, DELETE, 2**70],
    ("rope_scaling", "beta_fast"): ["32", [], -1],
    ("rope_scaling", "mscale_all_dim"): ["1", [], math.inf],
    ("quantization_config", "quant_method"): ["awq", 5, ""],
    ("quantization_config", "fmt"): ["e5m2", 5],
    ("quantization_config", "weight_block_size"): [[64, 64], [128], "128", [128, 0], 128, [-1, -1]],
}


def _config_case(path, value):
    what = "without" if value is DELETE else f"= {str(value)[:40]}"
    # Infinity is no JSON, so the parser may stop before it knows the field.
    names = [CONFIG] if value == math.inf else [CONFIG, path[-1]]
    return Case(f"config {'.'.join(path)} {what}", with_field(CONFIG, path, value), names)


def configs(base, random):
    for name in SIZES:
        wrong = ["64", None, [], {}, 1.5, True, -1, -(2**63), 2**63, 2**70, 1e30]
        for value in random.sample(wrong, 6) + [DELETE]:
            yield _config_case([name], value)
        # Absurd but possible numbers may be found out by the tensors instead.
        for value in (0, 2**31, 2**40):
            case = _config_case([name], value)
            yield Case(case.what, case.change, [(CONFIG, ".safetensors", "model.")])
    for name in COUNTS:
        for value in random.sample(["8", [], {}, 2.5, True, -1, 2**63, 1e30], 4):
            yield _config_case([name], value)
    for name in NUMBERS:
        for value in random.sample(["1", [], {}, True], 2):
            yield _config_case([name], value)
    for name, values in UNSUPPORTED.items():
        for value in values:
            yield _config_case([name], value)
    for path, values in UNSUPPORTED_NESTED.items():
        for value in values:
            yield _config_case(list(path), value)
    for name in ("rope_scaling", "quantization_config"):
        for value in (5, "yarn", []):
            yield _config_case([name], value)
    yield from _texts(base, CONFIG)


def _texts(base, file):
    """A JSON file that is gone, cut, or not an object."""
    good = base.files[file]

    def gone(checkpoint):
        del checkpoint.files[file]

    yield Case(f"no {file}", gone, [file])
    texts = [b"", b"null", b"[]", b"7", good[: len(good) // 2], good + b"}", good[1:], DEEP]
    texts += [good.replace(b'"', b'"\xff', 1), b"\xff\xfe" + good, b"\0" * 100]
    for text in texts:

        def change(checkpoint, text=text):
            checkpoint.files[file] = text

        yield Case(f"{file} {text[:30]!r}", change, [file])


def tokenizers(base, random):
    del random
    yield from _texts(base, TOKENIZER)
    tokenizer = base.json(TOKENIZER)
    vocab, merges = tokenizer["model"]["vocab"], tokenizer["model"]["merges"]
    wrong = {
        ("model",): [DELETE, None, 5, [], {}],
        ("model", "type"): ["Unigram", "WordPiece", 5],
        ("model", "vocab"): [DELETE, None, [], 5, {}],
        ("model", "merges"): [DELETE, None, 5, {"a": 1}],
        ("pre_tokenizer", "type"): ["Whitespace2", 5],
        ("pre_tokenizer", "pretokenizers"): [5, {}, [5], [{"type": "Unknown"}], [{}]],
        ("added_tokens",): [5, {}, [5], [{}], [{"id": -1, "content": "x"}], [{"id": 0}]],
    }
    for path, values in wrong.items():
        for value in values:
            what = "without" if value is DELETE else f"= {str(value)[:40]}"
            change = with_field(TOKENIZER, path, value)
            yield Case(f"tokenizer {'.'.join(path)} {what}", change, [TOKENIZER])
    for value in (-1, 2**31, 2**63, 2**64, 1e30, 1.5, "7", None, [], vocab["!"]):
        change = with_field(TOKENIZER, ["model", "vocab", '"'], value)
        yield Case(f"vocab id {value}", change, [TOKENIZER])
    for value in ("nothere x", "a", "", "a b c", 5, None, [], ["a"], ["a", "b", "c"], ["a", 5]):
        change = with_field(TOKENIZER, ["model", "merges"], [*merges, value])
        yield Case(f"merge {value!r}", change, [TOKENIZER])
    for pattern in ("(", "[z-a]", "(?<n", "*", 5, None, "a{99999999}", "\\p{Nope}"):
        path = ["pre_tokenizer", "pretokenizers", 0, "pattern"]
        change = with_field(TOKENIZER, path, {"Regex": pattern})
        yield Case(f"split pattern {pattern!r}", change, [TOKENIZER])
    for text in (b"{", b"[]", b"", DEEP):

        def change_config(checkpoint, text=text):
            checkpoint.files[TOKENIZER_CONFIG] = text

        yield Case(f"{TOKENIZER_CONFIG} {text[:10]!r}", change_config, [TOKENIZER_CONFIG])
    for value in (5, "{% if %}", "{{ ", "{% for x in y %}"):
        change = with_field(TOKENIZER_CONFIG, ["chat_template"], value)
        yield Case(f"chat_template {value!r}", change, [TOKENIZER_CONFIG])
