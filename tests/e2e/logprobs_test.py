#!/usr/bin/python3
"""Compares the server's log-probabilities with the NumPy oracle's on random checkpoints.

For every shape, in bf16 and FP8, and for the reference and the native kernels: prompts of 1 to
600 tokens, decoding after a prompt, and 16 such requests at once. FATHOM_BIN names the binary;
FATHOM_SHAPES=v3,dense restricts the shapes while mending one.
"""

import os
import sys
import tempfile
import threading
import time
import unittest
from dataclasses import dataclass, field

os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "tools", "oracle"))
import deepseek_v3
import make_checkpoint
import server as fathom
import shapes
import tokenizer_files

TEXTS = tokenizer_files.text_of_ids()
ID_OF_TEXT = {text: token for token, text in TEXTS.items()}
VOCABULARY = len(tokenizer_files.vocabulary())

PROMPT_LENGTHS = [1, 2, 3, 17, 63, 64, 65, 127, 128, 129, 300, 600]
DECODES = [(17, 16), (33, 24), (64, 8), (129, 8)]  # prompt tokens, generated tokens
ALONE = [1, 17, 65]  # reference kernels are slow; native ones do every request of the batch alone
# Several, so that a request that sees another's cache gives another result.
SEQUENCE_LENGTHS = [600, 300, 160, 160]

# Where experts are nearly tied, rounding may rightly choose another: prompts avoid such tokens.
LEAST_ROUTER_MARGIN = 1e-4

# The largest error and the mean error allowed, and the oracle's lead from which the top token
# must be the same.
REFERENCE_MAX = 1e-3
NATIVE_MEAN = 0.03
CLEAR_LEAD = {"reference": 4 * REFERENCE_MAX, "native": 0.1}


class Sequence:
    """Random tokens with what the oracle says of each of their prefixes."""

    def __init__(self, model, length, seed):
        self.model = model
        self.tokens, self.state, log_probs = [], model.new_state(), []
        random = np.random.default_rng(seed)
        while len(self.tokens) < length:
            chunk = random.integers(0, VOCABULARY, min(100, length - len(self.tokens)))
            log_probs.append(self._append_decided(chunk, random))
        self.log_probs = np.concatenate(log_probs)  # [length, vocab], row i of the token after i

    def _append_decided(self, chunk, random):
        """Appends `chunk`, redrawing tokens for which some layer's routing is near a tie."""
        while True:
            attempt = self.state.prefix(self.state.length)
            out = self.model.forward(chunk, attempt)
            undecided = np.flatnonzero(out.router_margin < LEAST_ROUTER_MARGIN)
            if len(undecided) == 0:
                self.state = attempt
                self.tokens += chunk.tolist()
                return out.log_probs()
            chunk[undecided[0]] = random.integers(0, VOCABULARY)

    def after_prefix(self, length, generated):
        """[len(generated), vocab] log-probabilities: row i is of the token generated[i]."""
        rows = [self.log_probs[length - 1 : length]]
        if len(generated) > 1:
            out = self.model.forward(generated[:-1], self.state.prefix(length))
            rows.append(out.log_probs())
        return np.concatenate(rows)


@dataclass(frozen=True)
class Request:
    """A prefix of a sequence, echoed, and how many tokens to generate after it."""

    sequence: int
    length: int
    generate: int
    top: int = 1

    def __str__(self):
        return f"prompt of {self.length}, {self.generate} generated"

    def send(self, server, sequences):
        prompt = sequences[self.sequence].tokens[: self.length]
        return fathom.completion(
            server, prompt, echo=True, logprobs=self.top, max_tokens=self.generate
        )


def sequence_for(length, turn):
    """One of the sequences that are long enough, another each turn."""
    enough = [i for i, longest in enumerate(SEQUENCE_LENGTHS) if longest >= length]
    return enough[turn % len(enough)]


def echo_request(length, turn=0):
    """Most ask for one token more, so that the last position is seen too; some for none."""
    generate = 0 if length in (2, 127, 300) else 1
    return Request(sequence_for(length, turn), length, generate, top=5 if length < 64 else 1)


def decode_requests():
    return [Request(sequence_for(n, turn), n, k) for turn, (n, k) in enumerate(DECODES)]


BATCH = [echo_request(n, turn) for turn, n in enumerate(PROMPT_LENGTHS)] + decode_requests()


