"""Reading and writing the safetensors format: an 8-byte header length, a JSON header, raw little-endian data."""

import json
from pathlib import Path

import torch

import fp8

# Tensors travel as (dtype name, shape, bytes): torch 1.13 knows no FP8 type.
BYTES = {"F8_E4M3": 1, "BF16": 2, "F32": 4}


def _data(name: str, tensor: torch.Tensor) -> bytes:
    tensor = tensor.detach().cpu().contiguous()
    if name == "F8_E4M3":
        return fp8.to_bytes(tensor).numpy().tobytes()
    if name == "BF16":
        return tensor.bfloat16().view(torch.int16).numpy().tobytes()
    return tensor.float().numpy().tobytes()


def write(path: Path, tensors: dict) -> int:
    """tensors: name -> (dtype name, values). Returns the bytes of tensor data."""
    header, blobs, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for name, (dtype, tensor) in tensors.items():
        blob = _data(dtype, tensor)
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))
    return offset


def read(path: Path) -> dict:
    """name -> float32 tensor (FP8 codes as their values, without the block scale)."""
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[:8], "little")
    header, base = json.loads(data[8 : 8 + length]), 8 + length
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        raw = data[base + begin : base + end]
        if entry["dtype"] == "F8_E4M3":
            tensor = fp8.from_bytes(torch.frombuffer(raw, dtype=torch.uint8))
        elif entry["dtype"] == "BF16":
            tensor = torch.frombuffer(raw, dtype=torch.bfloat16).float()
        else:
            tensor = torch.frombuffer(raw, dtype=torch.float32).clone()
        tensors[name] = tensor.view(entry["shape"])
    return tensors
