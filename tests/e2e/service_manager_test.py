#!/usr/bin/env python3
"""`fathom serve` as a service of systemd: it tells when it is ready, how far loading is and when it
stops, and finds the credentials that it is given. And what browsers and probes see without a key."""

import html.parser
import json
import os
import signal
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request
from unittest import mock

import server as fathom
from manager import Manager

MODEL = os.path.join(fathom.REPOSITORY, "models", "tiny")
SIM = ("--chip", "sim")
KEY = "sk-0123456789abcdef"


def get(server, path, key=None):
    """-> (status, headers, text)"""
    request = urllib.request.Request(server.url + path, headers={"x-api-key": key} if key else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.headers, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()


class ServiceManager(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="fathom-service-")
        self.addCleanup(directory.cleanup)
        self.path = directory.name

    def test_is_told_from_loading_to_the_end(self):
        for name in (os.path.join(self.path, "notify"), f"@fathom-test-{os.getpid()}"):
            with Manager(name) as manager, fathom.Server(MODEL, ready=False) as server:
                messages = manager.told("READY=1")
                loading = [text for text in messages if text.startswith("STATUS=loading ")]
                self.assertTrue(loading, messages)
                self.assertIn("100%", loading[-1])
                status = messages[-1].split("\n")[1]
                self.assertTrue(status.startswith("STATUS=serving tiny at http://127.0.0.1:"), status)
                url = status.split()[-1]
                with urllib.request.urlopen(url + "/health", timeout=60) as response:
                    self.assertEqual(response.status, 200)  # ready is ready
                server.process.send_signal(signal.SIGTERM)
                manager.told("STOPPING=1")
                self.assertEqual(server.process.wait(60), 0)

    def test_hands_over_credentials(self):
        with open(os.path.join(self.path, "api-keys"), "w", encoding="ascii") as file:
            file.write(KEY + "\n")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
            + ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
            + ["-out", f"{self.path}/cert", "-keyout", f"{self.path}/key"],
            check=True,
            capture_output=True,
        )
        flags = ["--api-keys", "credential:api-keys"]
        with mock.patch.dict(os.environ, {"CREDENTIALS_DIRECTORY": self.path}):
            with fathom.Server(MODEL, *SIM, *flags) as server:
                self.assertEqual(get(server, "/v1/models")[0], 401)
                self.assertEqual(get(server, "/v1/models", KEY)[0], 200)
            tls = ("--tls-cert", "credential:cert", "--tls-key", "credential:key")
            with fathom.Server(MODEL, *SIM, *flags, *tls) as server:
                self.assertTrue(server.url.startswith("https://"))
        command = [fathom.fathom_binary(), "serve", "--model", MODEL, *SIM, "--port", "0", *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("LoadCredential=api-keys:FILE", done.stderr)


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []
        self.loads = []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "href" and tag == "a":
                self.found.append(value)
            elif name in ("href", "src"):
                self.loads.append(value)


class Public(unittest.TestCase):
    def test_needs_no_key_and_tells_no_secret(self):
        with tempfile.NamedTemporaryFile("w", prefix="fathom-keys-") as keys:
            keys.write(KEY + " alice\n")
            keys.flush()
            with fathom.Server(MODEL, *SIM, "--api-keys", keys.name) as server:
                status, headers, page = get(server, "/")
                self.assertEqual(status, 200)
                self.assertEqual(headers["content-type"], "text/html; charset=utf-8")
                version = json.loads(get(server, "/version")[2])["version"]
                for part in ("tiny", version, server.url + "/v1", "fathom chat", "curl ", "docs/"):
                    self.assertIn(part, page)
                for secret in (KEY, "alice", keys.name, MODEL):
                    self.assertNotIn(secret, page)
                links = Links()
                links.feed(page)
                self.assertEqual(links.loads, [])
                for path in links.found:
                    self.assertEqual(get(server, path, KEY)[0], 200, path)
                self.assertIn("/openapi.json", links.found)
                self.assertIn("/metrics", links.found)
                status, headers, text = get(server, "/ping")
                self.assertEqual((status, text), (200, "pong"))
                self.assertEqual(get(server, "/openapi.json")[0], 401)


if __name__ == "__main__":
    unittest.main()
