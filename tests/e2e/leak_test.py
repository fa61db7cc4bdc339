#!/usr/bin/env python3
"""1,000 requests of every kind leave nothing behind: no memory, no KV block, no running request.

In a sanitizer build the leak checker judges at the server's end, by its exit code; memory itself
is only compared in a plain build, where nothing keeps freed blocks.
"""

import concurrent.futures
import os
import re
import unittest

import server as fathom

MODEL = os.path.join(fathom.REPOSITORY, "models", "tiny")
REQUESTS = 1000
WARM_UP = 300  # requests after which every buffer has its size
GROWTH_LIMIT_KIB = 4096  # 700 requests that kept 6 KiB each would exceed it
SANITIZED = bool(os.environ.get("FATHOM_SANITIZED"))


def request(server, number):
    """One request; which kind depends on its number."""
    kind = number % 5
    chat = {
        "model": "tiny",
        "messages": [{"role": "user", "content": f"What is {number} + {number * 7 % 900}?"}],
        "max_tokens": 24,
        "seed": number,
    }
    if kind == 0:
        server.post("/v1/chat/completions", chat)
    elif kind == 1:
        for _ in server.stream("/v1/chat/completions", {**chat, "stream": True}):
            pass
    elif kind == 2:  # goes away after the first events
        events = server.stream("/v1/chat/completions", {**chat, "stream": True, "max_tokens": 400})
        for _, _ in zip(range(3), events):
            pass
        events.close()
    elif kind == 3:
        body = {"model": "tiny", "prompt": [5] * (number % 90 + 1), "echo": True, "logprobs": 2}
        server.post("/v1/completions", {**body, "max_tokens": 3})
    else:
        status, _ = server.post("/v1/chat/completions", {**chat, "temperature": "warm"})
        if status != 400:
            raise RuntimeError(f"expected 400, got {status}")


def resident_kib(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1))


def metric(server, name):
    status, text = server.get("/metrics")
    if status != 200:
        raise RuntimeError(f"/metrics: expected 200, got {status}")
    return float(re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE).group(1))


class Leaks(unittest.TestCase):
    def test_nothing_is_left(self):
        with fathom.Server(MODEL) as server:
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda n: request(server, n), range(WARM_UP)))
                before = resident_kib(server)
                list(pool.map(lambda n: request(server, n), range(WARM_UP, REQUESTS)))
            after = resident_kib(server)
            # One more request makes sure that the engine has seen the last cancellation.
            request(server, 0)
            self.assertEqual(metric(server, "fathom_num_requests_running"), 0)
            self.assertEqual(metric(server, "fathom_num_requests_waiting"), 0)
            self.assertEqual(metric(server, "fathom_kv_cache_usage_perc"), 0)
            print(f"resident: {before} KiB after {WARM_UP} requests, {after} after {REQUESTS}")
            if not SANITIZED:
                self.assertLess(after - before, GROWTH_LIMIT_KIB)
            self.assertEqual(server.stop(), 0, server.stderr())


if __name__ == "__main__":
    unittest.main()
