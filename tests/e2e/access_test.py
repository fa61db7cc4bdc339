#!/usr/bin/env python3
"""Who may ask, and from where: keys and their owners, public addresses, CORS, the names of hosts."""

import json
import os
import signal
import socket
import subprocess
import unittest

import server as fathom
from edge import Directory, KEY, MODEL, SIM, ask, eventually, post, refused_start


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


if __name__ == "__main__":
    unittest.main()
