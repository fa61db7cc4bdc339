"""Accuracy by task of an exported model on held-out problems, greedy, and how often its MTP layer is right.

Reads the weights back from the safetensors files (FP8 times scale), as a server does.
"""

import argparse
import json
import math
import re
import time
from collections import defaultdict
from pathlib import Path

import torch

from bpe import Tokenizer
from data import render_prompt
from export import load
from model import rotary
from train import ROOT

CALL = re.compile("<｜tool▁call▁begin｜>(.*?)<｜tool▁sep｜>(.*?)<｜tool▁call▁end｜>", re.S)


def _bias(valid: torch.Tensor, heads: int, width: int) -> torch.Tensor:
    """Scores' bias [b * heads, width, seen] for the last `width` of `seen` left-padded positions."""
    seen = valid.shape[1]
    causal = torch.full((width, seen), -1e30).triu_(seen - width + 1)
    bias = causal + torch.where(valid, 0.0, -1e30).unsqueeze(1)
    return bias.repeat_interleave(heads, 0)


@torch.no_grad()
def generate(model, prompts: list, eos: int, limit: int) -> list:
    """Greedy continuations (token ids without eos) of prompts of token ids, all at once."""
    width = max(map(len, prompts))
    tokens = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
    valid = torch.tensor([[False] * (width - len(p)) + [True] * len(p) for p in prompts])
    caches = [[] for _ in model.layers]
    written, open_rows = [[] for _ in prompts], list(range(len(prompts)))
    position = 0
    for _ in range(limit):
        table = rotary(torch.arange(position, position + tokens.shape[1]).unsqueeze(0), model.c)
        bias = _bias(valid, model.c.num_attention_heads, tokens.shape[1])
        hidden = model.hidden(tokens, bias, table, caches)[:, -1]
        position += tokens.shape[1]
        chosen = torch.nn.functional.linear(hidden, model.lm_head).argmax(-1).tolist()
        keep = [i for i, token in enumerate(chosen) if token != eos]
        if not keep:
            break
        for i in keep:
            written[open_rows[i]].append(chosen[i])
        open_rows = [open_rows[i] for i in keep]
        tokens = torch.tensor([[chosen[i]] for i in keep])
        valid = torch.cat([valid[keep], torch.ones(len(keep), 1, dtype=torch.bool)], 1)
        caches = [[part[keep] for part in cache] for cache in caches]
    return written


def correct(line: dict, content: str) -> bool:
    if line["match"] == "tool-call":
        calls = CALL.findall(content)
        if len(calls) != 1:
            return False
        name, arguments = line["expect"].split("(", 1)
        try:
            return calls[0][0] == name and json.loads(calls[0][1]) == json.loads(arguments[:-1])
        except json.JSONDecodeError:
            return False
    if line["match"] == "final-number":
        numbers = re.findall(r"-?\d+", content)
        return bool(numbers) and numbers[-1] == line["expect"]
    return content.strip() == line["expect"]


@torch.no_grad()
def mtp_right(model, prompt: list, written: list) -> tuple:
    """(right, all) of the MTP layer's guesses of the model's own output, each made one token ahead."""
    ids = torch.tensor([prompt + written])
    targets = torch.full_like(ids[:, :-1], -1)
    targets[0, len(prompt) :] = ids[0, len(prompt) + 1 :]  # the first token written is no guess of the MTP layer's
    _, _, _, right = model(ids[:, :-1], targets)
    wanted = targets[0, 1:] >= 0
    return int(right[0, :-1][wanted].sum()), int(wanted.sum())


def evaluate(model, tokenizer, lines: list, thinking: bool, batch: int = 50, limit: int = 320) -> tuple:
    prompts = [tokenizer.encode(render_prompt(line["messages"], line["tools"], thinking)) for line in lines]
    order = sorted(range(len(lines)), key=lambda i: (lines[i]["task"], len(prompts[i])))
    right, total, mtp, wrong = defaultdict(int), defaultdict(int), [0, 0], []
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        outputs = generate(model, [prompts[i] for i in rows], tokenizer.eos, limit)
        for i, ids in zip(rows, outputs):
            text = tokenizer.decode(ids)
            opened = thinking and render_prompt(lines[i]["messages"], lines[i]["tools"], True).endswith("<think>")
            content = text.split("</think>", 1)[-1] if opened else text
            good = (not opened or "</think>" in text) and correct(lines[i], content)
            right[lines[i]["task"]] += good
            total[lines[i]["task"]] += 1
            if not good:
                wrong.append((lines[i], text))
        if thinking:
            for i, ids in list(zip(rows, outputs))[:10]:
                if len(ids) > 1:
                    a, b = mtp_right(model, prompts[i], ids + [tokenizer.eos])
                    mtp = [mtp[0] + a, mtp[1] + b]
    return {task: right[task] / total[task] for task in total}, mtp[0] / mtp[1] if mtp[1] else math.nan, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "tiny")
    parser.add_argument("--problems", type=Path, default=ROOT / "models" / "tiny" / "heldout.jsonl")
    parser.add_argument("--count", type=int, default=0, help="only so many problems of each task")
    parser.add_argument("--thinking-only", action="store_true")
    parser.add_argument("--show-wrong", type=int, default=0, metavar="N")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines, counts = [], defaultdict(int)
    for text in arguments.problems.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        counts[line["task"]] += 1
        if not arguments.count or counts[line["task"]] <= arguments.count:
            lines.append(line)
    model, tokenizer = load(arguments.model), Tokenizer(arguments.model / "tokenizer.json")
    since = time.time()
    thinking, mtp, wrong = evaluate(model, tokenizer, lines, True)
    direct = {} if arguments.thinking_only else evaluate(model, tokenizer, lines, False)[0]
    print("| task | thinking | direct |\n|---|---|---|")
    for task in thinking:
        print(f"| {task} | {100 * thinking[task]:.1f}% | " + (f"{100 * direct[task]:.1f}% |" if direct else "|"))
    print(f"MTP right for {100 * mtp:.1f}% of the model's own output; {time.time() - since:.0f} s")
    for line, text in wrong[: arguments.show_wrong]:
        print(json.dumps(line["messages"][-1]["content"], ensure_ascii=False), "->", repr(text), "expected", line["expect"])


if __name__ == "__main__":
    main()
