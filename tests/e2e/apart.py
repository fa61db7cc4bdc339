"""Engines that hand KV blocks to each other, and what they answer."""

import concurrent.futures
import os
import random
import re
import socket

import server as fathom
from waiting import wait_for

TINY = os.path.join(fathom.REPOSITORY, "models", "tiny")
# Formats that every layout can cut, and one thread an engine: there are several.
FLAGS = ("--weights", "bf16", "--threads", "1")
NEW_TOKENS = 12
BLOCK = 32  # tokens
WORDS = "one two three four five six seven eight nine ten plus minus times is what the of and".split()


def prompt(number, words):
    """Prompts differ from their first word on, so that none is in a cache for another's sake."""
    chance = random.Random(number)
    return " ".join(chance.choice(WORDS) for _ in range(words))


SHORT_AND_LONG = [prompt(i, words) for i, words in enumerate((3, 20, 60, 150, 300, 400))]
LONG = [prompt(100 + i, 350) for i in range(10)]


def ask(server, text, **fields):
    choice = fathom.completion(server, text, logprobs=3, max_tokens=NEW_TOKENS, ignore_eos=True,
                               **fields)  # fmt: skip
    logprobs = choice["logprobs"]
    return logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"]


def ask_all(server, prompts):
    with concurrent.futures.ThreadPoolExecutor(len(prompts)) as pool:
        return list(pool.map(lambda text: ask(server, text), prompts))


def metric(server, name, **labels):
    """The sum over what has these labels."""
    _, text = server.get("/metrics")
    found = re.findall(rf"^fathom_{name}{{([^}}]*)}} (\S+)$", text, re.MULTILINE)
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(float(value) for have, value in found if all(each in have for each in wanted))


def fetched(server, name="kv_transfer_blocks_total", **labels):
    return metric(server, name, direction="fetched", **labels)


def sent(server, name="kv_transfer_blocks_total"):
    return metric(server, name, direction="sent")


def failures(server, reason):
    return fetched(server, "kv_transfer_failures_total", reason=reason)


def in_use(server):
    names = ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc")
    return [metric(server, name) for name in names]


def wait_until_idle(server):
    wait_for("no request and no KV block in use", lambda: not any(in_use(server)), 10,
             lambda: f"{in_use(server)}\n{server.stderr()}")  # fmt: skip


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class PrefillEngine(fathom.Server):
    def __init__(self, *flags, model=TINY, port=None, **more):
        self.kv_port = port or free_port()
        super().__init__(model, *FLAGS, "--role", "prefill", "--kv-listen", self.address, *flags, **more)

    @property
    def address(self):
        return f"127.0.0.1:{self.kv_port}"


class DecodeEngine(fathom.Server):
    def __init__(self, *prefill, flags=(), model=TINY, met=True, **more):
        addresses = [each if isinstance(each, str) else each.address for each in prefill]
        super().__init__(model, *FLAGS, "--role", "decode", "--prefill", ",".join(addresses), *flags,
                         **more)  # fmt: skip
        if met:
            for address in addresses:
                self.wait_for_line(f"prefill engine {address}: there")

    def wait_for_line(self, line, times=1):
        wait_for(line, lambda: self.stderr().count(line) >= times, 20, self.stderr)
