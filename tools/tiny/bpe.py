"""Byte-level BPE as Hugging Face's tokenizer.json describes it, for training and evaluation."""

import json
from pathlib import Path

import regex

# DeepSeek-V3's pre-tokenizer: each pattern isolates its matches in what the ones before left whole.
SPLIT_PATTERNS = [
    r"\p{N}{1,3}",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
]
_COMPILED = [regex.compile(p) for p in SPLIT_PATTERNS]


def byte_characters() -> list:
    """The printable character that stands for each byte in a byte-level vocabulary (GPT-2's table)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, spare = [""] * 256, 256
    for byte in range(256):
        if byte in printable:
            table[byte] = chr(byte)
        else:
            table[byte] = chr(spare)
            spare += 1
    return table


BYTE_TO_CHARACTER = byte_characters()
CHARACTER_TO_BYTE = {c: b for b, c in enumerate(BYTE_TO_CHARACTER)}


def pre_tokenize(text: str) -> list:
    pieces = [text]
    for pattern in _COMPILED:
        pieces = [part for piece in pieces for part in _isolate(pattern, piece)]
    return pieces


def _isolate(pattern, text: str) -> list:
    parts, end = [], 0
    for match in pattern.finditer(text):
        if match.start() > end:
            parts.append(text[end:match.start()])
        if match.end() > match.start():
            parts.append(match.group())
        end = match.end()
    if end < len(text):
        parts.append(text[end:])
    return parts


class Tokenizer:
    def __init__(self, path: Path):
        spec = json.loads(Path(path).read_text(encoding="utf-8"))
        self.vocab = spec["model"]["vocab"]
        merges = [m if isinstance(m, list) else m.split(" ") for m in spec["model"]["merges"]]
        self.ranks = {tuple(pair): rank for rank, pair in enumerate(merges)}
        self.added = {t["content"]: t["id"] for t in spec["added_tokens"]}
        self.text_of = {i: c for c, i in self.vocab.items()}
        names = sorted(self.added, key=len, reverse=True)
        self._added_pattern = regex.compile("(" + "|".join(map(regex.escape, names)) + ")")
        self._cache: dict = {}
        self.bos, self.eos = self.added["<｜begin▁of▁sentence｜>"], self.added["<｜end▁of▁sentence｜>"]

    def encode(self, text: str) -> list:
        ids = []
        for part in self._added_pattern.split(text):
            if part in self.added:
                ids.append(self.added[part])
            elif part:
                for piece in pre_tokenize(part):
                    ids.extend(self._encode_piece(piece))
        return ids

    def _encode_piece(self, piece: str) -> list:
        ids = self._cache.get(piece)
        if ids is None:
            symbols = [BYTE_TO_CHARACTER[b] for b in piece.encode()]
            while len(symbols) > 1:
                rank, at = min((self.ranks.get(pair, 1 << 30), i) for i, pair in enumerate(zip(symbols, symbols[1:])))
                if rank == 1 << 30:
                    break
                symbols[at : at + 2] = ["".join(symbols[at : at + 2])]
            ids = [self.vocab[s] for s in symbols]
            if len(self._cache) < 200_000:
                self._cache[piece] = ids
        return ids

    def decode(self, ids: list) -> str:
        special = {i: c for c, i in self.added.items()}
        data = b"".join(special[i].encode() if i in special
                        else bytes(CHARACTER_TO_BYTE[c] for c in self.text_of[i]) for i in ids)
        return data.decode("utf-8", errors="replace")
