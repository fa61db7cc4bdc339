"""Trains the embedded model's byte-level BPE and writes tokenizer.json and tokenizer_config.json.

Merges come from the generated conversations, with two restrictions that make letters easy for a small
model: no merge starts at a digit or a lower-case letter, so numbers are single digits and a quoted word
is single letters, and only pieces that occur often are counted, so random task words shape no merge.
"""

import argparse
import json
import random
from collections import Counter
from pathlib import Path

from bpe import BYTE_TO_CHARACTER, CHARACTER_TO_BYTE, SPLIT_PATTERNS, pre_tokenize
from data import conversation, draw, render, TASKS
from tasks_tools import CITIES_ZH

VOCAB_SIZE = 1280
CONVERSATIONS = 24_000
RARE = 20  # pieces seen less often than this shape no merge

FIRST = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"]
# (name, `special` flag of the released DeepSeek-V3 and V3.1 tokenizers), in their order.
LAST = [("<think>", False), ("</think>", False), ("<｜fim▁hole｜>", False), ("<｜fim▁begin｜>", False),
        ("<｜fim▁end｜>", False), ("<｜User｜>", False), ("<｜Assistant｜>", False), ("<|EOT|>", True),
        ("<｜tool▁calls▁begin｜>", False), ("<｜tool▁calls▁end｜>", False), ("<｜tool▁call▁begin｜>", False),
        ("<｜tool▁call▁end｜>", False), ("<｜tool▁outputs▁begin｜>", False), ("<｜tool▁outputs▁end｜>", False),
        ("<｜tool▁output▁begin｜>", False), ("<｜tool▁output▁end｜>", False), ("<｜tool▁sep｜>", False)]


def corpus(seed: int) -> Counter:
    rng = random.Random(seed)
    marks = FIRST + [name for name, _ in LAST]
    pieces: Counter = Counter()
    for i in range(CONVERSATIONS):
        prompt, completion = render(conversation(rng, draw(rng, TASKS[i % len(TASKS)], heldout=False)))
        text = prompt + completion
        for mark in marks:
            text = text.replace(mark, "\0")
        for part in text.split("\0"):
            pieces.update(pre_tokenize(part))
    return Counter({p: n for p, n in pieces.items() if n >= RARE})


def _allowed(left: str, right: str) -> bool:
    data = bytes(CHARACTER_TO_BYTE[c] for c in left + right)
    if chr(data[0]).isascii() and (chr(data[0]).islower() or chr(data[0]).isdigit()):
        return False
    if data[0] < 0x80:
        return True
    try:  # whole characters, or the first bytes of a single one
        data.decode()
        return True
    except UnicodeDecodeError:
        return data[0] >= 0xE0 and len(data) == 2


def character_merges(characters: str, known: set) -> list:
    """Merges that make each (three-byte) character one token."""
    merges = []
    for character in sorted(set(characters)):
        first, second, third = (BYTE_TO_CHARACTER[b] for b in character.encode())
        for pair in ((first, second), (first + second, third)):
            if "".join(pair) not in known:
                known.add("".join(pair))
                merges.append(pair)
    return merges


def train_merges(pieces: Counter, count: int) -> list:
    words = [([BYTE_TO_CHARACTER[b] for b in piece.encode()], n) for piece, n in sorted(pieces.items())]
    merges = []
    while len(merges) < count:
        pairs: Counter = Counter()
        for symbols, n in words:
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += n
        best = max((p for p in pairs if _allowed(*p)), key=lambda p: (pairs[p], p), default=None)
        if best is None:
            raise SystemExit(f"tokenizer: expected {count} merges, the corpus only yields {len(merges)}")
        merges.append(best)
        for symbols, _ in words:
            i = 0
            while i < len(symbols) - 1:
                if symbols[i] == best[0] and symbols[i + 1] == best[1]:
                    symbols[i : i + 2] = [best[0] + best[1]]
                i += 1
    return merges


def with_characters(merges: list, characters: str) -> list:
    """The most frequent merges, and in place of the others the characters a copied name may hold."""
    kept = len(merges)
    while True:
        more = character_merges(characters, {a + b for a, b in merges[:kept]})
        if kept + len(more) <= len(merges):
            return merges[:kept] + more
        kept -= 1


def added_token(index: int, content: str, special: bool, normalized: bool) -> dict:
    return {"id": index, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": normalized, "special": special}


def tokenizer_json(merges: list) -> dict:
    symbols = [BYTE_TO_CHARACTER[b] for b in range(256)] + [a + b for a, b in merges]
    vocab = {content: i for i, content in enumerate(FIRST)}
    vocab.update({symbol: len(FIRST) + i for i, symbol in enumerate(symbols)})
    added = [added_token(i, content, True, False) for i, content in enumerate(FIRST)]
    added += [added_token(len(vocab) + i, name, special, True) for i, (name, special) in enumerate(LAST)]
    splits = [{"type": "Split", "pattern": {"Regex": p}, "behavior": "Isolated", "invert": False} for p in SPLIT_PATTERNS]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    outer = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": []},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": splits + [byte_level]},
        "post_processor": outer, "decoder": {**outer, "trim_offsets": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocab,
                  "merges": [f"{a} {b}" for a, b in merges]}}


def tokenizer_config(template: str, max_length: int) -> dict:
    def token(content: str) -> dict:
        return {"__type": "AddedToken", "content": content, "lstrip": False, "normalized": True, "rstrip": False,
                "single_word": False}
    return {"add_bos_token": True, "add_eos_token": False, "bos_token": token(FIRST[0]),
            "clean_up_tokenization_spaces": False, "eos_token": token(FIRST[1]), "legacy": True,
            "model_max_length": max_length, "pad_token": token(FIRST[1]), "sp_model_kwargs": {}, "unk_token": None,
            "tokenizer_class": "LlamaTokenizerFast", "chat_template": template}


def main() -> None:
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=here.parents[1] / "models" / "tiny")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    room = VOCAB_SIZE - 256 - len(FIRST) - len(LAST)
    merges = with_characters(train_merges(corpus(arguments.seed), room), "".join(CITIES_ZH))
    spec = json.dumps(tokenizer_json(merges), ensure_ascii=False, indent=1)
    (arguments.out / "tokenizer.json").write_text(spec + "\n", encoding="utf-8")
    config = tokenizer_config((here / "chat_template.jinja").read_text(encoding="utf-8"), 2048)
    (arguments.out / "tokenizer_config.json").write_text(json.dumps(config, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {arguments.out}/tokenizer.json: {len(merges)} merges")


if __name__ == "__main__":
    main()
