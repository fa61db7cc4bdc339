#!/usr/bin/python3
"""`fathom serve` over several ranks under mpirun answers as one rank does.

The embedded model and random checkpoints, with reference kernels, in layouts of 2, 4 and 8 ranks:
the same greedy tokens and log-probabilities within 1e-3, while other requests come and go.
FATHOM_LAYOUTS="tp=2;dp=2" restricts the layouts while mending one.
"""

import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "tools", "oracle"))
import make_checkpoint
import server as fathom
from manager import Manager
from mpi_job import MpiJob

TINY = os.path.join(fathom.REPOSITORY, "models", "tiny")
KERNELS = ("--kernels", "reference")
HIDDEN, CHOICES = 192, 4  # TINY's width, and experts of a token
MAX_ERROR = 1e-3
IDLE_WITHIN_S = 10
STREAMS = 4  # that are cancelled while the others are answered

# Of the embedded model: 6 heads, 4 layers, 16 experts.
TINY_LAYOUTS = {
    "tp=2": 2,  # whole experts on each rank
    "tp=2,ep=1": 2,  # half of each expert on each rank
    "dp=2": 2,
    "pp=2": 2,
    "dp=4": 4,
    "pp=4": 4,
    "tp=2,dp=2": 4,
    "tp=2,dp=2,ep=2": 4,
    "pp=2,tp=2": 4,
    "pp=2,dp=2": 4,
    "dp=4,redundant=8": 4,  # some experts twice, placed anew every 5 steps
    "dp=2,shared=2": 2,  # the shared expert in a routed one's place
    "pp=2,dp=2,tp=2": 8,
    "dp=4,tp=2,ep=4": 8,
}
# Of random checkpoints, by shape and format; the third has no experts. Where ranks' parts are whole
# groups, int8 weights have the same scales as on one rank.
RANDOM_LAYOUTS = {
    ("v3", "bf16"): {"tp=4": 4, "pp=2,dp=2": 4},
    ("v2", "bf16"): {"tp=2,dp=2": 4},
    ("dense", "bf16"): {"pp=2,dp=2": 4},
    ("v3_groups", "int8"): {"tp=2": 2, "tp=2,dp=2,ep=2": 4},
}

PROMPTS = [
    "What is 12 + 35?",
    "The capital of France is",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i j k l m n o p q r s t",
    "One, two, three, four, five, six, seven, eight, nine, ten. " * 8,
    "x",
    "What is 12 + 35? And what is 35 - 12?",
]
NEW_TOKENS = 12


def ask(server, prompt):
    choice = fathom.completion(server, prompt, echo=True, logprobs=1, max_tokens=NEW_TOKENS)
    return choice["logprobs"]["tokens"], choice["logprobs"]["token_logprobs"]


def answers(server):
    with concurrent.futures.ThreadPoolExecutor(len(PROMPTS)) as pool:
        return list(pool.map(lambda prompt: ask(server, prompt), PROMPTS))


def come_and_go(server, stop):
    """Streams that are cut after a few tokens, until `stop` is set."""
    body = {"model": fathom.served_model(server), "prompt": PROMPTS[3], "max_tokens": 200,
            "stream": True, "ignore_eos": True, "temperature": 1}  # fmt: skip
    while not stop.is_set():
        events = server.stream("/v1/completions", body)
        for _ in range(3):
            next(events, None)
        events.close()


def answers_among_others(server):
    stop = threading.Event()
    others = [threading.Thread(target=come_and_go, args=(server, stop)) for _ in range(STREAMS)]
    for each in others:
        each.start()
    try:
        return answers(server)
    finally:
        stop.set()
        for each in others:
            each.join()


def wait_until_idle(server):
    """Requests that were cancelled leave nothing behind."""
    deadline = time.monotonic() + IDLE_WITHIN_S
    while True:
        _, text = server.get("/metrics")
        found = re.findall(r"^fathom_(?:num_requests_running|kv_cache_usage_perc){[^}]*} (\S+)$", text,
                           re.MULTILINE)  # fmt: skip
        if [float(value) for value in found] == [0, 0]:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"expected no request and no KV block in use, got {found}")
        time.sleep(0.05)


