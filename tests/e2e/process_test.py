#!/usr/bin/env python3
"""The server as a process: standard streams that are gone, file descriptors, shutting down."""

import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import unittest

import server as fathom
from edge import Directory, KEY, MODEL, SIM, ask, eventually


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


if __name__ == "__main__":
    unittest.main()
