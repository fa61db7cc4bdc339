#!/usr/bin/env python3
"""Who may ask, over what, and how much: keys, public addresses, CORS, TLS, limits."""

import concurrent.futures
import gzip
import http.client
import json
import os
import resource
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
import warnings

import server as fathom

MODEL = os.path.join(fathom.REPOSITORY, "models", "tiny")
SIM = ("--chip", "sim")
KEY = "sk-0123456789abcdef"
RELOAD_DEADLINE_S = 20
SANITIZED = bool(os.environ.get("FATHOM_SANITIZED"))


def ask(server, method, path, headers=None, body=None, context=None):
    """-> (status, headers, body) of one request on a connection of its own."""
    kind = http.client.HTTPConnection if context is None else http.client.HTTPSConnection
    more = {} if context is None else {"context": context}
    connection = kind(server.host, server.port, timeout=60, **more)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def eventually(condition):
    deadline = time.monotonic() + RELOAD_DEADLINE_S
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def refused_start(*flags):
    """What `fathom serve` says as it refuses these flags."""
    command = [fathom.fathom_binary(), "serve", "--model", MODEL, *SIM, "--port", "0", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode == 0:
        raise RuntimeError("expected a refusal, it served")
    return done.stdout + done.stderr


class Directory(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="fathom-edge-")
        self.addCleanup(directory.cleanup)
        self.path = directory.name

    def write(self, name, text):
        path = os.path.join(self.path, name)
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(text)
        os.replace(path + ".new", path)
        return path


class Keys(Directory):
    def test_everything_but_liveness_needs_one(self):
        keys = self.write("keys", f"# ours\n{KEY} alice\n")
        with fathom.Server(MODEL, *SIM, "--api-keys", keys) as server:
            for method, path in [
                ("GET", "/v1/models"),
                ("GET", "/metrics"),
                ("GET", "/nowhere"),
                ("POST", "/v1/chat/completions"),
            ]:
                status, headers, body = ask(server, method, path)
                self.assertEqual(status, 401, path)
                self.assertTrue(headers["x-request-id"])
                error = json.loads(body)["error"]
                self.assertEqual(set(error), {"message", "type", "param", "code"})
                self.assertEqual(error["code"], "invalid_api_key")
            self.assertEqual(ask(server, "GET", "/health")[0], 200)
            for header in ({"Authorization": f"Bearer {KEY}"}, {"x-api-key": KEY}):
                self.assertEqual(ask(server, "GET", "/v1/models", header)[0], 200)
            status, _, body = ask(server, "GET", "/metrics", {"x-api-key": KEY})
            self.assertIn('route="/v1/models",status="401"', body.decode())

    def test_a_body_is_not_read_without_one(self):
        keys = self.write("keys", KEY + "\n")
        with fathom.Server(MODEL, *SIM, "--api-keys", keys) as server:
            with socket.create_connection((server.host, server.port), timeout=60) as client:
                client.sendall(
                    b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n\r\n"
                )
                answer = b""
                while part := client.recv(4096):
                    answer += part
            self.assertTrue(answer.startswith(b"HTTP/1.1 401 "), answer)
            self.assertIn(b"Connection: close", answer)

    def test_the_chat_in_the_terminal_sends_one(self):
        keys = self.write("keys", KEY + "\n")
        with fathom.Server(MODEL, *SIM, "--api-keys", keys) as server:
            for key, code, said in ((KEY, 0, ""), ("sk-wrong-wrong-wrong", 1, "Incorrect API key")):
                done = subprocess.run(
                    [fathom.fathom_binary(), "chat", "--url", server.url, "--max-tokens", "4"],
                    input="hello\n",
                    env={**os.environ, "FATHOM_API_KEY": key},
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(said, done.stderr)

    def test_the_file_is_read_again(self):
        keys = self.write("keys", KEY + "\n")
        with fathom.Server(MODEL, *SIM, "--api-keys", keys) as server:

            def status(key):
                return ask(server, "GET", "/v1/models", {"x-api-key": key})[0]

            self.assertEqual(status("another-0123456789abcdef"), 401)
            self.write("keys", "another-0123456789abcdef\n")
            self.assertTrue(eventually(lambda: status("another-0123456789abcdef") == 200))
            self.assertEqual(status(KEY), 401)
            self.write("keys", "bad\n")
            server.process.send_signal(signal.SIGHUP)
            self.assertTrue(eventually(lambda: "kept as they were" in server.stderr()))
            self.assertEqual(status("another-0123456789abcdef"), 200)
            self.assertNotIn(KEY, server.stderr())

    def test_a_bad_file_is_refused(self):
        self.assertIn("line 1", refused_start("--api-keys", self.write("keys", "short\n")))
        self.assertIn("cannot be read", refused_start("--api-keys", self.path + "/none"))


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


def post(server, path, key, **body):
    """-> (status, JSON) of one request."""
    status, _, answer = ask(server, "POST", path, {"x-api-key": key}, json.dumps(body))
    return status, json.loads(answer)


class Owners(Directory):
    ALICE, ALICES_OTHER, BOB = "sk-alice-0123456789", "sk-alice-9876543210", "sk-bob-012345678901"

    def serve(self, *flags):
        keys = f"{self.ALICE} alice priority=-5\n{self.ALICES_OTHER} alice\n{self.BOB} bob\n"
        return fathom.Server(MODEL, *SIM, "--api-keys", self.write("keys", keys), *flags)

    def cached(self, server, key):
        text = "The PIN of alice is 073. " * 20
        usage = post(server, "/v1/completions", key, prompt=text, max_tokens=1)[1]["usage"]
        return usage["prompt_tokens_details"]["cached_tokens"]

    def test_prefixes_are_the_owners(self):
        with self.serve() as server:
            self.assertEqual(self.cached(server, self.ALICE), 0)
            self.assertEqual(self.cached(server, self.BOB), 0)
            own = self.cached(server, self.ALICE)
            self.assertGreater(own, 0)
            self.assertEqual(self.cached(server, self.ALICES_OTHER), own)
            self.assertEqual(self.cached(server, self.BOB), own)  # bob's own by now

    def test_or_everybodys_where_the_server_is_told_so(self):
        with self.serve("--share-prefix-cache") as server:
            self.assertEqual(self.cached(server, self.ALICE), 0)
            self.assertGreater(self.cached(server, self.BOB), 0)

    def test_responses_are_the_owners(self):
        with self.serve() as server:
            created = post(server, "/v1/responses", self.ALICE, input="4711", max_output_tokens=4)
            path = "/v1/responses/" + created[1]["id"]
            for key, status in ((self.BOB, 404), (self.ALICES_OTHER, 200)):
                for end in ("", "/input_items"):
                    got = ask(server, "GET", path + end, {"x-api-key": key})
                    self.assertEqual(got[0], status)
                    self.assertEqual(b"4711" in got[2], status == 200 and end != "")
            self.assertEqual(ask(server, "DELETE", path, {"x-api-key": self.BOB})[0], 404)
            self.assertEqual(ask(server, "DELETE", path, {"x-api-key": self.ALICE})[0], 200)

    def test_priority_is_a_right(self):
        with self.serve() as server:
            for key, priority, status in (
                (self.ALICE, -5, 200),
                (self.ALICE, -6, 403),
                (self.ALICES_OTHER, -1, 403),
                (self.BOB, 3, 200),
            ):
                got = post(
                    server, "/v1/completions", key, prompt="x", max_tokens=1, priority=priority
                )
                self.assertEqual(got[0], status, got)

    def test_bad_rights_are_refused(self):
        keys = self.write("keys", f"{KEY} alice\n{self.BOB} bob priority=high\n")
        self.assertIn("line 2", refused_start("--api-keys", keys))


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


class Public(Directory):
    def test_a_public_address_needs_keys(self):
        for host in ("0.0.0.0", "::", "127.evil.example"):
            said = refused_start("--host", host)
            self.assertIn("--api-keys", said)
            self.assertIn("--insecure-public", said)

    def test_or_to_be_told(self):
        keys = self.write("keys", KEY + "\n")
        for flags in (("--insecure-public",), ("--api-keys", keys)):
            with fathom.Server(MODEL, *SIM, "--host", "0.0.0.0", *flags) as server:
                self.assertEqual(ask(server, "GET", "/health")[0], 200)


class Cors(unittest.TestCase):
    ORIGIN = "https://app.example"

    def test_pages_of_allowed_origins_may_ask(self):
        with fathom.Server(MODEL, *SIM, "--cors-origin", self.ORIGIN) as server:
            status, headers, _ = ask(
                server,
                "OPTIONS",
                "/v1/chat/completions",
                {
                    "Origin": self.ORIGIN,
                    "Access-Control-Request-Method": "POST",
                    "Access-Control-Request-Headers": "authorization",
                },
            )
            self.assertEqual(status, 204)
            self.assertEqual(headers["access-control-allow-origin"], self.ORIGIN)
            self.assertIn("POST", headers["access-control-allow-methods"])
            status, headers, _ = ask(
                server,
                "OPTIONS",
                "/v1/responses/x",
                {"Origin": self.ORIGIN, "Access-Control-Request-Method": "DELETE"},
            )
            self.assertIn("DELETE", headers["access-control-allow-methods"])
            for path in ("/v1/models", "/nowhere"):
                _, headers, _ = ask(server, "GET", path, {"Origin": self.ORIGIN})
                self.assertEqual(headers["access-control-allow-origin"], self.ORIGIN)
            _, headers, _ = ask(server, "GET", "/v1/models", {"Origin": "https://other.example"})
            self.assertIsNone(headers["access-control-allow-origin"])

    def test_without_the_flag_nobody_is_told(self):
        with fathom.Server(MODEL, *SIM) as server:
            _, headers, _ = ask(server, "GET", "/v1/models", {"Origin": self.ORIGIN})
            self.assertIsNone(headers["access-control-allow-origin"])


class Hosts(Directory):
    """Names that lead to this machine are no way in for a page (DNS rebinding)."""

    BODY = json.dumps({"prompt": "x", "max_tokens": 1})

    def complete(self, server, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        status, _, answer = ask(server, "POST", "/v1/completions", named, self.BODY)
        return status, json.loads(answer).get("error", {}).get("code")

    def test_of_others_are_refused(self):
        with fathom.Server(MODEL, *SIM) as server:
            evil = f"evil.example:{server.port}"
            self.assertEqual(self.complete(server, Host=evil), (403, "host_not_allowed"))
            self.assertEqual(ask(server, "GET", "/v1/models", {"Host": evil})[0], 403)
            blind = {"Origin": "http://evil.example", "Content-Type": "text/plain"}
            self.assertEqual(self.complete(server, **blind), (403, "origin_not_allowed"))
            for host in ("localhost", f"127.0.0.1:{server.port}", "[::1]", "fathom"):
                self.assertEqual(self.complete(server, Host=host)[0], 200, host)
            page = {"Host": "localhost:8000", "Origin": "http://localhost:8000"}
            self.assertEqual(self.complete(server, Sec_Fetch_Site="same-origin", **page)[0], 200)

    def test_of_a_proxy_are_told(self):
        with fathom.Server(MODEL, *SIM, "--allowed-host", "llm.example,192.0.2.7") as server:
            for host in ("llm.example", "192.0.2.7:443", "localhost"):
                self.assertEqual(self.complete(server, Host=host)[0], 200, host)
            self.assertEqual(self.complete(server, Host="other.example")[0], 403)

    def test_are_any_where_there_are_keys(self):
        keys = self.write("keys", KEY + "\n")
        with fathom.Server(MODEL, *SIM, "--api-keys", keys) as server:
            headers = {"Host": "any.example", "Origin": "https://any.example", "x-api-key": KEY}
            self.assertEqual(self.complete(server, **headers)[0], 200)


class Process(Directory):
    def test_a_log_that_nobody_reads_ends_nothing(self):
        keys = self.write("keys", KEY + "\n")
        read, write = os.pipe()
        command = [fathom.fathom_binary(), "serve", "--model", MODEL, *SIM, "--port", "0"]
        with subprocess.Popen(
            [*command, "--api-keys", keys], stdout=subprocess.PIPE, stderr=write, text=True
        ) as process:
            os.close(write)
            port = int(process.stdout.readline().rpartition(":")[2])
            os.close(read)
            process.stdout.close()
            self.write("keys", "another-0123456789abcdef\n")
            process.send_signal(signal.SIGHUP)  # a line of log

            def served():
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                connection.request("GET", "/v1/models", None, {"x-api-key": "another-0123456789abcdef"})
                return connection.getresponse().status == 200

            try:
                self.assertTrue(eventually(served))
            finally:
                process.terminate()
            self.assertEqual(process.wait(60), 0)

    def test_a_closed_log_is_no_client(self):
        """Without standard streams no socket takes their numbers."""
        shell = 'exec "$0" serve --model "$1" --chip sim --port 0 --api-keys "$2" 2>&- <&-'
        keys = self.write("keys", KEY + "\n")
        with subprocess.Popen(
            ["sh", "-c", shell, fathom.fathom_binary(), MODEL, keys],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            process.stdout.readline()
            for number in (0, 2):
                self.assertEqual(os.readlink(f"/proc/{process.pid}/fd/{number}"), "/dev/null")
            process.terminate()
            self.assertEqual(process.wait(60), 0)

    def test_a_command_whose_reader_is_gone_ends_in_order(self):
        command = [fathom.fathom_binary(), "serve", "--dry-run", "--json", "--rank", "0"]
        # SIGPIPE ends it, as any in a pipe, unless whoever starts it has that ignored.
        for ignored, code in ((False, -signal.SIGPIPE), (True, 1)):
            read, write = os.pipe()
            os.close(read)
            done = subprocess.run(
                [*command, "--model", MODEL],
                stdout=write,
                stderr=subprocess.PIPE,
                restore_signals=not ignored,
                timeout=120,
                check=False,
            )
            os.close(write)
            self.assertEqual(done.returncode, code, done.stderr)
            if ignored:
                self.assertIn(b"Broken pipe", done.stderr)

    def limited(self, soft, hard):
        return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def test_the_soft_limit_of_descriptors_is_raised(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        with fathom.Server(MODEL, *SIM, preexec_fn=self.limited(64, hard)) as server:
            clients = [
                socket.create_connection((server.host, server.port), timeout=60) for _ in range(100)
            ]
            self.assertEqual(ask(server, "GET", "/health")[0], 200)
            for client in clients:
                client.close()

    def test_connections_fit_the_hard_one(self):
        limit = self.limited(300, 300)
        with fathom.Server(MODEL, *SIM, preexec_fn=limit) as server:
            self.assertIn("44 connections at a time", server.stderr())
            clients = [
                socket.create_connection((server.host, server.port), timeout=60) for _ in range(44)
            ]
            self.assertTrue(eventually(lambda: ask(server, "GET", "/health")[0] == 503))
            for client in clients:
                client.close()
            self.assertTrue(eventually(lambda: ask(server, "GET", "/health")[0] == 200))
        command = [fathom.fathom_binary(), "serve", "--model", MODEL, *SIM, "--port", "0"]
        done = subprocess.run(
            [*command, "--max-connections", "1000"],
            preexec_fn=limit,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.assertEqual(done.returncode, 2)
        self.assertIn("--max-connections 1000: expected at most 44", done.stderr)


class Shutdown(unittest.TestCase):
    def test_answers_that_are_ended_are_told(self):
        flags = ("--kernels", "launch=500", "--shutdown-seconds", "1")
        with fathom.Server(MODEL, *SIM, *flags) as server:
            chat = {"messages": [{"role": "user", "content": "x"}]}
            cases = {
                "/v1/completions": ({"prompt": "x", "max_tokens": 1500}, b'"error"'),
                "/v1/chat/completions": ({**chat, "max_tokens": 1500}, b'"error"'),
                "/v1/responses": ({"input": "x", "max_output_tokens": 1500}, b"response.failed"),
                "/v1/messages": ({"model": "tiny", **chat, "max_tokens": 1500}, b"event: error"),
            }
            whole, streams = [], []
            for path, (body, word) in cases.items():
                for stream in (True, False):
                    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
                    text = json.dumps({**body, "ignore_eos": True, "stream": stream})
                    connection.request("POST", path, text)
                    (streams if stream else whole).append((path, connection, word))
            answers = [(path, c.getresponse(), word) for path, c, word in streams]
            for _, answer, _ in answers:
                answer.readline()  # it has begun
            server.process.send_signal(signal.SIGTERM)
            for path, answer, word in answers:
                self.assertIn(word, answer.read(), path)  # read() fails where a chunk is cut
            for path, connection, _ in whole:
                answer = connection.getresponse()
                self.assertEqual(answer.status, 503, path)
                self.assertIn("shutting down", json.loads(answer.read())["error"]["message"])
            self.assertEqual(server.process.wait(60), 0)


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


class Tls(Directory):
    def certificate(self, name, days=2):
        """A self-signed one for localhost, put in place as one that was renewed is."""
        files = [os.path.join(self.path, f) for f in ("next.pem", "next.key")]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
            + ["-nodes", "-days", str(days), "-subj", f"/CN={name}"]
            + ["-addext", "subjectAltName=IP:127.0.0.1", "-out", files[0], "-keyout", files[1]],
            check=True,
            capture_output=True,
        )
        for file, end in zip(files, ("pem", "key")):
            os.replace(file, os.path.join(self.path, "server." + end))
        return os.path.join(self.path, "server.pem"), os.path.join(self.path, "server.key")

    def serve(self, pem, key):
        return fathom.Server(MODEL, *SIM, "--tls-cert", pem, "--tls-key", key)

    def shown(self, server, **versions):
        """The name in the certificate that the server shows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old versions are meant
            for name, version in versions.items():
                setattr(context, name, version)
        with socket.create_connection((server.host, server.port), timeout=60) as plain:
            with context.wrap_socket(plain) as client:
                der = client.getpeercert(binary_form=True)
        text = subprocess.run(
            ["openssl", "x509", "-inform", "der", "-noout", "-subject"],
            input=der,
            check=True,
            capture_output=True,
        ).stdout.decode()
        return text.strip().rpartition("= ")[2]

    def test_serves_streams_and_refuses_what_is_old(self):
        pem, key = self.certificate("one")
        with self.serve(pem, key) as server:
            self.assertTrue(server.url.startswith("https://"))
            context = ssl.create_default_context(cafile=pem)
            body = {"model": "tiny", "prompt": "x", "max_tokens": 200, "ignore_eos": True}
            body["stream"] = True
            status, _, text = ask(
                server, "POST", "/v1/completions", {}, json.dumps(body), context=context
            )
            self.assertEqual(status, 200)
            self.assertGreater(text.count(b"data: "), 100)
            self.assertTrue(text.endswith(b"data: [DONE]\n\n"), text[-100:])
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                limits = {"minimum_version": version, "maximum_version": version}
                self.assertEqual(self.shown(server, **limits), "one")
            with self.assertRaises(OSError):
                self.shown(server, maximum_version=ssl.TLSVersion.TLSv1_1)
            for trusted, code, said in (
                (["--ca", pem], 0, ""),
                ([], 1, "certificate that is trusted"),
            ):
                chat = [fathom.fathom_binary(), "chat", "--url", server.url, "--max-tokens", "4"]
                done = subprocess.run(
                    chat + trusted,
                    input="hello\n",
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(said, done.stderr)
            # Plain HTTP gets no answer, and the server goes on.
            with self.assertRaises((OSError, http.client.HTTPException)):
                ask(server, "GET", "/health")
            self.assertEqual(ask(server, "GET", "/health", context=context)[0], 200)
            self.assertEqual(server.stop(), 0, server.stderr())

    def test_a_renewed_certificate_is_shown_without_a_restart(self):
        pem, key = self.certificate("one")
        with self.serve(pem, key) as server:
            self.assertEqual(self.shown(server), "one")
            self.certificate("two")
            self.assertTrue(eventually(lambda: self.shown(server) == "two"))
            self.write("server.key", "no key\n")
            self.assertTrue(eventually(lambda: "kept as they were" in server.stderr()))
            self.assertEqual(self.shown(server), "two")

    def test_bad_files_are_refused(self):
        pem, key = self.certificate("one")
        self.assertIn("--tls-key", refused_start("--tls-cert", pem))
        self.assertIn(
            "server.key: expected a PEM certificate", refused_start("--tls-cert", key, "--tls-key", key)
        )
        self.assertIn("none", refused_start("--tls-cert", pem, "--tls-key", self.path + "/none"))


if __name__ == "__main__":
    unittest.main()
