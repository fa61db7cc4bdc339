"""Reads and writes safetensors files with NumPy alone, BF16 and F8_E4M3 included.

Format: 8 bytes little-endian header length, a JSON header {name: {dtype, shape, data_offsets}},
then the data, offsets counted from the end of the header.
"""

import json
import os
import struct
from dataclasses import dataclass

import numpy as np

INDEX_FILE = "model.safetensors.index.json"

# Storage types; BF16 and F8_E4M3 are kept as their bit patterns.
_STORAGE = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "F8_E4M3": np.dtype("u1"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "U8": np.dtype("u1"),
}

E4M3_MAX = 448.0


@dataclass
class Tensor:
    """A stored tensor: its safetensors dtype name and its elements as stored."""

    dtype: str
    bits: np.ndarray

    @property
    def shape(self):
        return self.bits.shape

    def to_float64(self):
        if self.dtype == "BF16":
            return decode_bf16(self.bits)
        if self.dtype == "F8_E4M3":
            return decode_e4m3(self.bits)
        return self.bits.astype(np.float64)


def from_float(values, dtype):
    """Rounds float values to `dtype` (to nearest, ties to even)."""
    if dtype == "BF16":
        return Tensor(dtype, encode_bf16(values))
    if dtype == "F8_E4M3":
        return Tensor(dtype, encode_e4m3(values))
    return Tensor(dtype, np.ascontiguousarray(values, dtype=_STORAGE[dtype]))


def decode_bf16(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def encode_bf16(values):
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    round_up = 0x7FFF + ((bits >> 16) & 1)  # ties to the even upper half
    return ((bits + round_up) >> 16).astype(np.uint16)


def _e4m3_table():
    codes = np.arange(256)
    exponent, mantissa = (codes >> 3) & 15, codes & 7
    normal = (1 + mantissa / 8) * np.exp2(exponent - 7.0)
    magnitude = np.where(exponent == 0, mantissa * 2.0**-9, normal)
    magnitude[(codes & 127) == 127] = np.nan  # the only NaN; E4M3 has no infinities
    return np.where(codes < 128, magnitude, -magnitude)


_E4M3 = _e4m3_table()


def decode_e4m3(bits):
    return _E4M3[bits]


def encode_e4m3(values):
    """To E4M3, to nearest with ties to even, saturating at 448."""
    values = np.asarray(values, dtype=np.float64)
    magnitude = np.minimum(np.abs(values), E4M3_MAX)
    magnitude = np.where(np.isnan(values), 0.0, magnitude)
    # Below 2^-6 the spacing is fixed.
    exponent = np.frexp(np.maximum(magnitude, 2.0**-6))[1] - 1
    eighths = np.rint(np.ldexp(magnitude, 3 - exponent))
    code = (exponent + 6) * 8 + eighths.astype(np.int64)
    code = np.where(np.isnan(values), 127, code)
    return (code + np.where(np.signbit(values), 128, 0)).astype(np.uint8)


def write_file(path, tensors):
    """Writes {name: Tensor} to one file, in the dictionary's order."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        end = offset + tensor.bits.nbytes
        header[name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor.bits).tobytes())


def read_file(path):
    """Reads one file to {name: Tensor}."""
    with open(path, "rb") as file:
        data = file.read()
    (header_length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + header_length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + header_length + offset for offset in entry["data_offsets"])
        bits = np.frombuffer(data[begin:end], dtype=_STORAGE[entry["dtype"]])
        tensors[name] = Tensor(entry["dtype"], bits.reshape(entry["shape"]))
    return tensors


def write_sharded(directory, tensors, shards):
    """Deals the tensors out over `shards` files, one by one, and writes the index.

    Neighbours land in different files, so a weight and its scale are always apart.
    """
    names = list(tensors)
    weight_map = {}
    for shard in range(shards):
        file_name = f"model-{shard + 1:05d}-of-{shards:06d}.safetensors"
        part = {name: tensors[name] for name in names[shard::shards]}
        write_file(os.path.join(directory, file_name), part)
        weight_map.update(dict.fromkeys(part, file_name))
    total = sum(tensor.bits.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    with open(os.path.join(directory, INDEX_FILE), "w", encoding="utf-8") as file:
        json.dump(index, file, indent=2)


def read_sharded(directory):
    """Reads every tensor of a sharded checkpoint, each from the file its index names."""
    with open(os.path.join(directory, INDEX_FILE), encoding="utf-8") as file:
        weight_map = json.load(file)["weight_map"]
    files = {
        file_name: read_file(os.path.join(directory, file_name))
        for file_name in set(weight_map.values())
    }
    return {name: files[file_name][name] for name, file_name in weight_map.items()}
