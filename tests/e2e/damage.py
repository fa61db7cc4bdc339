"""Damaged copies of a checkpoint: what is wrong, and what the error must name.

Each function yields `Case`s; a case changes a Checkpoint held in memory, which is then written out.
"""

import copy
import json
import os
import struct
from dataclasses import dataclass, field
from typing import Callable

INDEX = "model.safetensors.index.json"
CONFIG, TOKENIZER, TOKENIZER_CONFIG = "config.json", "tokenizer.json", "tokenizer_config.json"
DELETE = object()  # as a field's value: take the field away
DEEP = b"[" * 200_000


class Shard:
    """A safetensors file taken apart: its header as a dictionary and its data."""

    def __init__(self, content):
        (length,) = struct.unpack_from("<Q", content)
        self.header = json.loads(content[8 : 8 + length])
        self.data = bytearray(content[8 + length :])

    def names(self):
        return [name for name in self.header if name != "__metadata__"]

    def remove(self, name):
        """Takes a tensor out and closes the gap."""
        begin, end = self.header.pop(name)["data_offsets"]
        del self.data[begin:end]
        for entry in map(self.header.get, self.names()):
            if entry["data_offsets"][0] >= end:
                entry["data_offsets"] = [x - (end - begin) for x in entry["data_offsets"]]

    def content(self):
        header = json.dumps(self.header, separators=(",", ":")).encode()
        header += b" " * (-len(header) % 8)
        return struct.pack("<Q", len(header)) + header + bytes(self.data)


class Checkpoint:
    """A checkpoint directory in memory: {file name: bytes}."""

    def __init__(self, files):
        self.files = files

    @classmethod
    def read(cls, directory):
        files = {}
        for name in sorted(os.listdir(directory)):
            with open(os.path.join(directory, name), "rb") as file:
                files[name] = file.read()
        return cls(files)

    def copy(self):
        return Checkpoint(dict(self.files))

    def write(self, directory):
        os.makedirs(directory)
        for name, content in self.files.items():
            with open(os.path.join(directory, name), "wb") as file:
                file.write(content)

    def shards(self):
        return [name for name in self.files if name.endswith(".safetensors")]

    def shard(self, name):
        return Shard(self.files[name])

    def json(self, name):
        return json.loads(self.files[name])

    def edit_shard(self, name, change):
        shard = self.shard(name)
        change(shard)
        self.files[name] = shard.content()

    def edit_json(self, name, change):
        content = self.json(name)
        change(content)
        self.files[name] = json.dumps(content).encode()

    def tensors(self):
        """[(tensor, shard)] of the whole checkpoint, by name."""
        return sorted((t, shard) for shard in self.shards() for t in self.shard(shard).names())


@dataclass
class Case:
    what: str
    change: Callable[[Checkpoint], None]
    # One line of stderr must hold all of these; of an inner tuple, one of them.
    names: list = field(default_factory=list)


def _set_bytes(file, content):
    def change(checkpoint):
        checkpoint.files[file] = content

    return change


