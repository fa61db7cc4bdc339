#!/usr/bin/python3
"""A prefill engine that is killed, stopped, wrong or talked to by strangers costs time, never a
request, and leaves nothing behind in the decode engine."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

import server as fathom
from apart import (FLAGS, LONG, TINY, DecodeEngine, PrefillEngine, ask, ask_all, failures, fetched,
                   free_port, sent, wait_until_idle)  # fmt: skip
from waiting import wait_for

TIMES = int(os.environ.get("FATHOM_FAULTS", "3"))
# A prompt takes some hundred steps, so that there is time to be in its middle.
SLOW = ("--prefill-chunk", "4")
LONG_BLOCKS = 240  # KV blocks of all prompts of LONG


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with fathom.Server(TINY, *FLAGS) as server:
            cls.expected = dict(zip(LONG, ask_all(server, LONG)))

    def check(self, server, prompts, answers):
        for text, got in zip(prompts, answers):
            self.assertEqual(got, self.expected[text], text)
        wait_until_idle(server)

    def ask_in_background(self, server, prompts):
        """-> a function that waits for the answers."""
        answers = []
        asking = threading.Thread(target=lambda: answers.extend(ask_all(server, prompts)))
        asking.start()

        def wait():
            asking.join(120)
            self.assertEqual(len(answers), len(prompts), server.stderr())
            return answers

        return wait

    def in_the_middle(self, decode, transfers, blocks=1):
        """Waits until some blocks of these transfers have come, and not yet all."""
        wait_for("blocks on their way", lambda: fetched(decode) >= blocks, 60, decode.stderr)
        self.assertLess(fetched(decode, "kv_transfers_total"), transfers)

    def test_killed_in_the_middle_of_transfers(self):
        for number in range(TIMES):
            with self.subTest(number):
                chance = random.Random(number)
                with PrefillEngine(*SLOW) as prefill, DecodeEngine(prefill) as decode:
                    prompts = LONG[:4]
                    wait = self.ask_in_background(decode, prompts)
                    self.in_the_middle(decode, len(prompts), chance.randrange(1, 50))
                    prefill.process.kill()
                    self.check(decode, prompts, wait())
                    self.assertGreaterEqual(failures(decode, "lost"), 1, decode.stderr())

    def test_killed_and_the_other_goes_on(self):
        """Then it comes back and is asked again."""
        with PrefillEngine(*SLOW) as other:
            first = PrefillEngine(*SLOW)
            with DecodeEngine(first, other) as decode:
                with first:
                    wait = self.ask_in_background(decode, LONG[:4])
                    self.in_the_middle(decode, 4)
                    first.process.kill()
                    self.check(decode, LONG[:4], wait())
                self.assertEqual(fetched(decode, "kv_transfers_total"), 4)  # nothing computed here
                with PrefillEngine(port=first.kv_port) as again:
                    decode.wait_for_line(f"prefill engine {again.address}: there", times=2)
                    self.check(decode, LONG[4:8], ask_all(decode, LONG[4:8]))
                    self.assertGreater(sent(again, "kv_transfers_total"), 0)

    def test_stopped_in_the_middle_of_transfers(self):
        """It wakes up later: what it has to say by then is nobody's any more."""
        with PrefillEngine(*SLOW) as prefill, DecodeEngine(prefill) as decode:
            wait = self.ask_in_background(decode, LONG[:3])
            self.in_the_middle(decode, 3)
            os.kill(prefill.process.pid, signal.SIGSTOP)
            try:
                self.check(decode, LONG[:3], wait())
                self.assertGreater(failures(decode, "silent"), 0, decode.stderr())
            finally:
                os.kill(prefill.process.pid, signal.SIGCONT)
            decode.wait_for_line(f"prefill engine {prefill.address}: there", times=2)
            wait_until_idle(prefill)
            self.check(decode, LONG[3:5], ask_all(decode, LONG[3:5]))
            self.assertGreater(fetched(decode, "kv_transfers_total"), 0)

    def test_killed_at_any_moment_under_load(self):
        """Two prefill engines, one of which dies every now and then."""
        chance = random.Random(7)
        with PrefillEngine() as steady:
            port = free_port()
            with DecodeEngine(steady, f"127.0.0.1:{port}", met=False) as decode:
                for _ in range(TIMES):
                    with PrefillEngine(port=port) as dying:
                        decode.wait_for_line(f"prefill engine {dying.address}: there")
                        prompts = [f"{chance.random()} {text}" for text in LONG]
                        wanted = fetched(decode) + chance.randrange(LONG_BLOCKS // 2)
                        wait = self.ask_in_background(decode, prompts)
                        wait_for("blocks to come", lambda w=wanted: fetched(decode) >= w, 60,
                                 decode.stderr)  # fmt: skip
                        dying.process.kill()
                        answers = wait()
                    for text, answer in zip(prompts, answers):
                        self.assertEqual(answer, ask(steady, text), text)
                wait_until_idle(decode)

    def test_cancelled_while_it_waits_for_blocks(self):
        with PrefillEngine(*SLOW) as prefill, DecodeEngine(prefill) as decode:
            body = {"model": fathom.served_model(decode), "max_tokens": 5, "stream": True}
            for text in LONG[:3]:
                with socket.create_connection((decode.host, decode.port)) as client:
                    payload = json.dumps({**body, "prompt": text}).encode()
                    client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: "
                                   b"application/json\r\nContent-Length: %d\r\n\r\n%b"
                                   % (len(payload), payload))  # fmt: skip
                    had = fetched(decode)
                    wait_for("blocks on their way", lambda had=had: fetched(decode) > had, 60, decode.stderr)
            wait_until_idle(decode)
            wait_until_idle(prefill)
            self.assertEqual(fetched(decode, "kv_transfers_total"), 0)
            self.check(decode, LONG[3:4], ask_all(decode, LONG[3:4]))