def generated_tokens(choice, length):
    """The ids of the tokens after a prompt of `length`, known by their texts."""
    texts = choice["logprobs"]["tokens"][length:]
    unknown = [text for text in texts if text not in ID_OF_TEXT]
    if unknown:
        raise AssertionError(f"logprobs.tokens: expected texts of single tokens, got {unknown}")
    return [ID_OF_TEXT[text] for text in texts]


@dataclass
class Comparison:
    """Errors of one answer against the oracle."""

    worst: float = 0.0
    worst_at: int = 0
    errors: np.ndarray = field(default_factory=lambda: np.zeros(0))
    wrong_tops: list = field(default_factory=list)

    @property
    def mean(self):
        return float(self.errors.mean()) if len(self.errors) else 0.0


def compare(choice, request, sequences, kernels):
    """Checks the shape of an answer and measures it against the oracle."""
    logprobs = choice["logprobs"]
    total = request.length + request.generate
    sizes = {name: len(logprobs[name]) for name in ("tokens", "token_logprobs", "top_logprobs")}
    if set(sizes.values()) != {total}:
        raise AssertionError(f"logprobs: expected {total} entries, got {sizes}")
    if logprobs["token_logprobs"][0] is not None:
        raise AssertionError("token_logprobs[0]: expected null, there is nothing before it")
    generated = generated_tokens(choice, request.length)
    sequence = sequences[request.sequence]
    tokens = sequence.tokens[: request.length] + generated
    expected = sequence.log_probs[: request.length - 1]
    if generated:
        expected = np.concatenate([expected, sequence.after_prefix(request.length, generated)])
    if total == 1:
        return Comparison()
    got = np.array(logprobs["token_logprobs"][1:], dtype=float)
    errors = np.abs(got - expected[np.arange(total - 1), tokens[1:]])
    wrong = wrong_tops(logprobs["top_logprobs"][1:], expected, CLEAR_LEAD[kernels])
    if not np.isfinite(errors).all():
        raise AssertionError(f"token_logprobs: not finite at {np.flatnonzero(~np.isfinite(got))}")
    worst = int(errors.argmax())
    return Comparison(float(errors[worst]), worst + 1, errors, wrong)


def wrong_tops(top_logprobs, expected, clear_lead):
    """Positions where the oracle's best token leads clearly and the server's best is another."""
    wrong = []
    best_two = np.argsort(-expected, axis=1)[:, :2]
    for i, (top, (best, second)) in enumerate(zip(top_logprobs, best_two)):
        lead = expected[i, best] - expected[i, second]
        text = max(top, key=top.get)
        if lead > clear_lead and text != TEXTS[best]:
            wrong.append(f"position {i + 1}: {text!r}, not {TEXTS[best]!r} (leads by {lead:.3f})")
    return wrong


