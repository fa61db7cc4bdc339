#!/usr/bin/env python3
"""What clients may send or do: nearly right requests, HTTP that is wrong, and going away at any byte.

Every answer has the right status in the API's shape, the server goes on, and nothing is left behind:
no running request, no KV block, no descriptor. All is drawn from seeds; a failure names its own.
"""

import concurrent.futures
import http.client
import json
import os
import random
import re
import socket
import struct
import time
import unittest

import malformed_http
import mutate_json
import server as fathom

MODEL = os.path.join(fathom.REPOSITORY, "models", "tiny")
MUTATIONS = 5000
MESSAGES = 2000
DISCONNECTS = 500
THREADS = 16
TOGETHER = 25  # clients that go away in one batch
STEP_S = 0.02  # of the slowed chip, about
# Tokens of one request that may be on their way when its client goes: of the step that runs, and of
# the one before.
UNDERWAY = 3
QUIET_DEADLINE_S = 30
LONG_ANSWER = 1500  # tokens
REQUEST_STATUSES = {200, 400, 404, 413}


def metric(server, name):
    status, text = server.get("/metrics")
    if status != 200:
        raise RuntimeError(f"/metrics: expected 200, got {status}")
    return float(re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE).group(1))


def wait_until_quiet(server):
    """Until no request runs or waits."""
    deadline = time.monotonic() + QUIET_DEADLINE_S
    while time.monotonic() < deadline:
        if not metric(server, "fathom_num_requests_running") and not metric(
            server, "fathom_num_requests_waiting"
        ):
            return
        time.sleep(0.01)
    raise RuntimeError(f"expected no running request within {QUIET_DEADLINE_S} s")


