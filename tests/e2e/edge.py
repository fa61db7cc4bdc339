"""What tests of a server's edge share: requests of their own making, and files for its flags."""

import http.client
import json
import os
import subprocess
import tempfile
import time
import unittest

import server as fathom

MODEL = os.path.join(fathom.REPOSITORY, "models", "tiny")
SIM = ("--chip", "sim")
KEY = "sk-0123456789abcdef"
RELOAD_DEADLINE_S = 20


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


def post(server, path, key, **body):
    """-> (status, JSON) of one request."""
    status, _, answer = ask(server, "POST", path, {"x-api-key": key}, json.dumps(body))
    return status, json.loads(answer)


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
