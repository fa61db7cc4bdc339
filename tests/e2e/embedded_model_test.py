#!/usr/bin/env python3
"""The embedded model answers held-out problems through the server: the bars it was trained for.

Sums and differences of three digits 95% or more, every other task 90% or more (greedy, thinking).
With int8 and 4-bit weights, within 1 and 3 points of that overall.
"""

import collections
import concurrent.futures
import json
import os
import re
import unittest

import server as fathom

MODEL = os.path.join(fathom.REPOSITORY, "models", "tiny")
STREAMS = 32


def problems():
    with open(os.path.join(MODEL, "heldout.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def ask(server, problem):
    body = {
        "model": fathom.served_model(server),
        "messages": problem["messages"],
        "thinking": {"type": "enabled" if problem["thinking"] else "disabled"},
        "temperature": 0,
        "max_tokens": 400,
    }
    if problem["tools"]:
        body["tools"] = problem["tools"]
    status, answer = server.post("/v1/chat/completions", body)
    if status != 200:
        raise RuntimeError(f"expected 200, got {status}: {answer}")
    return answer["choices"][0]["message"]


def is_right(problem, message):
    content = (message.get("content") or "").strip()
    if problem["match"] == "exact":
        return content == problem["expect"]
    if problem["match"] == "final-number":
        numbers = re.findall(r"-?\d+", content.replace("\u2212", "-"))
        return bool(numbers) and numbers[-1] == problem["expect"]
    if problem["match"] == "tool-call":
        calls = message.get("tool_calls") or []
        name, arguments = re.fullmatch(r"(\w+)\((.*)\)", problem["expect"]).groups()
        return (
            len(calls) == 1
            and calls[0]["function"]["name"] == name
            and json.loads(calls[0]["function"]["arguments"]) == json.loads(arguments)
        )
    raise RuntimeError(f"unknown kind of match {problem['match']}")


def right_and_asked(weights):
    """Right answers and problems by task, with the weights in the given format."""
    right, asked = collections.Counter(), collections.Counter()
    todo = problems()
    with fathom.Server(MODEL, "--weights", weights) as server:
        fathom.served_model(server)
        with concurrent.futures.ThreadPoolExecutor(STREAMS) as pool:
            answers = list(pool.map(lambda problem: ask(server, problem), todo))
    for problem, message in zip(todo, answers):
        asked[problem["task"]] += 1
        right[problem["task"]] += is_right(problem, message)
    return right, asked


class EmbeddedModel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.right, cls.asked = right_and_asked("as-stored")

    def test_held_out_problems(self):
        self.assertGreaterEqual(self.asked.total(), 1000)
        for task in sorted(self.asked):
            share = self.right[task] / self.asked[task]
            print(f"{task}: {self.right[task]} of {self.asked[task]}")
            bar = 0.95 if task in ("add", "sub") else 0.90
            with self.subTest(task=task):
                self.assertGreaterEqual(share, bar)

    def test_smaller_weights_keep_the_accuracy(self):
        for weights, points in (("int8", 1), ("int4", 3)):
            right, asked = right_and_asked(weights)
            lost = 100 * (self.right.total() - right.total()) / asked.total()
            by_task = {task: right[task] - self.right[task] for task in sorted(asked)}
            print(f"{weights}: {lost:.1f} points below FP8; by task {by_task}")
            with self.subTest(weights=weights):
                self.assertLessEqual(lost, points)


if __name__ == "__main__":
    unittest.main()