def open_files(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def check_error(body, route=""):
    """A protocol or request error, in the shape of the route's dialect: OpenAI's or Anthropic's."""
    answer = json.loads(body)
    error = answer["error"]
    if route.startswith("/v1/messages"):
        if answer["type"] != "error" or set(error) != {"type", "message"} or not error["message"]:
            raise RuntimeError(f"expected an error of type and message, got {answer}")
        return
    if set(error) != {"message", "type", "param", "code"} or not error["message"]:
        raise RuntimeError(f"expected message, type, param and code, got {error}")
    json.dumps(error)


def dialect_of(message, body):
    """The route that a malformed message is for; where its line is damaged, what was answered."""
    line = message.split(b"\r\n", 1)[0]
    if line == b"POST /v1/messages HTTP/1.1":
        return "/v1/messages"
    told = b"/v1/messages" in line and body.startswith(b'{"type":"error"')
    return "/v1/messages" if told else ""


def stream_is_whole(route, answer):
    last = answer.rstrip().rsplit(b"\n\n", 1)[-1]
    if route == "/v1/messages":
        return b'"type":"message_stop"' in last
    if route == "/v1/responses":
        return b'"type":"response.completed"' in last or b'"type":"response.incomplete"' in last
    return last == b"data: [DONE]"


class Robustness(unittest.TestCase):
    def assert_nothing_left(self, server, files):
        wait_until_quiet(server)
        self.assertEqual(metric(server, "fathom_kv_cache_usage_perc"), 0)
        deadline = time.monotonic() + QUIET_DEADLINE_S
        while open_files(server) > files and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertLessEqual(open_files(server), files)
        answer = fathom.completion(server, "x", max_tokens=2)
        self.assertTrue(answer["finish_reason"])
        self.assertEqual(server.stop(), 0, server.stderr())

    def run_all(self, count, task):
        """Counts of what `task` returns for numbers below `count`; fails with the first error."""
        counts = {}
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            for result in pool.map(task, range(count)):
                counts[result] = counts.get(result, 0) + 1
        return counts


class Requests(Robustness):
    def test_mutated_requests(self):
        flags = ("--chip", "sim", "--max-context", "256", "--max-waiting", "4096")
        with fathom.Server(MODEL, *flags) as server:
            server.get("/health")
            files = open_files(server)
            counts = self.run_all(MUTATIONS, lambda number: self.send(server, number))
            print(f"mutated requests: {counts}")
            self.assertGreater(counts[200], MUTATIONS / 20)  # else the mutations are too coarse
            self.assertGreater(counts[400], MUTATIONS / 2)
            self.assert_nothing_left(server, files)

    def send(self, server, number):
        route, body = mutate_json.request(random.Random(number))
        connection = http.client.HTTPConnection(server.host, server.port, timeout=120)
        try:
            connection.request("POST", route, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
            self.assertTrue(response.headers["x-request-id"])
            self.assertIn(response.status, REQUEST_STATUSES, answer[:500])
            if response.status != 200:
                check_error(answer, route)
            elif response.headers["content-type"].startswith("text/event-stream"):
                self.assertTrue(stream_is_whole(route, answer), answer[-200:])
            else:
                json.loads(answer)
            return response.status
        except Exception as error:
            raise AssertionError(f"seed {number}: {route} {body[:1000]!r}: {error}") from error
        finally:
            connection.close()


class Messages(Robustness):
    def test_malformed_messages(self):
        flags = ("--header-timeout", "1", "--body-timeout", "1", "--max-body", "1")
        with fathom.Server(MODEL, "--chip", "sim", *flags) as server:
            server.get("/health")
            files = open_files(server)
            counts = self.run_all(MESSAGES, lambda number: self.send(server, number))
            print(f"malformed messages: {counts}")
            self.assert_nothing_left(server, files)

    def send(self, server, number):
        kind, message, right = malformed_http.message(random.Random(number))
        try:
            answer = exchange(server, message)
            if answer == b"":  # the reset of a connection with unread input may overtake an answer
                self.assertGreater(len(message), 60_000)
                return "cut"
            head, _, body = answer.partition(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            self.assertIn(status, right)
            self.assertIn(b"x-request-id: ", head.lower())
            self.assertIn(b"\r\nConnection: close", head)
            self.assertEqual(answer.count(b"HTTP/1.1 "), 1)  # nothing behind it was a request
            if b"content-length: 0" not in head.lower() and not message.startswith(b"HEAD"):
                check_error(body, dialect_of(message, body))
            return status
        except Exception as error:
            raise AssertionError(
                f"seed {number}: {kind} {message[:300]!r}: expected {right}, got {error}"
            ) from error


def exchange(server, message):
    """All that the server answers to these bytes before it closes."""
    answer = b""
    with socket.create_connection((server.host, server.port), timeout=60) as client:
        try:
            client.sendall(message)
        except OSError:
            pass  # it has answered already
        try:
            while part := client.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
    return answer


class Disconnects(Robustness):
    def test_stop_the_work_within_a_step(self):
        # A forward pass of the tiny model is about 100 kernels.
        launch = ("--kernels", f"launch={STEP_S * 1e6 / 100:.0f}")
        flags = ("--chip", "sim", *launch, "--speculate", "0", "--max-running", "64")
        with fathom.Server(MODEL, *flags) as server:
            server.get("/health")
            files = open_files(server)
            for batch in range(DISCONNECTS // TOGETHER):
                self.leave_together(server, range(batch * TOGETHER, (batch + 1) * TOGETHER))
            self.assert_nothing_left(server, files)

    def test_closing_the_sending_half_is_leaving(self):
        launch = ("--kernels", f"launch={STEP_S * 1e6 / 100:.0f}")
        with fathom.Server(MODEL, "--chip", "sim", *launch, "--speculate", "0") as server:
            with socket.create_connection((server.host, server.port), timeout=60) as client:
                client.sendall(long_request(1))
                answer = b""
                while b"data: " not in answer:
                    answer += client.recv(4096)
                client.shutdown(socket.SHUT_WR)
                while part := client.recv(65536):
                    answer += part
            self.assertNotIn(b"[DONE]", answer)
            wait_until_quiet(server)
            self.assertLess(metric(server, "fathom_generation_tokens_total"), LONG_ANSWER / 2)

    def leave_together(self, server, numbers):
        before = metric(server, "fathom_generation_tokens_total")
        with concurrent.futures.ThreadPoolExecutor(TOGETHER) as pool:
            received = list(pool.map(lambda number: leave(server, number), numbers))
        wait_until_quiet(server)
        generated = metric(server, "fathom_generation_tokens_total") - before
        self.assertLessEqual(generated - sum(received), UNDERWAY * TOGETHER, f"{numbers}")


def long_request(number):
    body = json.dumps(
        {
            "model": "tiny",
            "messages": [{"role": "user", "content": f"What is {number} + 1?"}],
            "stream": True,
            "max_tokens": LONG_ANSWER,
            "ignore_eos": True,
            "logprobs": True,  # so that every token is an event's, whatever its text
            "seed": number,
        }
    ).encode()
    request = malformed_http.head(
        malformed_http.length(len(body)), line=b"POST /v1/chat/completions HTTP/1.1"
    )
    return request + body


def leave(server, number):
    """Goes away after a random byte of the request or of its answer -> tokens received until then."""
    rng = random.Random(number)
    request = long_request(number)
    with socket.create_connection((server.host, server.port), timeout=60) as client:
        if rng.random() < 0.5:  # a reset in place of an orderly end
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if rng.random() < 0.2:
            client.sendall(request[: rng.randrange(len(request))])
            return 0
        client.sendall(request)
        wanted = rng.randrange(1, 6000)
        answer = b""
        while len(answer) < wanted:
            answer += client.recv(min(4096, wanted - len(answer)))
        return answer.count(b'"top_logprobs":')


if __name__ == "__main__":
    unittest.main()