def truncated(base, random):
    """Shards cut short: in the length, in the header, in the data."""
    for shard in base.shards():
        content = base.files[shard]
        (length,) = struct.unpack_from("<Q", content)
        cuts = {0, 1, 7, 8, 9, 8 + length // 2, 7 + length, 8 + length, len(content) - 1}
        cuts |= {random.randrange(8, 8 + length) for _ in range(8)}
        cuts |= {random.randrange(8 + length, len(content)) for _ in range(12)}
        for cut in sorted(cuts):
            yield Case(f"{shard} cut to {cut} bytes", _set_bytes(shard, content[:cut]), [shard])


def header_lengths(base, random):
    """Header lengths that do not fit the file; the last one leaves JSON that is valid."""
    for shard in base.shards():
        content = base.files[shard]
        (length,) = struct.unpack_from("<Q", content)
        size = len(content)
        wrong = [0, 1, 2, length - 9, length + 1, size - 8, size - 7, size, 10**8 + 1, 2**31, 2**32]
        wrong += [2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 8, 2**64 - 1, random.randrange(2**64)]
        for value in wrong:
            damaged = struct.pack("<Q", value) + content[8:]
            yield Case(f"{shard} header length {value}", _set_bytes(shard, damaged), [shard])
        padded = content[8 : 8 + length] + b" " * 8
        damaged = struct.pack("<Q", length) + padded + content[8 + length :]
        yield Case(f"{shard} data 8 bytes late", _set_bytes(shard, damaged), [shard])


def broken_headers(base, random):
    """Headers that are not the JSON they should be."""

    def with_header(content, header):
        (length,) = struct.unpack_from("<Q", content)
        return struct.pack("<Q", len(header)) + header + content[8 + length :]

    for shard in base.shards():
        content = base.files[shard]
        (length,) = struct.unpack_from("<Q", content)
        good = content[8 : 8 + length]
        headers = [b"null", b"[]", b"17", b'""', b"{}"]
        headers += [b"{" * length, b" " * length, b"\0" * length]
        headers += [DEEP, b'{"a":' + DEEP, good.replace(b'"shape":', b'"shape"', 1)]
        headers += [good.replace(b"{", b"{,", 1), good.replace(b'"', b'"\xff\xfe', 1)]
        headers += [b"\xff" + good]
        headers += [good.strip()[:-1], good.strip() + b"}", good.strip() + b"x"]
        while len(headers) < 24:
            at = random.randrange(len(good))
            flipped = good[:at] + bytes([random.choice(b'{}[]",:\0\n\\')]) + good[at + 1 :]
            if not _is_json(flipped):
                headers.append(flipped)
        for i, header in enumerate(headers):
            damaged = with_header(content, header)
            yield Case(f"{shard} header {i}: {header[:30]!r}", _set_bytes(shard, damaged), [shard])


def _is_json(text):
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _entry_change(shard, tensor, key, value):
    def change_header(parts):
        if key is None:
            parts.header[tensor] = value
        elif value is DELETE:
            del parts.header[tensor][key]
        else:
            parts.header[tensor][key] = value

    return lambda checkpoint: checkpoint.edit_shard(shard, change_header)


def header_entries(base, random):
    """One tensor's entry in the header made wrong in each way."""
    for shard in base.shards():
        parts = base.shard(shard)
        data = len(parts.data)
        wrong = [(None, v) for v in (None, 5, "x", [], {})]
        wrong += [("dtype", v) for v in (DELETE, None, 7, "", "BF17", "F8_E5M2", "BOOL", "I16")]
        wrong += [("shape", v) for v in (DELETE, None, 4, "2", {}, [-1, 4], [1.5], ["8"], [None])]
        wrong += [("shape", v) for v in ([2**62, 2**62], [2**63], [2**64], [1e300], [1] * 5000)]
        wrong += [("shape", v) for v in ([0], [0, 2**63], [2**32, 2**32], [])]
        wrong += [("data_offsets", v) for v in (DELETE, None, 3, [], [0], [0, 1, 2], ["0", "8"])]
        wrong += [("data_offsets", v) for v in ([8, 0], [-8, 0], [0.5, 8.5], [0, 2**63], [None, 8])]
        wrong += [("data_offsets", [data, data + 8]), ("data_offsets", [0, data + 1])]
        wrong += [("data_offsets", [2**64 - 8, 2**64]), ("data_offsets", [2**63, 2**63 + 8])]
        for key, value in wrong:
            tensor = random.choice(parts.names())
            what = "without" if value is DELETE else f"= {str(value)[:40]}"
            yield Case(
                f"{tensor}: {key} {what}",
                _entry_change(shard, tensor, key, value),
                [shard, tensor],
            )


def overlaps(base, random):
    """Two tensors that share bytes, though each fits the file by itself."""
    for shard in base.shards():
        parts = base.shard(shard)
        for _ in range(12):
            tensor, other = random.sample(parts.names(), 2)
            begin, end = parts.header[tensor]["data_offsets"]
            at = parts.header[other]["data_offsets"][0]
            if at + end - begin > len(parts.data):
                at = len(parts.data) - (end - begin)
            if at == begin:
                at -= 4
            moved = [at, at + end - begin]
            yield Case(
                f"{tensor} moved onto {other}",
                _entry_change(shard, tensor, "data_offsets", moved),
                [shard, _disturbed(parts, tensor, moved)],
            )


def _disturbed(parts, tensor, moved):
    """The tensor that moved, those it now overlaps, and the one after the gap it left."""
    gap_end = parts.header[tensor]["data_offsets"][1]
    names = [tensor]
    for name in parts.names():
        begin, end = parts.header[name]["data_offsets"]
        if (begin < moved[1] and end > moved[0]) or begin == gap_end:
            names.append(name)
    return tuple(names)


def wrong_tensors(base, random):
    """Entries that are sound but not what the model needs: other shapes, other types."""
    other_type = {"BF16": "I16", "F8_E4M3": "U8", "F32": "I32"}
    for tensor, shard in random.sample(base.tensors(), 45):
        entry = base.shard(shard).header[tensor]
        shape = entry["shape"]
        wrong = [("dtype", other_type[entry["dtype"]]), ("shape", [1, *shape])]
        if len(shape) == 2 and shape[0] != shape[1]:
            wrong.append(("shape", shape[::-1]))
        if len(shape) == 2:
            wrong.append(("shape", [shape[0] * shape[1]]))
        key, value = random.choice(wrong)
        yield Case(
            f"{tensor}: {key} {value}", _entry_change(shard, tensor, key, value), [shard, tensor]
        )


def missing_tensors(base, random):
    """A tensor absent from its shard, or from shard and index; MTP's copies may be left out."""
    shared = ("embed_tokens.weight", "shared_head.head.weight")
    last = f"model.layers.{base.json(CONFIG)['num_hidden_layers']}."
    needed = [
        (t, s) for t, s in base.tensors() if not (t.startswith(last) and t.endswith(shared))
    ]
    for tensor, shard in random.sample(needed, 40):

        def from_shard(checkpoint, tensor=tensor, shard=shard):
            checkpoint.edit_shard(shard, lambda parts: parts.remove(tensor))

        def from_both(checkpoint, tensor=tensor, from_shard=from_shard):
            from_shard(checkpoint)
            checkpoint.edit_json(INDEX, lambda index: index["weight_map"].pop(tensor))

        if random.random() < 0.5:
            yield Case(f"{tensor} not in its shard", from_shard, [shard, tensor])
        else:
            yield Case(f"{tensor} nowhere", from_both, [tensor])


def index_and_shards(base, random):
    """The index and the files it names."""
    for shard in base.shards():
        yield Case(f"no {shard}", lambda c, shard=shard: c.files.pop(shard), [shard])
    yield Case("no index", lambda c: c.files.pop(INDEX), [INDEX])

    good = base.files[INDEX]
    texts = [b"", b"{", b"null", b"[]", b"{}", good[: len(good) // 2], good + b"}", DEEP]
    texts += [b'{"weight_map": %s}' % value for value in (b"null", b"[]", b"3", b"{}", DEEP)]
    for text in texts:
        yield Case(f"index {text[:30]!r}", _set_bytes(INDEX, text), [INDEX])

    wrong = [None, 5, ["x"], {}, "", "nowhere.safetensors", "../outside.safetensors", "/etc/passwd"]
    wrong += [".", "a/b/c.safetensors", "x" * 5000, "a\0b", CONFIG]
    for value in wrong:
        tensor, _ = random.choice(base.tensors())

        def change(checkpoint, tensor=tensor, value=value):
            checkpoint.edit_json(INDEX, lambda index: index["weight_map"].update({tensor: value}))

        names = [(INDEX, value)] if isinstance(value, str) and value else [INDEX, tensor]
        yield Case(f"index maps {tensor} to {str(value)[:40]!r}", change, names)

    for tensor, shard in random.sample(base.tensors(), 4):
        other = next(name for name in base.shards() if name != shard)

        def to_other(checkpoint, tensor=tensor, other=other):
            checkpoint.edit_json(INDEX, lambda index: index["weight_map"].update({tensor: other}))

        yield Case(f"index maps {tensor} to the other shard", to_other, [other, tensor])


def bad_numbers(base, random):
    """NaN and infinities where a single one spoils a whole block or the routing."""
    floats = [(t, s) for t, s in base.tensors() if base.shard(s).header[t]["dtype"] == "F32"]
    for tensor, shard in random.sample(floats, 30):
        begin, end = base.shard(shard).header[tensor]["data_offsets"]
        at = random.randrange(begin, end, 4)
        value = random.choice([float("nan"), float("inf"), float("-inf")])

        def change(checkpoint, shard=shard, at=at, value=value):
            checkpoint.edit_shard(shard, lambda p: struct.pack_into("<f", p.data, at, value))

        yield Case(f"{tensor} holds {value}", change, [shard, tensor])


def with_field(file, path, value):
    """Sets (or deletes) the field at `path` of a JSON file."""

    def change_content(content):
        *parents, last = path
        for key in parents:
            content = content[key]
        if value is DELETE:
            del content[last]
        else:
            content[last] = copy.deepcopy(value)

    return lambda checkpoint: checkpoint.edit_json(file, change_content)
