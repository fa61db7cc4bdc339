#!/usr/bin/env python3
"""How long short requests take beside an attack, as a multiple of what they take alone.

    bench/attacks/bystanders.py [--rounds 3] [--requests 150] [--json FILE] [ATTACK ...]

Two clients ask short questions, one after the other, of a server that is alone and then of the same
server under attack; rounds alternate. The attackers run at the lowest priority in processes of
their own, since they stand for other machines. Needs the built binary (FATHOM_BIN).
"""

import argparse
import http.client
import json
import math
import multiprocessing
import os
import socket
import statistics
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "tests", "e2e"))

import server as fathom  # noqa: E402

MODEL = os.path.join(fathom.REPOSITORY, "models", "tiny")
# A chip whose steps take the same time however many sequences they hold, as an accelerator's do
# until it computes: what occupies the engine is told apart from what occupies the processor.
SIMULATED = ("--chip", "sim", "--kernels", "launch=100", "--speculate", "0")
CLIENTS = 2
PAUSE_S = 0.01
SETTLE_S = 1.0
MIB = 1 << 20
JSON = {"Content-Type": "application/json"}


def body_of(**fields):
    return json.dumps(fields).encode()


def post_bytes(path, body):
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def ask(port, path, body):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        client.request("POST", path, body, JSON)
        return client.getresponse().read()
    finally:
        client.close()


def chat(max_tokens=1, **fields):
    messages = [{"role": "user", "content": "a"}]
    return body_of(messages=messages, max_tokens=max_tokens, **fields)


def costly_tools(port, turn):
    tools = [
        {
            "type": "function",
            "function": {
                "name": f"f{i}",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "p": {"type": "string", "pattern": f"^{turn}x{i}(a{{0,10000}}){{0,10000}}$"}
                    },
                },
            },
        }
        for i in range(64)
    ]
    ask(port, "/v1/chat/completions", chat(tools=tools, tool_choice="required"))


def costly_patterns(port, turn):
    patterns = {f"^a{i}.*b": {"type": "string"} for i in range(170)}
    schema = {"type": "object", "title": str(turn), "patternProperties": patterns}
    ask(port, "/v1/chat/completions", chat(structured_outputs={"json": schema}))


def new_schemas(port, turn):
    schema = {"type": "object", "properties": {f"p{turn}": {"type": "string"}}}
    ask(port, "/v1/chat/completions", chat(structured_outputs={"json": schema}))


def long_texts(port, turn):
    ask(port, "/tokenize", body_of(prompt=f"{turn} " + "a" * (12 * MIB)))


def abandoned(port, _turn):
    with connect(port) as client:
        client.sendall(post_bytes("/tokenize", body_of(prompt="a" * (4 * MIB))))


def hold(clients, seconds):
    time.sleep(seconds)
    for client in clients:
        client.close()


def slow_bodies(port, _turn):
    clients = [connect(port) for _ in range(16)]
    for client in clients:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 33000000"
        try:
            client.sendall(head + b"\r\n\r\n" + b"a" * (8 * MIB))
        except OSError:
            pass
    hold(clients, 1)


def idle_connections(port, _turn):
    clients = []
    try:
        for _ in range(900):
            clients.append(connect(port))
    except OSError:
        pass
    hold(clients, 2)


def large_items(port, _turn):
    item = {"role": "user", "content": "a", "id": "i" * (30 * MIB)}
    ask(port, "/v1/responses", body_of(input=[item], max_output_tokens=1))


def many_logprobs(port, _turn):
    wanted = {"n": 32, "max_tokens": 800, "ignore_eos": True, "logprobs": True, "top_logprobs": 20}
    ask(port, "/v1/chat/completions", chat(**wanted))


def many_prompts(port, _turn):
    fields = {"max_tokens": 1500, "ignore_eos": True}
    ask(port, "/v1/completions", body_of(prompt=["x"] * 1024, **fields))


def urgent(port, _turn):
    ask(port, "/v1/completions", body_of(prompt="x", max_tokens=30, ignore_eos=True, priority=-1))


