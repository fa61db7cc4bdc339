#!/usr/bin/env python3
"""Every answer of the API is the recorded one: status, headers and body, to the byte.

recorded/*.json hold requests with their answers. To change an answer on purpose, or to add a request
(an entry without "answer"), run `FATHOM_RENEW=1 tests/e2e/recorded_api_test.py`, and read what
`git diff tests/e2e/recorded` shows. A file has

    "flags": of `fathom serve --model models/tiny`; KEYS is a file of API keys
    "exchanges": each with
        "ask": method and path; or "raw": the bytes to send, as text
        "headers": further ones
        "json": the body; or "text"; "gzip": true packs it; <long> in it is longer than the context
        "answer": "status", "headers", and the body as "json", or as "lines" where it is not exactly
                  what this page would write for a JSON value

What differs from run to run is replaced in answers: ids by names such as <resp_1>, which later
requests of the file may use, times by 0 and <time>, and the server's version by <version>. Numbers
have four decimals at most, for the last ones depend on the machine's mathematical functions.
"""

import difflib
import gzip
import http.client
import json
import os
import pathlib
import re
import socket
import tempfile
import unittest

import server as fathom

MODEL = os.path.join(fathom.REPOSITORY, "models", "tiny")
RECORDED = pathlib.Path(__file__).parent / "recorded"
RENEW = bool(os.environ.get("FATHOM_RENEW"))
KEYS = "sk-recorded-0123456789 alice\nsk-recorded-urgent-0123456789 bob priority=-5\n"
ID = re.compile(r"\b(chatcmpl-|cmpl-|resp_|msg_|rs_|fc_|ctc_|item_|call_|req-)[0-9a-f]{24,32}\b")
SECONDS = re.compile(r'("(?:created|created_at|completed_at)":)\d+')
TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
LONG_NUMBER = re.compile(r"-?\b\d+\.\d{5,}(?:e[-+]\d+)?")
UNTOLD = {"date", "content-length"}  # the time, and what follows from the body
TOO_LONG = "word " * 3000
LONGEST_ANSWER_S = 120
SHOWN_DIFFERENCES = 5


class Names:
    """Stands names for the ids of a file's answers, in the order of their appearance."""

    def __init__(self):
        self.names, self.ids, self.count = {}, {}, {}

    def hide(self, text):
        def name(match):
            kind = match[1].rstrip("-_")
            if match[0] not in self.names:
                self.count[kind] = self.count.get(kind, 0) + 1
                self.names[match[0]] = f"<{kind}_{self.count[kind]}>"
                self.ids[self.names[match[0]]] = match[0]
            return self.names[match[0]]

        return ID.sub(name, text)

    def show(self, text):
        text = text.replace("<long>", TOO_LONG)
        return re.sub(r"<[a-z]+_\d+>", lambda match: self.ids.get(match[0], match[0]), text)


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def request_bytes(exchange, names):
    if "raw" in exchange:
        return names.show(exchange["raw"]).encode()
    body = compact(exchange["json"]) if "json" in exchange else exchange.get("text", "")
    body = names.show(body).encode()
    headers = ["Host: localhost", "Connection: close", "X-Request-Id: recorded"]
    if exchange.get("gzip"):
        body = gzip.compress(body, mtime=0)
        headers.append("Content-Encoding: gzip")
    if body or exchange["ask"].startswith("POST"):
        headers += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    own = exchange.get("headers", [])
    replaced = {line.partition(":")[0].lower() for line in own}
    kept = [line for line in headers if line.partition(":")[0].lower() not in replaced]
    head = [names.show(exchange["ask"]) + " HTTP/1.1", *kept, *own]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def ask(server, exchange, names):
    """-> (status line, headers, body) as they came."""
    with socket.create_connection((server.host, server.port), timeout=LONGEST_ANSWER_S) as client:
        client.sendall(request_bytes(exchange, names))
        method = exchange.get("ask", exchange.get("raw")).split()[0]
        response = http.client.HTTPResponse(client, method=method)
        response.begin()
        return f"{response.status} {response.reason}", response.getheaders(), response.read()


def steady(text, names, version):
    text = TIME.sub("<time>", SECONDS.sub(r"\g<1>0", names.hide(text)))
    text = LONG_NUMBER.sub(lambda match: repr(round(float(match[0]), 4)), text)
    return text.replace(version, "<version>")


def body_of(text):
    """How the recording shows a body."""
    if not text:
        return {}
    try:
        value = json.loads(text)
        if compact(value) == text:
            return {"json": value}
    except json.JSONDecodeError:
        pass
    return {"lines": text.split("\n")}


def without_measurements(page):
    """Which metrics there are; how much they say differs."""
    return "\n".join(line for line in page.split("\n") if line.startswith("#"))


def answer_of(server, exchange, names, version):
    status, headers, body = ask(server, exchange, names)
    text = body.decode("utf-8")
    if exchange.get("ask", "").endswith("/metrics"):
        text = without_measurements(text)
    told = [f"{name}: {value}" for name, value in headers if name.lower() not in UNTOLD]
    return {
        "status": status,
        "headers": [steady(line, names, version) for line in told],
        **body_of(steady(text, names, version)),
    }


def lines_of(answer):
    return json.dumps(answer, ensure_ascii=False, indent=1).split("\n")


def difference(exchange, answer):
    lines = difflib.unified_diff(
        lines_of(exchange.get("answer")), lines_of(answer), "recorded", "answered", lineterm="", n=2
    )
    asked = {key: value for key, value in exchange.items() if key != "answer"}
    return compact(asked)[:600] + "\n" + "\n".join(list(lines)[:40])


class Servers:
    """One server for all files with the same flags."""

    def __init__(self, keys):
        self.keys, self.running = keys, {}

    def with_flags(self, flags):
        key = tuple(flags)
        if key not in self.running:
            own = [self.keys if flag == "KEYS" else flag for flag in flags]
            self.running[key] = fathom.Server(MODEL, *own)
        return self.running[key]

    def stop(self):
        for server in self.running.values():
            server.__exit__()


class Recorded(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        with tempfile.NamedTemporaryFile("w", prefix="fathom-keys-", delete=False) as keys:
            keys.write(KEYS)
        cls.addClassCleanup(os.unlink, keys.name)
        cls.servers = Servers(keys.name)
        cls.addClassCleanup(cls.servers.stop)

    def check(self, path):
        recording = json.loads(path.read_text(encoding="utf-8"))
        server = self.servers.with_flags(recording["flags"])
        names = Names()
        version = server.get("/version")[1]["version"]
        differences = []
        for exchange in recording["exchanges"]:
            answer = answer_of(server, exchange, names, version)
            if RENEW:
                exchange["answer"] = answer
            elif answer != exchange.get("answer"):
                differences.append(difference(exchange, answer))
        if RENEW:
            text = json.dumps(recording, ensure_ascii=False, indent=1)
            path.write_text(text + "\n", encoding="utf-8")
        if differences:
            shown = "\n\n".join(differences[:SHOWN_DIFFERENCES])
            self.fail(f"{path.name}: {len(differences)} answers are not the recorded ones:\n{shown}")

    def test_there_are_recordings(self):
        self.assertTrue(list(RECORDED.glob("*.json")))


def add_tests():
    for path in sorted(RECORDED.glob("*.json")):
        setattr(Recorded, f"test_{path.stem}", lambda self, path=path: self.check(path))


add_tests()

if __name__ == "__main__":
    unittest.main()
