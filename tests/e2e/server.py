"""Runs `fathom serve` for a test and talks HTTP to it."""

import http.client
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time

from mpi_job import MpiJob
from waiting import kill_all

REPOSITORY = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
READY_LINE = "listening on http"
START_DEADLINE_S = 60
STOP_DEADLINE_S = 30
REQUEST_DEADLINE_S = 120


def fathom_binary():
    """The binary under test: FATHOM_BIN, else the dev build's."""
    path = os.environ.get("FATHOM_BIN", os.path.join(REPOSITORY, "build", "bin", "fathom"))
    if not os.access(path, os.X_OK):
        raise RuntimeError(f"{path}: not there; build it, or set FATHOM_BIN to the binary to test")
    return path


def on_tested_chip(flags):
    """These flags, with the chip that discrete_suites_test.py asks for where they name none:
    cpu-discrete with the options in FATHOM_TEST_DISCRETE, and the kernels that they name."""
    options = os.environ.get("FATHOM_TEST_DISCRETE")
    if options is None or "--chip" in flags:
        return list(flags)
    flags = list(flags)
    if "--kernels" in flags:
        named = flags.index("--kernels") + 1
        options = ",".join(filter(None, (options, flags[named])))
        del flags[named - 1 : named + 1]
    if starts := os.environ.get("FATHOM_TEST_STARTS"):
        with open(starts, "a", encoding="utf-8") as file:
            file.write(options + "\n")
    return [*flags, "--chip", "cpu-discrete", *(("--kernels", options) if options else ())]


class Server:
    """A server process: `with Server(model_dir, "--threads", "2") as server: server.post(...)`.

    With several ranks the process is mpirun's; stop() asks rank 0 to end. ready=False: does not wait
    until it serves, and has no url.
    """

    def __init__(self, model_dir, *flags, ranks=1, ready=True, preexec_fn=None):
        self._stderr = tempfile.NamedTemporaryFile(prefix="fathom-stderr-")
        self.job = MpiJob(fathom_binary(), ranks) if ranks > 1 else None
        command = self.job.command() if self.job else []
        command += [fathom_binary(), "serve", "--model", str(model_dir)]
        command += ["--port", "0", *on_tested_chip(flags)]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            errors="replace",
            env=self.job.environment() if self.job else None,
            preexec_fn=preexec_fn,
        )
        self._lines = queue.Queue()
        threading.Thread(target=self._read_stdout, daemon=True).start()
        if not ready:
            return
        try:
            self.url = self._wait_until_ready()
        except BaseException:
            self._kill()
            raise
        self.host, port = self.url.partition("://")[2].split(":")
        self.port = int(port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            self._kill()

    def _read_stdout(self):
        """Keeps the pipe empty, so that the server never blocks on it; None marks its end."""
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _wait_until_ready(self):
        deadline = time.monotonic() + START_DEADLINE_S
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise RuntimeError(
                    f"server: expected '{READY_LINE}' on stdout within {START_DEADLINE_S} s; "
                    f"its stderr:\n{self.stderr()}"
                ) from None
            if line is None:
                code = self.process.wait()
                raise RuntimeError(
                    f"server: ended with {code} before it was ready; its stderr:\n{self.stderr()}"
                )
            if READY_LINE in line:
                return line[line.index("http") :].split()[0].rstrip("/")

    def _kill(self):
        if self.process.poll() is None and self.job:
            self.process.terminate()  # SIGKILL would leave mpirun's files in /dev/shm
            try:
                self.process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                pass
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        kill_all(self.job.processes().values() if self.job else [])
        self.process.stdout.close()
        self._stderr.close()

    def stderr(self):
        """What the server has written to stderr so far."""
        with open(self._stderr.name, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self):
        """Sends SIGTERM and returns the exit code."""
        if self.process.poll() is None:
            rank_0 = self.job.processes().get(0) if self.job else self.process.pid
            os.kill(rank_0 or self.process.pid, signal.SIGTERM)
        try:
            return self.process.wait(timeout=STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise RuntimeError(
                f"server: still running {STOP_DEADLINE_S} s after SIGTERM; "
                f"its stderr:\n{self.stderr()}"
            ) from None

    def _send(self, method, path, body):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=REQUEST_DEADLINE_S)
        payload = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {} if payload is None else {"Content-Type": "application/json"}
        try:
            connection.request(method, path, payload, headers)
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise RuntimeError(
                f"{method} {path}: {error!r}; exit code {self.process.poll()}, "
                f"stderr:\n{self.stderr()}"
            ) from error

    def _exchange(self, method, path, body=None):
        connection, response = self._send(method, path, body)
        try:
            text = response.read().decode("utf-8")
        finally:
            connection.close()
        try:
            return response.status, json.loads(text)
        except json.JSONDecodeError:
            return response.status, text

    def get(self, path):
        """-> (status, the decoded JSON, or the text where it is not JSON)."""
        return self._exchange("GET", path)

    def post(self, path, body):
        """Posts a JSON value (bytes go as they are) -> (status, JSON or text)."""
        return self._exchange("POST", path, body)

    def stream(self, path, body):
        """Yields the data of each server-sent event: decoded JSON, or "[DONE]".

        Closing the iterator early closes the connection.
        """
        connection, response = self._send("POST", path, body)
        try:
            if response.status != 200:
                raise RuntimeError(f"POST {path}: status {response.status}: {response.read()!r}")
            for line in response:
                field, _, value = line.decode("utf-8").rstrip("\r\n").partition(": ")
                if field == "data":
                    yield value if value == "[DONE]" else json.loads(value)
        finally:
            connection.close()


def completion(server, prompt, **fields):
    """POST /v1/completions; returns choices[0], raises with the answer if the status is not 200."""
    body = {"model": served_model(server), "prompt": prompt, "temperature": 0, **fields}
    status, answer = server.post("/v1/completions", body)
    if status != 200:
        raise RuntimeError(f"/v1/completions: expected 200, got {status}: {answer}")
    return answer["choices"][0]


def served_model(server):
    """The name of the model the server offers."""
    if not hasattr(server, "model_name"):
        status, answer = server.get("/v1/models")
        if status != 200:
            raise RuntimeError(f"/v1/models: expected 200, got {status}: {answer}")
        server.model_name = answer["data"][0]["id"]
    return server.model_name
