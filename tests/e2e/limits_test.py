#!/usr/bin/env python3
"""How much may be asked: bodies, shares of the engine, memory of answers, the flags that limit."""

import concurrent.futures
import gzip
import http.client
import json
import os
import resource
import socket
import unittest

import server as fathom
from edge import Directory, KEY, MODEL, SIM, ask, eventually, post

SANITIZED = bool(os.environ.get("FATHOM_SANITIZED"))


class Bodies(Directory):
    def test_are_not_read_where_none_is_taken(self):
        keys = self.write("keys", KEY + "\n")
        with fathom.Server(MODEL, *SIM, "--api-keys", keys) as server:
            for line, status in (("POST /health", 405), ("GET /health", 200)):
                with socket.create_connection((server.host, server.port), timeout=60) as client:
                    head = f"{line} HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n\r\n"
                    client.sendall(head.encode() + b"some of it")
                    answer = b""
                    while part := client.recv(4096):
                        answer += part
                self.assertTrue(answer.startswith(b"HTTP/1.1 %d " % status), answer)
                self.assertIn(b"Connection: close", answer)

    def test_of_all_requests_together_have_a_bound(self):
        flags = ("--max-body", "4", "--max-bodies", "8")
        with fathom.Server(MODEL, *SIM, *flags) as server:
            body = json.dumps({"prompt": "x", "max_tokens": 1}).encode()
            large = body + b" " * (3 << 20)
            head = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
            waiting = []

            def refused():
                """Beside one more that holds a body; which of those that come at once has no room
                is chance."""
                waiting.append(socket.create_connection((server.host, server.port), timeout=60))
                try:
                    waiting[-1].sendall(head % (4 << 20) + b" " * ((4 << 20) - 1))
                except OSError:
                    pass  # refused itself
                return ask(server, "POST", "/v1/completions", {}, large)[0] == 503

            self.assertTrue(eventually(refused))
            _, headers, answer = ask(server, "POST", "/v1/completions", {}, large)
            self.assertGreaterEqual(int(headers["retry-after"]), 1)
            self.assertIn("request bodies", json.loads(answer)["error"]["message"])
            self.assertEqual(ask(server, "POST", "/v1/completions", {}, body)[0], 200)
            for client in waiting:
                client.close()
            self.assertTrue(
                eventually(lambda: ask(server, "POST", "/v1/completions", {}, large)[0] == 200)
            )

    def test_may_be_packed(self):
        with fathom.Server(MODEL, *SIM, "--max-body", "1") as server:

            def post(body, coding):
                return ask(server, "POST", "/v1/completions", {"Content-Encoding": coding}, body)

            body = json.dumps({"prompt": "x", "max_tokens": 1}).encode()
            self.assertEqual(post(gzip.compress(body), "gzip")[0], 200)
            self.assertEqual(post(body, "identity")[0], 200)
            self.assertEqual(post(gzip.compress(body + b" " * (2 << 20)), "gzip")[0], 413)
            self.assertEqual(post(body, "gzip")[0], 400)
            status, headers, _ = post(body, "br")
            self.assertEqual(status, 415)
            self.assertIn("gzip", headers["accept-encoding"])


class Shares(unittest.TestCase):
    def test_a_request_of_1024_prompts_leaves_room_for_others(self):
        flags = ("--max-running", "16", "--kernels", "launch=100")
        with fathom.Server(MODEL, *SIM, *flags) as server:
            many = {"prompt": ["x"] * 1024, "max_tokens": 1500, "ignore_eos": True}
            streams = [server.stream("/v1/completions", {**many, "stream": True})]
            next(streams[0])
            streams.append(
                server.stream("/v1/completions", {**many, "prompt": ["x"] * 64, "stream": True})
            )
            next(streams[1])
            # 1,500 tokens of 1,024 prompts would take hours.
            status, answer = post(server, "/v1/completions", KEY, prompt="y", max_tokens=2)
            for events in streams:
                events.close()
            self.assertEqual(status, 200, answer)

    def test_and_is_answered_itself(self):
        with fathom.Server(MODEL, *SIM) as server:
            body = {"prompt": ["x"] * 1024, "max_tokens": 3, "ignore_eos": True}
            status, answer = post(server, "/v1/completions", KEY, **body)
            self.assertEqual(status, 200, answer)
            self.assertEqual(len(answer["choices"]), 1024)
            self.assertEqual(answer["usage"]["completion_tokens"], 3 * 1024)


def memory_bytes(server, field):
    """What Linux says of the server's memory: VmHWM is the most it had, VmSize its addresses."""
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith(field + ":"))
    return int(line.split()[1]) * 1024