class Layouts(unittest.TestCase):
    """One test for each layout is added below."""

    expected = {}  # model directory -> answers of one rank

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()

    @classmethod
    def tearDownClass(cls):
        cls.expected.clear()
        cls.temporary.cleanup()

    def random_checkpoint(self, shape):
        directory = os.path.join(self.temporary.name, shape)
        if not os.path.exists(directory):
            make_checkpoint.make_checkpoint(directory, shape, "bf16", seed=1)
        return directory

    def one_rank(self, model, *flags):
        if model not in self.expected:
            with fathom.Server(model, *KERNELS, *flags) as server:
                self.expected[model] = answers(server)
        return self.expected[model]

    def check(self, model, layout, ranks, *flags):
        expected = self.one_rank(model, *flags)
        flags += ("--parallel", layout, "--balance-steps", "5")
        with fathom.Server(model, *KERNELS, *flags, ranks=ranks) as server:
            got = answers_among_others(server)
            wait_until_idle(server)
            code = server.stop()
            self.assertEqual(code, 0, server.stderr())
            self.assertEqual(server.job.processes(), {})
            placed_anew = "experts placed anew" in server.stderr()
            self.assertEqual(placed_anew, "redundant" in layout, server.stderr())
        for prompt, (tokens, logprobs), (right, right_logprobs) in zip(PROMPTS, got, expected):
            self.assertEqual(tokens, right, prompt)
            errors = [abs(a - b) for a, b in zip(logprobs[1:], right_logprobs[1:])]
            self.assertLess(max(errors, default=0), MAX_ERROR, prompt)


class Loads(unittest.TestCase):
    LAYERS = range(1, 5)  # those with experts, of which the last is the MTP layer
    CHOSEN = 4  # experts a token

    def ask(self, server, prompt, tokens):
        """Tokens that went through the model, and of them those that had logits."""
        body = {"model": fathom.served_model(server), "prompt": prompt, "max_tokens": tokens,
                "ignore_eos": True, "temperature": 0}  # fmt: skip
        usage = server.post("/v1/completions", body)[1]["usage"]
        generated = usage["completion_tokens"]
        return usage["prompt_tokens"] + generated - 1, generated

    def counted(self, layout, ranks):
        """(layer, expert) -> tokens, and the least and most that a layer's experts can have."""
        flags = ("--weights", "bf16", "--speculate", "0", "--parallel", layout,
                 "--balance-steps", "2", "--expert-metrics")  # fmt: skip
        with fathom.Server(TINY, *KERNELS, *flags, ranks=ranks) as server:
            asked = [self.ask(server, prompt, NEW_TOKENS) for prompt in PROMPTS[:4]]
            last = self.ask(server, "y", 4)  # more than two steps: what was before it is counted
            _, text = server.get("/metrics")
        found = re.findall(r'^fathom_expert_tokens_total{expert="(\d+)",layer="(\d+)",.*} (\S+)$', text,
                           re.MULTILINE)  # fmt: skip
        imbalances = re.findall(r"^fathom_expert_rank_imbalance{.*} (\S+)$", text, re.MULTILINE)
        self.assertEqual(len(imbalances), len(self.LAYERS))
        self.assertGreaterEqual(min(map(float, imbalances)), 1)
        counts = {(int(layer), int(expert)): float(tokens) for expert, layer, tokens in found}
        least = [self.CHOSEN * sum(tokens) for tokens in zip(*asked)]
        most = [self.CHOSEN * sum(tokens) for tokens in zip(*asked, last)]
        return counts, least, most

    def test_tokens_of_each_expert_are_counted_over_all_ranks(self):
        """The same numbers, however ranks share tokens, experts and layers."""
        expected, least, most = self.counted("pp=2", 2)
        for layer in self.LAYERS:
            total = sum(tokens for (its, _), tokens in expected.items() if its == layer)
            if layer == self.LAYERS[-1]:
                self.assertEqual(total, 0)  # it drafts, and was told not to
            else:
                # Prompts' rows without logits end before the experts of the last layer.
                which = 1 if layer == self.LAYERS[-2] else 0
                self.assertGreaterEqual(total, least[which])
                self.assertLessEqual(total, most[which])
        for layout, ranks in {"tp=2": 2, "pp=2,dp=2": 4, "tp=2,dp=2": 4}.items():
            with self.subTest(layout):
                self.assertEqual(self.counted(layout, ranks)[0], expected)


class Draining(unittest.TestCase):
    def test_mpirun_passes_on_the_signal_that_lets_answers_finish(self):
        """SIGUSR1, which KillSignal= of the unit and the leader send. An answer takes longer than
        the second that mpirun would leave after SIGTERM."""
        tokens = 800
        flags = ("--weights", "bf16", "--speculate", "0", "--parallel", "pp=2,dp=2")
        with fathom.Server(TINY, *KERNELS, *flags, ranks=4) as server:
            events = server.stream("/v1/completions", {
                "model": fathom.served_model(server), "prompt": "x", "max_tokens": tokens,
                "ignore_eos": True, "stream": True, "stream_options": {"include_usage": True}})  # fmt: skip
            for _ in range(3):
                next(events)
            server.process.send_signal(signal.SIGUSR1)
            *_, usage, end = events
            self.assertEqual(end, "[DONE]")
            self.assertEqual(usage["usage"]["completion_tokens"], tokens)
            self.assertEqual(server.process.wait(fathom.STOP_DEADLINE_S), 0, server.stderr())
            self.assertIn("stopping: running answers have", server.stderr())
            self.assertEqual(server.job.processes(), {})


