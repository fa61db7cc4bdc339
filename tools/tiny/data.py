"""Conversations from problems, rendered by the model's own chat template, and batches of their tokens."""

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import jinja2
import torch

import tasks_about
import tasks_numbers
import tasks_tools
import tasks_words
from problem import Problem, is_heldout, message

GENERATORS = {
    "add": tasks_numbers.add, "sub": tasks_numbers.sub, "mul": tasks_numbers.mul, "compare": tasks_numbers.compare,
    "sort": tasks_numbers.sort, "count": tasks_words.count, "spell": tasks_words.spell, "about": tasks_about.about,
    "tool-call": tasks_tools.tool_call, "tool-answer": tasks_tools.tool_answer,
}
TASKS = list(GENERATORS)
SINGLE_TURN = TASKS[:8]
SYSTEM_PROMPTS = [
    "You are a helpful assistant.", "You are Fathom's tiny model.", "Be brief.", "Answer the question.",
    "You are a careful assistant.", "Think step by step.", "You are a helpful assistant. Answer briefly.",
    "你是一个有用的助手。", "你是一个乐于助人的助手。", "请简短回答。", "请回答用户的问题。"]


@dataclass
class Conversation:
    problem: Problem
    messages: list
    thinking: bool


def draw(rng: random.Random, task: str, heldout: bool) -> Problem:
    """A problem of `task` that is (or is not) held out."""
    while True:
        problem = GENERATORS[task](rng, "en" if rng.random() < 0.55 else "zh")
        if is_heldout(_split(task), problem.key) == heldout:
            return problem


def _split(task: str) -> str:
    return "tool" if task.startswith("tool") else task


def conversation(rng: random.Random, problem: Problem, thinking_share: float = 0.88) -> Conversation:
    """Puts a problem behind an optional system prompt and up to two earlier exchanges."""
    messages = []
    if rng.random() < 0.2:
        messages.append(message("system", rng.choice(SYSTEM_PROMPTS)))
    if rng.random() < 0.2:
        for _ in range(rng.choice((1, 1, 2))):
            earlier = draw(rng, rng.choice(SINGLE_TURN), heldout=False)
            messages += [message("user", earlier.user), message("assistant", earlier.answer)]
    messages.append(message("user", problem.user))
    messages += problem.between
    return Conversation(problem, messages, rng.random() < thinking_share)


def _tojson(value) -> str:
    return json.dumps(value, ensure_ascii=False)


_environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
_environment.filters["tojson"] = _tojson
TEMPLATE = _environment.from_string((Path(__file__).resolve().parent / "chat_template.jinja").read_text(encoding="utf-8"))


def render_prompt(messages: list, tools, thinking: bool) -> str:
    return TEMPLATE.render(messages=messages, tools=tools, thinking=thinking, add_generation_prompt=True,
                           bos_token="<｜begin▁of▁sentence｜>", eos_token="<｜end▁of▁sentence｜>")


def render(talk: Conversation) -> tuple:
    """(prompt, completion): what the server feeds the model and what the model should write."""
    problem = talk.problem
    prompt = render_prompt(talk.messages, problem.tools, talk.thinking)
    completion = problem.answer
    if problem.tool_calls:
        calls = "".join(f"<｜tool▁call▁begin｜>{c['function']['name']}<｜tool▁sep｜>{c['function']['arguments']}<｜tool▁call▁end｜>"
                        for c in problem.tool_calls)
        completion += f"<｜tool▁calls▁begin｜>{calls}<｜tool▁calls▁end｜>"
    if prompt.endswith("<think>"):
        completion = f"{problem.thought}</think>{completion}"
    return prompt, completion + "<｜end▁of▁sentence｜>"


@dataclass
class Batch:
    tokens: torch.Tensor  # [rows, width] int64, padded at the end
    targets: torch.Tensor  # [rows, width] int64: the next token where the model writes it, else -1
    valid: torch.Tensor  # [rows, width] bool: not padding
    tasks: list  # task of each row


def encode(tokenizer, talk: Conversation) -> tuple:
    prompt, completion = render(talk)
    return tokenizer.encode(prompt), tokenizer.encode(completion)


def make_batch(tokenizer, rows: list) -> Batch:
    """rows: (task, prompt ids, completion ids)."""
    width = max(len(p) + len(c) for _, p, c in rows) - 1
    tokens = torch.full((len(rows), width), tokenizer.eos, dtype=torch.int64)
    targets = torch.full((len(rows), width), -1, dtype=torch.int64)
    valid = torch.zeros((len(rows), width), dtype=torch.bool)
    for i, (_, prompt, completion) in enumerate(rows):
        ids = torch.tensor(prompt + completion)
        length = len(ids) - 1
        tokens[i, :length] = ids[:-1]
        targets[i, len(prompt) - 1 : length] = ids[len(prompt) :]
        valid[i, :length] = True
    return Batch(tokens, targets, valid, [task for task, _, _ in rows])


def batches(tokenizer, rng: random.Random, weights: dict, tokens_per_batch: int, pool: int = 400) -> Iterator[Batch]:
    """Endless training batches of rows of like length; `weights` (task -> share) may change at any time."""
    while True:
        names = rng.choices(list(weights), list(weights.values()), k=pool)
        rows = [(name, *encode(tokenizer, conversation(rng, draw(rng, name, heldout=False)))) for name in names]
        rows.sort(key=lambda row: len(row[1]) + len(row[2]))
        groups, group = [], []
        for row in rows:
            if group and (len(group) + 1) * (len(row[1]) + len(row[2])) > tokens_per_batch:
                groups.append(group)
                group = []
            group.append(row)
        groups.append(group)
        rng.shuffle(groups)
        for group in groups:
            yield make_batch(tokenizer, group)


def heldout_batches(tokenizer, seed: int, task: str, count: int, thinking: bool = True, per_batch: int = 32) -> list:
    rng = random.Random(f"{seed}:{task}")
    rows = []
    for _ in range(count):
        talk = conversation(rng, draw(rng, task, heldout=True), 1.0 if thinking else 0.0)
        rows.append((task, *encode(tokenizer, talk)))
    rows.sort(key=lambda row: len(row[1]) + len(row[2]))
    return [make_batch(tokenizer, rows[i : i + per_batch]) for i in range(0, count, per_batch)]