# name: (what the attackers repeat, how many they are, flags of the server)
ATTACKS = {
    "costly-tools": (costly_tools, 4, ()),
    "costly-patterns": (costly_patterns, 4, ()),
    "new-schemas": (new_schemas, 2, ()),
    "long-texts": (long_texts, 4, ()),
    "abandoned": (abandoned, 4, ()),
    "slow-bodies": (slow_bodies, 2, ()),
    "idle-connections": (idle_connections, 1, ()),
    "large-items": (large_items, 2, ()),
    "many-logprobs": (many_logprobs, 2, SIMULATED),
    "many-prompts": (many_prompts, 3, SIMULATED),
    "urgent": (urgent, 40, SIMULATED),
}


def attack_forever(attack, port, first):
    os.nice(19)
    turn = first
    while True:
        try:
            attack(port, turn)
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)  # refused, which is what an attack is to expect
        turn += 1


class Attackers:
    """Processes that repeat an attack until the block ends."""

    def __init__(self, attack, count, port):
        self.processes = [
            multiprocessing.Process(
                target=attack_forever, args=(attack, port, 1_000_000 * i), daemon=True
            )
            for i in range(count)
        ]

    def __enter__(self):
        for process in self.processes:
            process.start()
        time.sleep(SETTLE_S)

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.join()


def bystander(port, requests, seconds):
    """Appends the seconds of each answer; one that is no 200 counts as without end."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = body_of(
        messages=[{"role": "user", "content": "Who are you?"}], max_tokens=8, temperature=0
    )
    for _ in range(requests):
        begin = time.perf_counter()
        try:
            client.request("POST", "/v1/chat/completions", body, JSON)
            answer = client.getresponse()
            answer.read()
            good = answer.status == 200
        except (OSError, http.client.HTTPException):
            client.close()
            good = False
        seconds.append(time.perf_counter() - begin if good else math.inf)
        time.sleep(PAUSE_S)
    client.close()


def measure(port, requests):
    seconds = []
    clients = [
        threading.Thread(target=bystander, args=(port, requests, seconds)) for _ in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return sorted(seconds)


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def run_round(name, requests):
    attack, count, flags = ATTACKS[name]
    with fathom.Server(MODEL, *flags) as server:
        measure(server.port, 20)
        alone = measure(server.port, requests)
        with Attackers(attack, count, server.port):
            beside = measure(server.port, requests)
    return {
        "alone_p50_ms": 1e3 * percentile(alone, 0.5),
        "alone_p99_ms": 1e3 * percentile(alone, 0.99),
        "beside_p50_ms": 1e3 * percentile(beside, 0.5),
        "beside_p99_ms": 1e3 * percentile(beside, 0.99),
        "failed": sum(math.isinf(value) for value in beside),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=150, help="of each client in each round")
    parser.add_argument("--json", help="file for all figures")
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=", ".join(ATTACKS))
    options = parser.parse_args()
    for name in options.attacks:
        if name not in ATTACKS:
            parser.error(f"ATTACK: expected one of {', '.join(ATTACKS)}, got {name}")
    results = {name: [] for name in options.attacks or ATTACKS}
    columns = f"{'p50 alone':>11}{'beside':>9}{'p99 alone':>11}{'beside':>9}{'times':>7}  failed"
    print(f"{'attack':18}{columns}")
    for _ in range(options.rounds):
        for name, rounds in results.items():
            rounds.append(run_round(name, options.requests))
    for name, rounds in results.items():
        middle = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
        times = statistics.median(r["beside_p99_ms"] / r["alone_p99_ms"] for r in rounds)
        print(
            f"{name:18}{middle['alone_p50_ms']:8.1f} ms{middle['beside_p50_ms']:6.1f} ms"
            f"{middle['alone_p99_ms']:8.1f} ms{middle['beside_p99_ms']:6.1f} ms{times:7.1f}"
            f"{sum(r['failed'] for r in rounds):8d}"
        )
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