class Answers(unittest.TestCase):
    LOGPROBS = {"logprobs": True, "top_logprobs": 20, "ignore_eos": True}

    def test_log_probabilities_take_little_more_than_their_text(self):
        messages = [{"role": "user", "content": "x"}]
        with fathom.Server(MODEL, *SIM) as server:
            post(server, "/v1/chat/completions", KEY, messages=messages, max_tokens=8)
            before = memory_bytes(server, "VmHWM")
            body = {"messages": messages, "n": 128, "max_tokens": 200, **self.LOGPROBS}
            status, _, answer = ask(
                server, "POST", "/v1/chat/completions", {}, json.dumps(body)
            )
            self.assertEqual(status, 200)
            if not SANITIZED:  # sanitizers keep what is freed
                self.assertLess(memory_bytes(server, "VmHWM") - before, 4 * len(answer))
            choices = json.loads(answer)["choices"]
            self.assertEqual(len(choices), 128)
            for choice in choices:
                self.assertEqual(len(choice["logprobs"]["content"]), 200)

    def test_what_can_never_fit_is_refused(self):
        messages = [{"role": "user", "content": "x"}]
        with fathom.Server(MODEL, *SIM, "--answer-memory", "1") as server:
            body = {"messages": messages, "max_tokens": 1000, **self.LOGPROBS}
            status, answer = post(server, "/v1/chat/completions", KEY, **body)
            self.assertEqual(status, 400)
            self.assertIn("--answer-memory", answer["error"]["message"])
            body["max_tokens"] = 100
            self.assertEqual(post(server, "/v1/chat/completions", KEY, **body)[0], 200)

    def test_an_event_of_any_size_reaches_who_reads_it(self):
        """Responses repeats a request's tools in its first event and in its last."""
        tool = {"type": "function", "description": "d" * 50_000, "parameters": {}}
        body = {
            "input": "hi",
            "max_output_tokens": 4,
            "tool_choice": "none",
            "tools": [{**tool, "name": f"f{i}"} for i in range(100)],
            "stream": True,
        }
        with fathom.Server(MODEL, *SIM) as server:
            status, _, answer = ask(server, "POST", "/v1/responses", {}, json.dumps(body))
        self.assertEqual(status, 200)
        data = [line[6:] for line in answer.splitlines() if line.startswith(b"data: {")]
        first, last = json.loads(data[0]), json.loads(data[-1])
        self.assertEqual(first["type"], "response.created")
        self.assertIn(last["type"], ("response.completed", "response.incomplete"))
        for event in (first, last):
            self.assertEqual(len(event["response"]["tools"]), 100)

    @unittest.skipIf(SANITIZED, "sanitizers reserve address space for themselves")
    def test_that_find_no_memory_fail_alone(self):
        with fathom.Server(MODEL, *SIM) as server:
            size = memory_bytes(server, "VmSize")
        limit = size + (100 << 20)
        body = {
            "messages": [{"role": "user", "content": "x"}],
            "n": 64,
            "max_tokens": 500,
            **self.LOGPROBS,
        }

        def large(server):
            try:
                return ask(server, "POST", "/v1/chat/completions", {}, json.dumps(body))[0]
            except (OSError, http.client.HTTPException):
                return "cut"

        def limit_memory():
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

        with fathom.Server(MODEL, *SIM, preexec_fn=limit_memory) as server:
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                ends = [end.result() for end in [pool.submit(large, server) for _ in range(2)]]
            self.assertNotEqual(ends, [200, 200], "there was memory for both")
            small = {"messages": body["messages"], "max_tokens": 4}
            self.assertEqual(post(server, "/v1/chat/completions", KEY, **small)[0], 200)


class Limits(unittest.TestCase):
    def test_are_flags(self):
        flags = ("--max-body", "1", "--max-header", "4", "--header-timeout", "1")
        with fathom.Server(MODEL, *SIM, *flags) as server:
            body = json.dumps({"model": "tiny", "prompt": "x" * (2 << 20)})
            self.assertEqual(ask(server, "POST", "/v1/completions", {}, body)[0], 413)
            self.assertEqual(ask(server, "GET", "/health", {"X-Long": "x" * 5000})[0], 431)
            with socket.create_connection((server.host, server.port), timeout=60) as client:
                client.sendall(b"GET /health HTTP/1.1\r\n")
                self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 408 "))

    def test_a_full_queue_says_when_to_come_again(self):
        flags = ("--max-running", "1", "--max-waiting", "1", "--kernels", "launch=100")
        with fathom.Server(MODEL, *SIM, *flags) as server:
            body = {"model": "tiny", "max_tokens": 1500, "ignore_eos": True}
            body["messages"] = [{"role": "user", "content": "x"}]
            streams = []
            for _ in range(2):  # one runs, one waits
                streams.append(server.stream("/v1/chat/completions", {**body, "stream": True}))
                next(streams[-1])
                next(streams[0])
            status, headers, answer = ask(
                server, "POST", "/v1/chat/completions", {}, json.dumps(body)
            )
            for events in streams:
                events.close()
            self.assertEqual(status, 429, answer)
            self.assertEqual(json.loads(answer)["error"]["type"], "rate_limit_error")
            self.assertGreaterEqual(int(headers["retry-after"]), 1)
            self.assertEqual(headers["x-ratelimit-remaining-requests"], "0")
            self.assertTrue(headers["x-request-id"])


if __name__ == "__main__":
    unittest.main()