class Readiness(unittest.TestCase):
    def test_mpirun_passes_on_where_to_tell_it(self):
        """Rank 0 tells the service manager, as NotifyAccess=all of the unit lets it."""
        with Manager(f"@fathom-ranks-{os.getpid()}") as manager:
            with fathom.Server(TINY, *KERNELS, "--parallel", "pp=2", ranks=2) as server:
                manager.told("READY=1")
                self.assertEqual(server.stop(), 0, server.stderr())
            manager.told("STOPPING=1")


class Cost(unittest.TestCase):
    """What `fathom bench` says that rank 0 sends is what the plan says, within 5%."""

    def planned(self, layout, data_indices):
        """Bytes that rank 0 sends for a token of a prompt. Plans are for activations in bf16, of
        which each chosen expert elsewhere gets a row in 8 bits. The CPU's are F32, and both of two
        data indices get each row once, with its choices."""
        done = subprocess.run([fathom.fathom_binary(), "serve", "--dry-run", "--json", "--model",
                               TINY, "--weights", "bf16", "--speculate", "0", "--parallel", layout],
                              capture_output=True, check=True, text=True)  # fmt: skip
        sent = json.loads(done.stdout)["rank_groups"][0]["sent_bytes_a_prompt_token"]
        rows = sent["dispatch"] / HIDDEN * data_indices / CHOICES
        return 2 * (sent["sums"] + sent["pipeline"]) + rows * (8 * HIDDEN + 8 * CHOICES)

    def measured(self, layout, ranks, batch):
        job = MpiJob(fathom.fathom_binary(), ranks)
        command = [*job.command(), fathom.fathom_binary(), "bench", "--model", TINY, "--json"]
        command += ["--weights", "bf16", "--parallel", layout, "--speculate", "0"]
        command += ["--prompt", "1000", "--decode", "8", "--repeat", "1", "--batch", str(batch)]
        done = subprocess.run(command, env=job.environment(), capture_output=True, text=True,
                              check=False)  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        prefill, decode = json.loads(done.stdout)["results"]
        for each in (prefill, decode):
            self.assertGreater(each["communication"], 0)
            self.assertLess(each["communication"], 1)
        return prefill["sent_bytes_a_token"]

    def check(self, layout, ranks, data_indices=1):
        """With a prompt for each data index."""
        got = self.measured(layout, ranks, data_indices) * data_indices
        self.assertAlmostEqual(got / self.planned(layout, data_indices), 1, delta=0.05)

    def test_sums_over_tensor_ranks(self):
        self.check("tp=2", 2)

    def test_sums_over_slices_of_experts(self):
        self.check("tp=2,ep=1", 2)

    def test_the_stream_between_stages(self):
        self.check("pp=2", 2)

    def test_sums_and_the_stream(self):
        self.check("pp=2,tp=2", 4)

    def test_dispatch_and_combine(self):
        self.check("dp=2", 2, data_indices=2)

    def test_dispatch_of_slices_and_sums(self):
        self.check("tp=2,dp=2,ep=2", 4, data_indices=2)

    def test_dispatch_and_the_stream(self):
        self.check("pp=2,dp=2", 4, data_indices=2)


def add_tests():
    only = (
        os.environ.get("FATHOM_LAYOUTS", "").split(";") if "FATHOM_LAYOUTS" in os.environ else None
    )

    def add(name, check):
        setattr(Layouts, "test_" + re.sub(r"\W+", "_", name), check)

    for layout, ranks in TINY_LAYOUTS.items():
        if only is None or layout in only:
            add(f"tiny {layout}", lambda self, layout=layout, ranks=ranks: self.check(
                TINY, layout, ranks, "--weights", "bf16"))  # fmt: skip
    for (shape, weights), layouts in RANDOM_LAYOUTS.items():
        for layout, ranks in layouts.items():
            if only is None or f"{shape} {layout}" in only:
                add(f"{shape} {weights} {layout}",
                    lambda self, shape=shape, weights=weights, layout=layout, ranks=ranks: self.check(
                        self.random_checkpoint(shape), layout, ranks, "--weights", weights))  # fmt: skip


add_tests()

if __name__ == "__main__":
    unittest.main()
