"""Muon for matrices (Jordan 2024, with Moonshot's update scale), AdamW for everything else."""

import torch


def orthogonalise(update: torch.Tensor) -> torch.Tensor:
    """Newton-Schulz: the nearest matrix with singular values near 1; update [count, rows, columns]."""
    x = update.transpose(1, 2) if update.shape[1] > update.shape[2] else update
    x = x / (x.flatten(1).norm(dim=1).view(-1, 1, 1) + 1e-7)
    for _ in range(5):
        square = torch.bmm(x, x.transpose(1, 2))
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    return x.transpose(1, 2) if update.shape[1] > update.shape[2] else x


class Muon(torch.optim.Optimizer):
    """`parts`: name -> number of equal row blocks of a fused matrix that are matrices of their own."""

    def __init__(self, parameters: list, lr: float, momentum: float = 0.95, weight_decay: float = 0.05):
        super().__init__([{"params": [p], "parts": parts} for p, parts in parameters],
                         {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            (p,) = group["params"]
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                state["momentum"] = torch.zeros_like(p)
            state["momentum"].lerp_(p.grad, 1 - group["momentum"])
            update = p.grad.lerp(state["momentum"], group["momentum"])
            matrices = update.view(-1, p.shape[-2] // group["parts"], p.shape[-1])
            scale = 0.2 * max(matrices.shape[1:]) ** 0.5
            p.mul_(1 - group["lr"] * group["weight_decay"])
            p.add_(orthogonalise(matrices).reshape(p.shape), alpha=-group["lr"] * scale)


def split_parameters(model) -> tuple:
    """(parameters for Muon with their parts, parameters for AdamW)."""
    matrices, others = [], []
    for name, p in model.named_parameters():
        if p.dim() < 2 or name in ("embed_tokens", "lm_head") or name.endswith("mlp.gate"):
            others.append(p)
        else:
            matrices.append((p, 2 if name.endswith("gate_up") else 1))
    return matrices, others