def together(server, sequences, requests):
    """Sends all requests at once; returns their answers in order."""
    answers = [None] * len(requests)

    def send(i):
        try:
            answers[i] = requests[i].send(server, sequences)
        except Exception as error:  # raised again below, in the test's own thread
            answers[i] = error

    threads = [threading.Thread(target=send, args=(i,)) for i in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


class Run:
    """All checks of one checkpoint on one server; gathers failures rather than stop at one."""

    def __init__(self, label, kernels, sequences, server):
        self.label, self.kernels, self.sequences, self.server = label, kernels, sequences, server
        self.failures, self.errors, self.decode_errors = [], [], []

    def fail(self, what):
        self.failures.append(f"{self.label}: {what}")

    def check_answer(self, choice, request, how):
        try:
            found = compare(choice, request, self.sequences, self.kernels)
        except (AssertionError, KeyError, TypeError) as error:
            self.fail(f"{request} {how}: {error!r}")
            return
        self.errors.append(found.errors)
        if self.kernels == "reference" and found.worst > REFERENCE_MAX:
            self.fail(f"{request} {how}: off by {found.worst:.3g} at position {found.worst_at}")
        if self.kernels == "native" and found.mean > NATIVE_MEAN:
            self.fail(
                f"{request} {how}: off by {found.mean:.3g} on average, "
                f"{found.worst:.3g} at position {found.worst_at}"
            )
        if found.wrong_tops:
            count, first = len(found.wrong_tops), found.wrong_tops[0]
            self.fail(f"{request} {how}: {count} wrong top tokens, first at {first}")

    def check_alone(self):
        for length in ALONE:
            request = echo_request(length)
            self.check_answer(request.send(self.server, self.sequences), request, "alone")

    def check_decode(self):
        """Tokens generated one by one against the same tokens as part of one long prompt."""
        for request in decode_requests():
            decoded = request.send(self.server, self.sequences)
            self.check_answer(decoded, request, "alone")
            length = request.length
            whole = self.sequences[request.sequence].tokens[:length]
            whole = whole + generated_tokens(decoded, length)
            prefilled = fathom.completion(self.server, whole, echo=True, logprobs=1, max_tokens=0)
            pair = [c["logprobs"]["token_logprobs"][length:] for c in (decoded, prefilled)]
            errors = np.abs(np.subtract(*pair))
            self.decode_errors.append(errors)
            limit, error = NATIVE_MEAN, errors.mean()
            if self.kernels == "reference":
                limit, error = REFERENCE_MAX, errors.max()
            if not error <= limit:
                self.fail(f"{request}: decoding and one long prompt differ by {error:.3g}")

    def check_batch(self):
        answers = together(self.server, self.sequences, BATCH)
        for request, answer in zip(BATCH, answers):
            self.check_answer(answer, request, "in a batch")
            if self.kernels == "native":
                self.check_same_bits(request, answer)

    def check_same_bits(self, request, batched):
        alone = request.send(self.server, self.sequences)
        if alone == batched:
            return
        for name in ("tokens", "token_logprobs", "top_logprobs"):
            pairs = zip(alone["logprobs"][name], batched["logprobs"][name])
            for position, (one, other) in enumerate(pairs):
                if one != other:
                    self.fail(
                        f"{request}: {name}[{position}] is {one!r} alone, {other!r} in a batch"
                    )
                    return
        self.fail(f"{request}: alone {alone!r}, in a batch {batched!r}")

    def summary(self, seconds):
        errors = np.concatenate(self.errors) if self.errors else np.zeros(1)
        decode = np.concatenate(self.decode_errors) if self.decode_errors else np.zeros(1)
        return (
            f"{self.label}: error max {errors.max():.2e} mean {errors.mean():.2e}, decode against "
            f"prompt max {decode.max():.2e}, {len(self.failures)} failures, {seconds:.1f} s"
        )


class LogProbs(unittest.TestCase):
    """One test for each shape, type and kernel set is added below."""

    checkpoints = {}  # (shape, dtype) -> (directory, sequences), made once

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()

    @classmethod
    def tearDownClass(cls):
        cls.checkpoints.clear()
        cls.temporary.cleanup()

    def checkpoint(self, shape, dtype):
        key = (shape, dtype)
        if key not in self.checkpoints:
            directory = os.path.join(self.temporary.name, f"{shape}-{dtype}")
            make_checkpoint.make_checkpoint(directory, shape, dtype, seed=1)
            model = deepseek_v3.Model(directory)
            sequences = [Sequence(model, n, seed) for seed, n in enumerate(SEQUENCE_LENGTHS)]
            self.checkpoints[key] = directory, sequences
        return self.checkpoints[key]

    def check(self, shape, dtype, kernels):
        directory, sequences = self.checkpoint(shape, dtype)
        begin = time.monotonic()
        with fathom.Server(directory, "--kernels", kernels, "--threads", "2") as server:
            run = Run(f"{shape} {dtype} {kernels}", kernels, sequences, server)
            run.check_batch()
            run.check_alone()
            run.check_decode()
            code = server.stop()
        print(run.summary(time.monotonic() - begin), flush=True)
        if code != 0:
            run.fail(f"exit code {code} after SIGTERM")
        if run.failures:
            self.fail("\n" + "\n".join(run.failures))


def add_tests():
    chosen = [name for name in shapes.SHAPES if name != "tiny"]
    if "FATHOM_SHAPES" in os.environ:
        chosen = os.environ["FATHOM_SHAPES"].split(",")
    for shape in chosen:
        for dtype in ("bf16", "fp8"):
            for kernels in ("reference", "native"):

                def test(self, shape=shape, dtype=dtype, kernels=kernels):
                    self.check(shape, dtype, kernels)

                setattr(LogProbs, f"test_{shape}_{dtype}_{kernels}", test)


add_tests()

if __name__ == "__main__":
    unittest.main()
