#!/usr/bin/env python3
"""Many server-sent-event streams at once from one engine process on the simulated chip, and what
they cost the server: memory a stream, processor time a chunk.

    many_streams.py [--streams 2000] [--tokens 64] [flags of fathom serve]
"""

import argparse
import asyncio
import json
import os
import re
import resource
import sys

import server as fathom

MODEL = os.path.join(fathom.REPOSITORY, "models", "tiny")
PROMPTS = 16  # different ones
# A step takes about 0.1 s, so that every stream is there before the first one ends.
COSTS = ("--kernels", "launch=1500")
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
DEADLINE_S = 300


def start(streams, *flags):
    """A server whose engine runs that many sequences together, one token of each a step."""
    allow_files(2 * streams + 200)
    most = ["--max-running", str(streams), "--max-waiting", str(streams)]
    return fathom.Server(MODEL, "--chip", "sim", *COSTS, *most, "--speculate", "0", *flags)


def allow_files(wanted):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise RuntimeError(f"open files: expected a hard limit of {wanted} or more, got {hard}")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def request_bytes(number, tokens):
    body = json.dumps(
        {
            "model": "tiny",
            "stream": True,
            "messages": [{"role": "user", "content": f"What is {number % PROMPTS} + 1?"}],
            "max_tokens": tokens,
            "min_tokens": tokens,
            "ignore_eos": True,
            "temperature": 0,
        }
    ).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Stream(asyncio.Protocol):
    """One request; collects the bytes of its answer."""

    def __init__(self, request, on_first):
        self.request = request
        self.on_first = on_first
        self.received = bytearray()
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def start(self):
        self.transport.write(self.request)

    def data_received(self, data):
        if self.on_first is not None and b"data: " in data:
            self.on_first()
            self.on_first = None
        self.received += data
        if not self.received.startswith(b"HTTP/1.1 200 "[: len(self.received)]):
            return self.transport.close()
        if data.endswith(b"0\r\n\r\n") and not self.done.done():
            self.done.set_result(None)
            self.transport.close()

    def connection_lost(self, error):
        if not self.done.done():
            self.done.set_exception(
                RuntimeError(f"expected a whole stream, got {error}, {bytes(self.received[-400:])}")
            )

    def events(self):
        """The data of the events; raises where the answer is not 200 or not well-formed."""
        head, _, rest = bytes(self.received).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"expected 200, got {head[:60]!r} {rest[:300]!r}")
        body = b""
        while True:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            if length == 0:
                break
            body += rest[:length]
            if rest[length : length + 2] != b"\r\n":
                raise RuntimeError("expected a line end after each chunk")
            rest = rest[length + 2 :]
        return [e.removeprefix(b"data: ") for e in body.split(b"\n\n") if e.startswith(b"data: ")]


def text_of(events, tokens):
    """The answer's text, checked: as many tokens as asked for, an end, and nothing after it."""
    if events[-1] != b"[DONE]":
        raise RuntimeError(f"expected [DONE] at the end, got {events[-1][:200]!r}")
    chunks = [json.loads(event) for event in events[:-1]]
    if any("error" in chunk for chunk in chunks):
        raise RuntimeError(f"expected no error, got {chunks[-1]}")
    choices = [chunk["choices"][0] for chunk in chunks]
    reasons = [choice["finish_reason"] for choice in choices]
    if reasons[-1] != "length" or any(reasons[:-1]):
        raise RuntimeError(f"expected one finish_reason, length, got {set(reasons)}")
    return "".join(
        choice["delta"].get("content") or choice["delta"].get("reasoning_content") or ""
        for choice in choices
    )


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


async def run(server, streams, tokens):
    """-> a dictionary of what was measured; raises where any stream failed."""
    loop = asyncio.get_running_loop()
    pid = server.process.pid
    started = 0
    peak = 0
    clients = []

    def on_first():
        nonlocal started, peak
        started += 1
        if started == streams:
            peak = resident_kib(pid)
            if any(client.done.done() for client in clients):
                raise RuntimeError("expected all streams at once, some ended before others began")

    idle_kib = resident_kib(pid)
    cpu_before = cpu_seconds(pid)
    begin = loop.time()
    for number in range(streams):
        request = request_bytes(number, tokens)
        _, client = await loop.create_connection(
            lambda request=request: Stream(request, on_first), server.host, server.port
        )
        clients.append(client)
    for client in clients:
        client.start()
    await asyncio.wait_for(asyncio.gather(*(c.done for c in clients)), DEADLINE_S)
    seconds = loop.time() - begin
    cpu = cpu_seconds(pid) - cpu_before
    peak = max(peak, resident_kib(pid))

    chunks = 0
    texts = {}
    for number, client in enumerate(clients):
        events = client.events()
        chunks += len(events)
        texts.setdefault(number % PROMPTS, set()).add(text_of(events, tokens))
    if any(len(same) != 1 for same in texts.values()):
        raise RuntimeError("expected the same answer for the same prompt, got different ones")
    if len({next(iter(same)) for same in texts.values()}) != min(PROMPTS, streams):
        raise RuntimeError("expected another answer for another prompt, got the same")
    return {
        "streams": streams,
        "chunks": chunks,
        "seconds": seconds,
        "kib_a_stream": (peak - idle_kib) / streams,
        "cpu_us_a_chunk": cpu / chunks * 1e6,
    }


def measure(server, streams, tokens):
    asyncio.run(run(server, 2, 4))  # whatever is made once
    return asyncio.run(run(server, streams, tokens))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--tokens", type=int, default=64)
    options, flags = parser.parse_known_args()
    with start(options.streams, *flags) as server:
        result = measure(server, options.streams, options.tokens)
    print(
        "{streams} streams, {chunks} chunks in {seconds:.1f} s: {kib_a_stream:.1f} KiB a stream, "
        "{cpu_us_a_chunk:.1f} us of the server's processor time a chunk".format(**result)
    )


if __name__ == "__main__":
    sys.exit(main())
