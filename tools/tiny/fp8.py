"""FP8 E4M3 with one float32 scale per 128x128 block, as the released DeepSeek-V3 weights are stored."""

import torch
from torch.nn import functional as F

BLOCK = 128
LARGEST = 448.0


def round_e4m3(x: torch.Tensor) -> torch.Tensor:
    """The nearest E4M3 value of each element (|x| <= 448), ties to even."""
    exponent = torch.frexp(x).exponent.clamp(min=-5)  # smallest normal is 2^-6 = 0.5 * 2^-5
    step = torch.ldexp(torch.ones_like(x), exponent - 4)
    return torch.round(x / step) * step


def block_scales(weight: torch.Tensor) -> torch.Tensor:
    """[..., rows, columns] -> [..., ceil(rows / 128), ceil(columns / 128)]: what makes each block's largest 448."""
    rows, columns = weight.shape[-2:]
    padded = F.pad(weight.abs(), (0, -columns % BLOCK, 0, -rows % BLOCK))
    blocks = padded.unflatten(-1, (-1, BLOCK)).unflatten(-3, (-1, BLOCK))
    return blocks.amax((-3, -1)).clamp(min=1e-12) / LARGEST


def spread(scales: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    wide = scales.repeat_interleave(BLOCK, -2).repeat_interleave(BLOCK, -1)
    return wide[..., :rows, :columns]


def fake_quantise(weight: torch.Tensor) -> torch.Tensor:
    """The values that come back after storing and loading."""
    scale = spread(block_scales(weight), *weight.shape[-2:])
    return round_e4m3(weight / scale) * scale