class Strangers(unittest.TestCase):
    def test_garbage_at_the_port(self):
        chance = random.Random(1)
        with PrefillEngine() as prefill, DecodeEngine(prefill) as decode:
            before = ask(decode, LONG[0])
            for size in (0, 1, 10, 100, 1000, 100_000):
                with socket.create_connection(("127.0.0.1", prefill.kv_port)) as stranger:
                    try:
                        stranger.sendall(chance.randbytes(size))
                        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
                        stranger.settimeout(0.2)
                        stranger.recv(1)
                    except OSError:
                        pass
            self.assertEqual(ask(decode, LONG[0], cache_salt="x"), before)
            self.assertEqual(fetched(decode, "kv_transfers_total"), 2, prefill.stderr())

    def test_another_model(self):
        with tempfile.TemporaryDirectory() as directory:
            model = os.path.join(directory, "tiny")
            shutil.copytree(TINY, model)
            path = os.path.join(model, "config.json")
            with open(path, encoding="utf-8") as file:
                config = json.load(file)
            config["rope_theta"] = 20000.0
            with open(path, "w", encoding="utf-8") as file:
                json.dump(config, file)
            with fathom.Server(TINY, *FLAGS) as one:
                expected = ask(one, LONG[0])
            with PrefillEngine(model=model) as prefill:
                with DecodeEngine(prefill, met=False) as decode:
                    decode.wait_for_line("expected an engine with the same model")
                    self.assertEqual(ask(decode, LONG[0]), expected)
                    self.assertEqual(failures(decode, "no_peer"), 1)


class Flags(unittest.TestCase):
    def refused(self, *flags):
        done = subprocess.run([fathom.fathom_binary(), "serve", "--model", TINY, "--port", "0", *flags],
                              capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
        self.assertEqual(done.returncode, 2, done.stderr)
        return done.stderr

    def test_what_does_not_go_together(self):
        for flags, says in (
            (["--role", "prefill"], "--role prefill: expected --kv-listen HOST:PORT"),
            (["--role", "decode"], "--role decode: expected --prefill HOST:PORT"),
            (["--kv-listen", "127.0.0.1:1"], "--kv-listen: expected --role prefill"),
            (["--prefill", "127.0.0.1:1"], "--prefill: expected --role decode"),
            (["--role", "decode", "--prefill", "nowhere"], "--prefill: expected HOST:PORT"),
            (["--role", "decode", "--prefill", "x:1", "--prefix-cache", "off"], "--prefix-cache off"),
        ):
            self.assertIn(says, self.refused(*flags))


if __name__ == "__main__":
    unittest.main()
