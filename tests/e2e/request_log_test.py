#!/usr/bin/env python3
"""The log of `fathom serve` from outside: a line for every request, whatever becomes of it, that
nobody can forge, that tells no secrets, and that holds nobody up."""

import datetime
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import unittest

import server as fathom
from waiting import wait_for

MODEL = os.path.join(fathom.REPOSITORY, "models", "tiny")
SIM = ("--chip", "sim")
SLOW = (*SIM, "--kernels", "launch=500")
KEY = "sk-0123456789abcdef"
SECRET = "the PIN is 4711"
LINE_DEADLINE_S = 30
FIELDS = ["time", "level", "message", "request_id", "owner", "method", "route", "model",
          "prompt_tokens", "cached_tokens", "answer_tokens", "first_token_ms", "duration_ms",
          "finish", "status", "error"]  # fmt: skip
TEXT_LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d [DIWE] (.*)", re.DOTALL
)


def ask(server, method, path, body=None, headers=None):
    """-> (status, body) of one request on a connection of its own."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
    try:
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        connection.request(method, path, text, headers or {})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def json_lines(server):
    """Every whole line of the log so far, read as JSON."""
    return [json.loads(line) for line in server.stderr().splitlines(True) if line.endswith("\n")]


def line_of(server, **wanted):
    """The line of the request that has these fields."""

    def find():
        for line in json_lines(server):
            if line["message"] == "request" and wanted.items() <= line.items():
                return line
        return None

    return wait_for(f"a line with {wanted}", find, LINE_DEADLINE_S, server.stderr)


def chat(**fields):
    messages = [{"role": "user", "content": SECRET}]
    return {"temperature": 0, "max_tokens": 8, "messages": messages, **fields}


def answer_to_raw_bytes(server, data):
    with socket.create_connection((server.host, server.port), timeout=60) as client:
        client.sendall(data)
        answer = b""
        while part := client.recv(4096):
            answer += part
        return answer


class Log(unittest.TestCase):
    def keys(self):
        file = tempfile.NamedTemporaryFile("w", prefix="fathom-keys-")
        self.addCleanup(file.close)
        file.write(f"{KEY} alice of sales\n")
        file.flush()
        return file.name

    def test_has_a_line_for_each_kind_of_end(self):
        tools = [{"type": "function", "function": {
            "name": "get_weather", "description": "Get the weather of a city.",
            "parameters": {"type": "object", "properties": {
                "city": {"type": "string", "description": "The city"}}, "required": ["city"]}}}]  # fmt: skip
        question = [{"role": "user", "content": "What is the weather in Paris?"}]
        path = "/v1/chat/completions"
        cases = {
            "stop": (path, chat(stop="e", max_tokens=300, ignore_eos=True), 200, "stop", None),
            "length": (path, chat(max_tokens=3, ignore_eos=True), 200, "length", None),
            "stream": (path, chat(max_tokens=3, ignore_eos=True, stream=True), 200, "length", None),
            "tools": (path, chat(messages=question, tools=tools, max_tokens=100), 200,
                      "tool_calls", None),
            "bad": (path, chat(temperature="hot"), 400, "error", None),
            "model": (path, chat(model="gpt"), 404, "error", "model_not_found"),
            "route": ("/v1/nowhere", chat(), 404, "error", "not_found"),
            "method": ("/v1/models", chat(), 405, "error", "method_not_allowed"),
            "large": (path, " " * (2 << 20), 413, "error", None),
            "count": ("/tokenize", {"prompt": SECRET}, 200, None, None),
        }  # fmt: skip
        flags = ("--log-format", "json", "--api-keys", self.keys(), "--max-body", "1")
        with fathom.Server(MODEL, *flags) as server:
            for name, (where, body, status, finish, error) in cases.items():
                headers = {"x-api-key": KEY, "x-request-id": name}
                self.assertEqual(ask(server, "POST", where, body, headers)[0], status, name)
                line = line_of(server, request_id=name)
                self.assertEqual(list(line), FIELDS)
                self.assertEqual(line["status"], status, name)
                self.assertEqual(line["finish"], finish, name)
                self.assertEqual(line["error"], error, name)
                self.assertEqual(line["owner"], "alice of sales", name)
                self.assertEqual(line["first_token_ms"] is not None, finish not in (None, "error"))
                self.assertGreaterEqual(line["duration_ms"], line["first_token_ms"] or 0)
            self.assertEqual(line_of(server, request_id="stream")["answer_tokens"], 3)
            self.assertEqual(line_of(server, request_id="route")["route"], "other")
            self.assertEqual(line_of(server, request_id="tools")["model"], "tiny")
            long_prompt = chat(messages=[{"role": "user", "content": SECRET * 20}])
            for name in ("first", "again"):
                headers = {"x-api-key": KEY, "x-request-id": name}
                ask(server, "POST", path, long_prompt, headers)
            again = line_of(server, request_id="again")
            self.assertGreater(again["cached_tokens"], 0)
            self.assertLess(again["cached_tokens"], again["prompt_tokens"])
            self.assertEqual(ask(server, "GET", "/v1/models", None, {"x-request-id": "none"})[0], 401)
            wrong = {"authorization": "Bearer sk-stolen-0123456789", "x-request-id": "wrong"}
            self.assertEqual(ask(server, "POST", path, chat(), wrong)[0], 401)
            for name in ("none", "wrong"):
                line = line_of(server, request_id=name, status=401, error="invalid_api_key")
                self.assertIsNone(line["owner"])
            metrics = ask(server, "GET", "/metrics", None, {"x-api-key": KEY})[1]
            owner = '{owner="alice of sales"'
            self.assertRegex(metrics, r"fathom_owner_requests_total" + owner + r',status="2xx"} 7\n')
            self.assertRegex(metrics, r"fathom_owner_requests_total" + owner + r',status="4xx"} 5\n')
            self.assertRegex(metrics, r"fathom_owner_cached_tokens_total" + owner + r"} [1-9]")
            for line in json_lines(server):
                time = datetime.datetime.fromisoformat(line["time"])
                self.assertIsNotNone(time.tzinfo)
                self.assertIn(line["level"], ("debug", "info", "warning", "error"))
            self.assertEqual(server.stop(), 0)
            said = server.stderr()
        for secret in ("4711", "PIN", "sk-", "Paris", "get_weather"):
            self.assertNotIn(secret, said)

    def test_tells_clients_that_left(self):
        path = "/v1/chat/completions"
        body = chat(max_tokens=1500, ignore_eos=True)
        with fathom.Server(MODEL, *SLOW, "--log-format", "json") as server:
            events = server.stream(path, {**body, "stream": True})
            for _ in range(3):
                next(events)
            events.close()
            line = line_of(server, finish="cancelled", status=200)
            self.assertGreaterEqual(line["answer_tokens"], 1)
            self.assertLess(line["answer_tokens"], 1500)
            connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
            connection.request("POST", path, json.dumps(body), {"x-request-id": "whole"})

            def runs():
                return 'num_requests_running{model_name="tiny"} 1' in server.get("/metrics")[1]

            wait_for("a request that runs", runs, LINE_DEADLINE_S)
            connection.close()
            line_of(server, request_id="whole", finish="cancelled", status=499)
            with socket.create_connection((server.host, server.port), timeout=60) as client:
                client.sendall(
                    b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: half\r\n"
                    b"Content-Length: 100\r\n\r\nhalf of it"
                )
            line_of(server, request_id="half", finish="cancelled", status=499)

    def test_tells_what_had_no_room_and_what_came_too_late(self):
        flags = ("--log-format", "json", "--max-running", "1", "--max-waiting", "1")
        path = "/v1/chat/completions"
        body = chat(max_tokens=1500, ignore_eos=True, stream=True)
        with fathom.Server(MODEL, *SLOW, *flags, "--shutdown-seconds", "3") as server:
            streams = []
            for _ in range(2):  # one runs, one waits
                streams.append(server.stream(path, body))
                next(streams[-1])
                next(streams[0])
            self.assertEqual(ask(server, "POST", path, chat(), {"x-request-id": "full"})[0], 429)
            line_of(server, request_id="full", status=429, error="queue_full", finish="error")
            server.process.send_signal(signal.SIGTERM)
            wait_for("the end to begin", lambda: ask(server, "GET", "/health")[0] == 503, 20)
            self.assertEqual(ask(server, "POST", path, chat(), {"x-request-id": "late"})[0], 503)
            line_of(server, request_id="late", status=503, error="unavailable", finish="error")
            for events in streams:
                for _ in events:
                    pass
            self.assertEqual(server.process.wait(60), 0)
            broken = [line for line in json_lines(server) if line.get("answer_tokens", 0) > 0]
            self.assertEqual([line["finish"] for line in broken], ["error"] * len(broken))
            self.assertGreaterEqual(len(broken), 1)

    def test_holds_texts_where_asked_to(self):
        flags = ("--log-format", "json", "--log-prompts")
        with fathom.Server(MODEL, *flags) as server:
            body = chat(messages=[{"role": "user", "content": "Who are you?\n\x1b[31m"}], max_tokens=60)
            status, answer = ask(server, "POST", "/v1/chat/completions", body)
            self.assertEqual(status, 200)
            line = line_of(server, status=200)
            self.assertIn("Who are you?\n\x1b[31m", line["prompt"])
            content = json.loads(answer)["choices"][0]["message"]["content"]
            self.assertGreater(len(content), 5)
            self.assertIn(content, line["answer"])
            self.assertNotIn("\x1b", server.stderr())
            self.assertIn("--log-prompts", server.stderr())  # a warning

    def test_cannot_be_forged(self):
        for form in ("text", "json"):
            with fathom.Server(MODEL, *SIM, "--log-format", form) as server:
                before = len(server.stderr().splitlines())
                evil = "x\n2026-01-01T00:00:00.000+00:00 I request owner=root\x1b[2J\u202e\u2028"
                ask(server, "POST", "/v1/completions", {"prompt": "x", "model": evil})
                ask(server, "POST", "/v1/completions", {"prompt": "x", "model": "m" * 100_000})
                head = b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                for data in (b"GET /" + b"p" * 50_000 + head, b"X" * 5000 + b" /" + head,
                             b"GET /\x1b[31m" + head, b"GET /%0a%1b%5b31m" + head,
                             b"GET /" + head + b"X-Request-Id: \x1b]0;x\x07\r\n",
                             b"GET /" + head + b"X-Request-Id: a b\tc\r\n",
                             b"GET /" + head + b"X-Request-Id: " + b"i" * 5000 + b"\r\n"):  # fmt: skip
                    answer_to_raw_bytes(server, data + b"\r\n")
                self.assertEqual(server.stop(), 0)
                lines = server.stderr().split("\n")
                self.assertEqual(lines.pop(), "")
                said = "".join(lines)
                self.assertNotRegex(said, "[\x00-\x1f\x7f-\x9f\u2028\u202e]")
                for line in lines:
                    self.assertLess(len(line), 1000)
                    if form == "json":
                        self.assertIsNone(json.loads(line).get("owner"))
                    else:
                        self.assertRegex(line, TEXT_LINE)
                requests = [line for line in lines[before:] if "route" in line]
                self.assertEqual(len(requests), 9, "\n".join(lines))

    def test_has_levels_and_may_be_off(self):
        def said(*flags):
            with fathom.Server(MODEL, *SIM, *flags) as server:
                for path in ("/health", "/ping", "/version", "/metrics", "/v1/models"):
                    self.assertEqual(ask(server, "GET", path)[0], 200)
                self.assertEqual(server.stop(), 0)
                return server.stderr()

        self.assertEqual(said().count(" request_id="), 1)
        self.assertEqual(said("--log-level", "debug").count(" D request request_id="), 4)
        self.assertEqual(said("--log-requests", "off").count("request_id"), 0)
        quiet = said("--log-level", "error")
        self.assertEqual(quiet, "")

    def test_says_where_flags_contradict(self):
        command = [fathom.fathom_binary(), "serve", "--model", MODEL, *SIM, "--port", "0"]
        done = subprocess.run([*command, "--log-prompts", "--log-requests", "off"], timeout=60,
                              capture_output=True, text=True, check=False)  # fmt: skip
        self.assertEqual(done.returncode, 2)
        self.assertIn("--log-requests on", done.stderr)

    def test_holds_nobody_up(self):
        """stderr is a pipe that nobody reads."""
        read_end, write_end = os.pipe()
        command = [fathom.fathom_binary(), "serve", "--model", MODEL, *SIM, "--port", "0"]
        process = subprocess.Popen([*command, "--log-prompts"], stdout=subprocess.PIPE,
                                   stderr=write_end, text=True)  # fmt: skip
        os.close(write_end)
        try:
            url = process.stdout.readline().split()[-1]

            class Address:
                host, port = url.partition("://")[2].split(":")
                port = int(port)

            # Each control character takes six bytes of the line: these are more than is kept.
            body = {"prompt": "\x01" * 1500, "max_tokens": 1}
            for _ in range(600):
                self.assertEqual(ask(Address, "POST", "/v1/completions", body)[0], 200)
            with open(read_end, encoding="utf-8", closefd=False) as pipe:
                kept = dropped = 0
                while kept + dropped < 600:  # the last line may be on its way still
                    line = pipe.readline()
                    kept += "route=/v1/completions" in line
                    if told := re.search(r"W (\d+) lines of the log were dropped", line):
                        dropped += int(told[1])
                self.assertEqual(kept + dropped, 600)
                self.assertGreater(dropped, 0)
            self.assertEqual(ask(Address, "POST", "/v1/completions", body)[0], 200)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(60), 0)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            os.close(read_end)


if __name__ == "__main__":
    unittest.main()
