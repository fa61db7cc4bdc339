#!/usr/bin/env python3
"""How far the embedded model's log-probabilities move from bf16's in each weight format.

The texts are held-out problems, each with the answer that bf16 weights give (greedy, thoughts
included); every format reads the same tokens. Prompts and answers are judged apart: the answers
are nearly certain, the numbers of a problem are not. KL is bf16's against the format's over the
tokens that both name among their 20 likeliest, with all others counted as one token: never more
than the KL over the whole vocabulary.
"""

import concurrent.futures
import json
import math
import os
import statistics
import unittest
from dataclasses import dataclass

import server as fathom

MODEL = os.path.join(fathom.REPOSITORY, "models", "tiny")
STREAMS = 32
EVERY = 5  # of 1,200 problems in the order of their tasks: 20 of each task
TOP = 20  # the API's limit
MAX_ANSWER = 400
LEAST_REST = 1e-7  # what float32 log-probabilities of probabilities that sum to 1 may leave


@dataclass
class Position:
    """What a model says of one token after those before it."""

    log_prob: float
    top: dict  # token -> log-probability, of the likeliest and the actual token


@dataclass
class Divergence:
    """Of one format from bf16, over many positions."""

    log_prob: float  # mean |difference| of the actual token's log-probability
    kl: float  # mean, in nats
    other_top: float  # share of positions with another likeliest token


# About twice what was seen.
BARS = {
    ("as-stored", "prompts"): Divergence(log_prob=0.016, kl=0.0015, other_top=0.012),
    ("as-stored", "answers"): Divergence(log_prob=0.00006, kl=0.000003, other_top=0.001),
    ("int8", "prompts"): Divergence(log_prob=0.1, kl=0.007, other_top=0.03),
    ("int8", "answers"): Divergence(log_prob=0.00025, kl=0.00003, other_top=0.001),
    ("int4", "prompts"): Divergence(log_prob=0.6, kl=0.075, other_top=0.2),
    ("int4", "answers"): Divergence(log_prob=0.0016, kl=0.0008, other_top=0.002),
}


def problems():
    with open(os.path.join(MODEL, "heldout.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file][::EVERY]


def start(weights):
    server = fathom.Server(MODEL, "--weights", weights)
    fathom.served_model(server)  # asked once, before requests run side by side
    return server


def for_each(items, work):
    with concurrent.futures.ThreadPoolExecutor(STREAMS) as pool:
        return list(pool.map(work, items))


def prompt_of(server, problem):
    """Token ids of a problem in the chat template."""
    body = {
        "model": fathom.served_model(server),
        "messages": problem["messages"],
        "chat_template_kwargs": {"thinking": problem["thinking"]},
    }
    if problem["tools"]:
        body["tools"] = problem["tools"]
    status, answer = server.post("/tokenize", body)
    if status != 200:
        raise RuntimeError(f"/tokenize: expected 200, got {status}: {answer}")
    return answer["tokens"]


def echo(server, tokens, **fields):
    said = fathom.completion(server, tokens, echo=True, return_tokens_as_token_ids=True, **fields)
    return said["logprobs"]


def with_answer(server, prompt):
    """Token ids of a prompt and of the answer to it."""
    said = echo(server, prompt, logprobs=0, max_tokens=MAX_ANSWER)
    return [int(token.removeprefix("token_id:")) for token in said["tokens"]]


def read(server, tokens):
    """A Position for every token but the first, which nothing is before."""
    said = echo(server, tokens, logprobs=TOP, max_tokens=0)
    return [Position(*pair) for pair in zip(said["token_logprobs"][1:], said["top_logprobs"][1:])]


def likeliest(position):
    return max(position.top, key=position.top.get)


def kl(expected, got):
    shared = expected.top.keys() & got.top.keys()
    p, q = ([math.exp(position.top[token]) for token in shared] for position in (expected, got))
    for probabilities in (p, q):
        probabilities.append(max(1 - sum(probabilities), LEAST_REST))
    return sum(a * math.log(a / b) for a, b in zip(p, q))


def divergence(expected, got):
    pairs = list(zip(expected, got, strict=True))
    return Divergence(
        statistics.fmean(abs(one.log_prob - other.log_prob) for one, other in pairs),
        statistics.fmean(kl(one, other) for one, other in pairs),
        statistics.fmean(likeliest(one) != likeliest(other) for one, other in pairs),
    )


class WeightFormats(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with start("bf16") as server:
            cls.prompts = for_each(problems(), lambda problem: prompt_of(server, problem))
            cls.texts = for_each(cls.prompts, lambda prompt: with_answer(server, prompt))
            cls.expected = cls.split(for_each(cls.texts, lambda text: read(server, text)))

    @classmethod
    def split(cls, texts):
        """All texts' positions in prompts and in answers."""
        ends = [len(prompt) - 1 for prompt in cls.prompts]  # the first token has no Position
        return {
            "prompts": [p for text, end in zip(texts, ends) for p in text[:end]],
            "answers": [p for text, end in zip(texts, ends) for p in text[end:]],
        }

    def positions(self, weights):
        with start(weights) as server:
            return self.split(for_each(self.texts, lambda text: read(server, text)))

    def check(self, weights, part, found):
        bar = BARS[weights, part]
        for name, value in vars(found).items():
            with self.subTest(weights=weights, part=part, what=name):
                self.assertLessEqual(value, getattr(bar, name))

    def test_log_probabilities_stay_near_those_of_bf16(self):
        print("weights    tokens of        |log p - log p|        KL   same top token")
        for weights in ("as-stored", "int8", "int4"):
            got = self.positions(weights)
            for part, expected in self.expected.items():
                found = divergence(expected, got[part])
                print(
                    f"{weights:10} {len(expected):6,} {part:10} {found.log_prob:14.2g}"
                    f"{found.kl:10.2g} {1 - found.other_top:16.2%}"
                )
                self.check(weights, part, found)


if __name__ == "__main__":
    unittest.main()
