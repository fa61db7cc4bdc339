"""A small tokenizer in the released form: byte-level BPE with DeepSeek-V3's split patterns."""

import json
import os

SPLIT_PATTERNS = [
    r"\p{N}{1,3}",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
    "|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*"
    "|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
]

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"

# (text, special) as released, after the ordinary vocabulary.
LATE_TOKENS = [
    ("<think>", False),
    ("</think>", False),
    ("<｜fim▁hole｜>", False),
    ("<｜fim▁begin｜>", False),
    ("<｜fim▁end｜>", False),
    ("<｜User｜>", False),
    ("<｜Assistant｜>", False),
    ("<|EOT|>", True),
    ("<｜tool▁calls▁begin｜>", False),
    ("<｜tool▁calls▁end｜>", False),
    ("<｜tool▁call▁begin｜>", False),
    ("<｜tool▁call▁end｜>", False),
    ("<｜tool▁outputs▁begin｜>", False),
    ("<｜tool▁outputs▁end｜>", False),
    ("<｜tool▁output▁begin｜>", False),
    ("<｜tool▁output▁end｜>", False),
    ("<｜tool▁sep｜>", False),
]

# Left and right of each merge; "Ġ" stands for the space.
MERGES = [
    tuple(pair.split())
    for pair in (
        "Ġ t|Ġ a|i n|Ġ Ġ|h e|e r|o n|r e|e n|a t|Ġ s|Ġt he|in g|o r|a n|Ġ w|Ġa n|Ġan d|i s|Ġ o"
        "|Ġo f|e l|l l|Ġs t|Ġst or|e d|å ¥|å¥ ½|ä ½|ä½ ł"
    ).split("|")
]

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '<｜User｜>' + message['content'] }}{% elif message['role'] == 'assistant' %}"
    "{{ '<｜Assistant｜>' + message['content'] + '<｜end▁of▁sentence｜>' }}{% else %}"
    "{{ message['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜>' }}{% endif %}"
)


def byte_alphabet():
    """{character: byte}: printable Latin-1 stands for itself, the other bytes follow from U+0100."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet = {chr(byte): byte for byte in printable}
    others = [byte for byte in range(256) if byte not in printable]
    alphabet.update({chr(256 + i): byte for i, byte in enumerate(others)})
    return alphabet


def vocabulary():
    """The tokens by id: specials, the byte alphabet, the merges, the late specials."""
    words = [left + right for left, right in MERGES]
    late = [text for text, _ in LATE_TOKENS]
    return [BOS, EOS, PAD, *byte_alphabet(), *words, *late]


def text_of_ids():
    """{id: text} of the ordinary tokens that are whole characters; their texts are distinct."""
    alphabet = byte_alphabet()
    first_late = len(vocabulary()) - len(LATE_TOKENS)
    texts = {}
    for token_id, token in enumerate(vocabulary()[3:first_late], start=3):
        try:
            texts[token_id] = bytes(alphabet[c] for c in token).decode("utf-8")
        except UnicodeDecodeError:
            continue
    return texts


def _added_token(token_id, text, special):
    return {
        "id": token_id,
        "content": text,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": special,
    }


def tokenizer_json():
    tokens = vocabulary()
    first_late = len(tokens) - len(LATE_TOKENS)
    added = [_added_token(i, tokens[i], True) for i in range(3)]
    for i, (text, special) in enumerate(LATE_TOKENS):
        added.append(_added_token(first_late + i, text, special))
    splits = [
        {"type": "Split", "pattern": {"Regex": p}, "behavior": "Isolated", "invert": False}
        for p in SPLIT_PATTERNS
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": []},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                *splits,
                {**byte_level, "add_prefix_space": False, "use_regex": False},
            ],
        },
        "post_processor": {**byte_level, "trim_offsets": False, "use_regex": True},
        "decoder": {**byte_level, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: i for i, token in enumerate(tokens[:first_late])},
            "merges": [" ".join(pair) for pair in MERGES],
        },
    }


def tokenizer_config_json():
    def token(text):
        return {
            "__type": "AddedToken",
            "content": text,
            "lstrip": False,
            "normalized": True,
            "rstrip": False,
            "single_word": False,
        }

    return {
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": token(BOS),
        "clean_up_tokenization_spaces": False,
        "eos_token": token(EOS),
        "legacy": True,
        "model_max_length": 4096,
        "pad_token": token(EOS),
        "sp_model_kwargs": {},
        "unk_token": None,
        "tokenizer_class": "LlamaTokenizerFast",
        "chat_template": CHAT_TEMPLATE,
    }


def write(directory):
    files = {"tokenizer.json": tokenizer_json(), "tokenizer_config.json": tokenizer_config_json()}
    for name, content in files.items():
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False, indent=1)
