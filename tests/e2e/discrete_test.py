#!/usr/bin/python3
"""`fathom serve --chip cpu-discrete` answers as `--chip cpu` does, to the last bit of what it says.

cpu-discrete is the CPU's kernels behind memory that the host cannot touch, with queues that run
late: whatever the host reads, writes or reuses that it may not is another answer, or none.
"""

import concurrent.futures
import os
import re
import unittest

import server as fathom

TINY = os.path.join(fathom.REPOSITORY, "models", "tiny")
CPU = ("--chip", "cpu")
DISCRETE = ("--chip", "cpu-discrete")
STAGED = (*DISCRETE, "--kernels", "native,without=collectives")  # ranks exchange copies
SAYS = {
    CPU: None,
    DISCRETE: "ranks exchange by collectives on the chip's stream",
    STAGED: "the host cannot touch its memory: ranks exchange copies",
}
PARTS = ("asynchronous", "graphs", "sample", "take_tokens", "pack")  # of one rank

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
        "kind": {"enum": ["fruit", "tool", "animal"]},
    },
    "required": ["name", "count", "kind"],
    "additionalProperties": False,
}


def chat(text, **fields):
    return "/v1/chat/completions", {"messages": [{"role": "user", "content": text}], **fields}


def complete(prompt, **fields):
    return "/v1/completions", {"prompt": prompt, **fields}


REQUESTS = [
    chat("What is 12 + 35?", temperature=0),
    chat("What is 123 + 456?", temperature=0, thinking={"type": "enabled"}, max_tokens=200),
    chat("Name three colours.", temperature=1, seed=7, top_p=0.9, max_tokens=60),
    chat("Name three colours.", temperature=1.3, seed=8, top_k=20, max_tokens=60,
         frequency_penalty=0.5),  # fmt: skip
    chat("Tell me of an apple.", temperature=1, seed=9, max_tokens=80, response_format={
        "type": "json_schema", "json_schema": {"name": "thing", "strict": True, "schema": SCHEMA}}),
    chat("What is 7 + 8?", temperature=0, logprobs=True, top_logprobs=5),
    complete("One, two, three, four, five, six, seven. " * 8, temperature=0, max_tokens=24, echo=True,
             logprobs=3),  # fmt: skip
    complete("The capital of France is", temperature=0.8, seed=3, max_tokens=40, n=3),
    complete("a b c d e f g", temperature=0, max_tokens=64, ignore_eos=True),
]  # fmt: skip


def ask(server, request):
    path, body = request
    status, answer = server.post(path, {"model": fathom.served_model(server), **body})
    if status != 200:
        raise RuntimeError(f"{path}: expected 200, got {status}: {answer}")
    return answer["choices"]


def answers(server, requests, at_once):
    fathom.served_model(server)
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda request: ask(server, request), requests))


def counted(server, name):
    _, text = server.get("/metrics")
    return float(re.search(rf"^fathom_{name}_total{{.*}} (\S+)$", text, re.MULTILINE)[1])


class Discrete(unittest.TestCase):
    maxDiff = None

    def check(self, *flags, ranks=1, requests=REQUESTS, at_once=1, preempts=False,
              ahead=False):  # fmt: skip
        chips = (CPU, DISCRETE)
        if ranks > 1:
            flags += ("--weights", "bf16")  # which every layout can cut
            chips += (STAGED,)
        got = {}
        for chip in chips:
            with fathom.Server(TINY, *chip, *flags, ranks=ranks) as server:
                got[chip] = answers(server, requests, at_once)
                if preempts:
                    self.assertGreater(counted(server, "num_preemptions"), 0)
                if ahead:
                    self.assertEqual(counted(server, "steps_ahead") > 0, chip == DISCRETE)
                self.assertEqual(server.stop(), 0, server.stderr())
                for says in filter(None, SAYS.values()):
                    expected = ranks > 1 and says == SAYS[chip]
                    self.assertEqual(says in server.stderr(), expected, server.stderr())
        for chip in chips[1:]:
            for request, expected, answer in zip(requests, got[CPU], got[chip]):
                self.assertEqual(answer, expected, (chip, request))

    def test_requests_together(self):
        self.check("--exact", "--prefill-chunk", "48", at_once=len(REQUESTS))

    def test_weights_in_int8(self):
        self.check("--weights", "int8")

    def test_speculation(self):
        self.check("--speculate", "2")

    def test_two_steps_in_flight(self):
        """Where nothing is drafted."""
        self.check("--speculate", "0", "--prefill-chunk", "48", at_once=len(REQUESTS), ahead=True)

    def test_little_room(self):
        """Six choices that start together and end with more tokens than the cache holds: some are
        preempted and replayed."""
        request = complete("Count on:", temperature=1, seed=5, n=6, max_tokens=400, ignore_eos=True)
        flags = ("--kv-memory", "1", "--max-context", "512")
        self.check(*flags, requests=[request], preempts=True)
        self.check(*flags, "--speculate", "0", requests=[request], preempts=True, ahead=True)

    def test_without_a_part(self):
        """The host goes another way, to the same answers."""
        requests = [REQUESTS[i] for i in (1, 3, 4, 6)]
        with fathom.Server(TINY, *CPU) as server:
            expected = answers(server, requests, len(requests))
        for part in PARTS:
            flags = (*DISCRETE, "--kernels", f"native,without={part}")
            with fathom.Server(TINY, *flags) as server:
                self.assertEqual(answers(server, requests, len(requests)), expected, part)

    def test_tensor_parallel_ranks(self):
        self.check("--parallel", "tp=2", ranks=2)

    def test_data_parallel_ranks(self):
        self.check("--parallel", "dp=2", ranks=2)

    def test_stages_of_a_pipeline(self):
        self.check("--parallel", "pp=2", ranks=2)


LOST = (*DISCRETE, "--kernels")


class LostChip(unittest.TestCase):
    """The chip is gone at some record of work: whoever waits is told, and the process ends with the
    code that has it started again."""

    def ask_until_it_fails(self, server):
        """Six long answers at a time; -> what was answered when the chip was lost."""
        model = fathom.served_model(server)
        bodies = [
            {"model": model, "prompt": f"Count from {i}:", "max_tokens": 200, "ignore_eos": True}
            for i in range(6)
        ]
        for _ in range(50):
            with concurrent.futures.ThreadPoolExecutor(len(bodies)) as pool:
                answers = list(pool.map(lambda body: server.post("/v1/completions", body), bodies))
            if any(status != 200 for status, _ in answers):
                return answers
        return self.fail("expected the chip to be lost")

    def test_while_it_serves(self):
        for record in (3000, 3017, 3990):
            with fathom.Server(TINY, *LOST, f"native,lose={record}") as server:
                answers = self.ask_until_it_fails(server)
                for status, answer in answers:
                    self.assertIn(status, (200, 500, 503), answer)
                self.assertIn("the chip is lost", str(answers))
                self.assertEqual(server.process.wait(fathom.STOP_DEADLINE_S), 75)
                self.assertIn("chip cpu-discrete is lost", server.stderr())

    def test_while_it_loads(self):
        for record in (1, 5):
            with fathom.Server(TINY, *LOST, f"native,lose={record}", ready=False) as server:
                self.assertEqual(server.process.wait(fathom.START_DEADLINE_S), 1)
                self.assertIn("the chip is lost", server.stderr())


if __name__ == "__main__":
    unittest.main()
