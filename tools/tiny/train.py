"""Trains the embedded model and exports it to models/tiny. A second call resumes from the last checkpoint.

The learning rate follows the share of the token budget that is used (or of --minutes, if that is ahead).
In the last fifth the forward pass sees the FP8 values that export.py will store.
"""

import argparse
import random
import time
from pathlib import Path

import torch

import fp8
from bpe import Tokenizer
from data import TASKS, batches, heldout_batches
from model import Config, Model
from optimizer import Muon, split_parameters

ROOT = Path(__file__).resolve().parents[2]
# Shares of the drawn problems before lagging tasks get more.
BASE_WEIGHTS = {"add": 1.2, "sub": 1.8, "mul": 1.3, "compare": 1.0, "sort": 1.5, "count": 1.2, "spell": 1.2,
                "about": 0.7, "tool-call": 0.7, "tool-answer": 0.5}
QUANTISED_FROM = 0.8
MTP_WEIGHT = 0.3
BALANCE_SPEED = 1e-3


def learning_rate(peak: float, progress: float) -> float:
    if progress < 0.01:
        return peak * (0.05 + 95 * progress)
    return peak * min(1.0, max(0.01, (1 - progress) / 0.6))


class QuantisedForward:
    """Straight-through: inside, parameters hold their FP8 values; after, the trained ones again."""

    def __init__(self, model: Model):
        self.parameters = split_parameters(model)[0]
        self.keep_bf16 = model.mtp.eh_proj

    def __enter__(self) -> None:
        self.saved = [p.data for p, _ in self.parameters]
        for p, parts in self.parameters:
            if p is self.keep_bf16:
                continue
            matrices = p.data.view(*p.shape[:-2], parts, p.shape[-2] // parts, p.shape[-1])
            p.data = fp8.fake_quantise(matrices).reshape(p.shape)

    def __exit__(self, *_) -> None:
        for (p, _), value in zip(self.parameters, self.saved):
            p.data = value


class Trainer:
    def __init__(self, arguments):
        self.arguments = arguments
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.tokenizer = Tokenizer(arguments.model / "tokenizer.json")
        self.model = Model(Config(vocab_size=len(self.tokenizer.vocab) + len(self.tokenizer.added) - 3),
                           arguments.seed).to(self.device)
        matrices, others = split_parameters(self.model)
        self.optimizers = [Muon(matrices, arguments.lr),
                           torch.optim.AdamW(others, arguments.lr, betas=(0.9, 0.95), weight_decay=0.0)]
        self.rng = random.Random(arguments.seed)
        self.weights = dict(BASE_WEIGHTS)
        self.step = self.tokens = 0
        self.seconds = 0.0
        self.checks = {task: heldout_batches(self.tokenizer, 7, task, 48) for task in TASKS}

    @property
    def progress(self) -> float:
        by_time = self.seconds / (60 * self.arguments.minutes) if self.arguments.minutes else 0
        return max(self.tokens / self.arguments.tokens, by_time)

    def save(self) -> None:
        state = {"model": self.model.state_dict(), "optimizers": [o.state_dict() for o in self.optimizers],
                 "rng": self.rng.getstate(), "weights": self.weights, "step": self.step, "tokens": self.tokens,
                 "seconds": self.seconds}
        path = self.arguments.checkpoints / "last.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def resume(self) -> None:
        path = self.arguments.checkpoints / "last.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        self.rng.setstate(state["rng"])
        self.weights = state["weights"]
        self.step, self.tokens, self.seconds = state["step"], state["tokens"], state["seconds"]
        print(f"resumed at step {self.step}, {self.tokens / 1e6:.2f}M tokens", flush=True)

    def train_step(self, batch) -> tuple:
        rate = learning_rate(self.arguments.lr, self.progress)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        with_mtp = self.step % (4 if self.progress < 0.6 else 2) == 0
        loss, mtp_loss, _, _ = self.model(batch.tokens.to(self.device), batch.targets.to(self.device), with_mtp)
        (loss + MTP_WEIGHT * mtp_loss if with_mtp else loss).backward()
        return float(loss.detach()), float(mtp_loss.detach()) if with_mtp else None

    def update(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if self.progress < 0.95:
            self.model.balance(BALANCE_SPEED)

    @torch.no_grad()
    def validate(self) -> dict:
        """Share of held-out problems of each task whose every token is the model's first choice."""
        self.model.eval()
        accuracy, mtp = {}, [0, 0]
        for task, checks in self.checks.items():
            rows, right_rows = 0, 0
            for batch in checks:
                targets = batch.targets.to(self.device)
                _, _, right, later = self.model(batch.tokens.to(self.device), targets)
                rows, right_rows = rows + len(right), right_rows + int(right.all(1).sum())
                wanted = targets[:, 1:] >= 0
                mtp = [mtp[0] + int(later[:, :-1][wanted].sum()), mtp[1] + int(wanted.sum())]
            accuracy[task] = right_rows / rows
        self.model.train()
        accuracy["mtp"] = mtp[0] / mtp[1]
        for task in BASE_WEIGHTS:
            self.weights[task] = BASE_WEIGHTS[task] * (0.3 + 1.2 * (1 - accuracy[task]))
        return accuracy

    def run(self) -> None:
        self.resume()
        stream = batches(self.tokenizer, self.rng, self.weights, self.arguments.batch_tokens)
        quantised = QuantisedForward(self.model)
        losses, mtp_losses, since = [], [], time.time()
        last_check = last_save = self.seconds
        first_tokens, first_seconds = self.tokens, self.seconds
        while self.progress < 1:
            batch = next(stream)
            if self.progress >= QUANTISED_FROM:
                with quantised:
                    loss, mtp_loss = self.train_step(batch)
            else:
                loss, mtp_loss = self.train_step(batch)
            self.update()
            losses.append(loss)
            mtp_losses += [mtp_loss] if mtp_loss is not None else []
            self.step += 1
            self.tokens += int(batch.valid.sum())
            self.seconds += time.time() - since
            since = time.time()
            if self.step % 50 == 0:
                speed = (self.tokens - first_tokens) / (self.seconds - first_seconds)
                left = (1 - self.progress) / max(self.progress, 1e-9) * self.seconds
                print(f"step {self.step} {self.tokens / 1e6:.2f}M tokens {100 * self.progress:.1f}% "
                      f"loss {sum(losses) / len(losses):.4f} mtp {sum(mtp_losses) / max(1, len(mtp_losses)):.3f} "
                      f"{speed:.0f} tok/s, {left / 60:.1f} min left", flush=True)
                losses, mtp_losses = [], []
            if self.seconds - last_check > 60 * self.arguments.check_minutes:
                last_check = self.seconds
                with quantised:
                    found = self.validate()
                print("  held out: " + " ".join(f"{k} {100 * v:.0f}%" for k, v in found.items()), flush=True)
            if self.seconds - last_save > 120:
                last_save = self.seconds
                self.save()
        self.save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "tiny", help="tokenizer in, weights out")
    parser.add_argument("--checkpoints", type=Path, default=ROOT / "build" / "tiny")
    parser.add_argument("--tokens", type=float, default=16e6, help="token budget of the schedule")
    parser.add_argument("--minutes", type=float, default=0, help="also end after this many minutes of training")
    parser.add_argument("--batch-tokens", type=int, default=2400)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--check-minutes", type=float, default=4)
    parser.add_argument("--no-export", action="store_true", help="only train")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    trainer = Trainer(arguments)
    trainer.run()
    if not arguments.no_export:
        from export import export
        export(trainer.model, arguments.model)


if __name__ == "__main__":
    main()
