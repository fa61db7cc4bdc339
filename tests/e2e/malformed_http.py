"""HTTP messages that are wrong in a known way, made from a seed, with the statuses that are right."""

BODY = b'{"model": "tiny", "prompt": "x", "max_tokens": 1}'
TRAP = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
METHODS = [b"GET", b"POST", b"PUT", b"DELETE", b"PATCH"]
GOOD_TYPE = b"Content-Type: application/json\r\n"


def head(*headers, line=b"POST /v1/completions HTTP/1.1", host=True):
    lines = [line] + ([b"Host: localhost"] if host else []) + list(headers)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def length(size):
    return b"Content-Length: %d" % size


CHUNKED = b"Transfer-Encoding: chunked"


def both_lengths(random):
    order = [length(len(BODY)), CHUNKED]
    random.shuffle(order)
    return head(*order) + b"0\r\n\r\n" + TRAP, {400}


def several_lengths(random):
    other = random.choice([b"0", b"5", b"+49", b"49, 49", b"049"])
    return head(length(len(BODY)), b"Content-Length: " + other) + BODY + TRAP, {400}


def bad_length(random):
    value = random.choice([b"-1", b"+5", b"0x10", b"1e3", b"", b"5 5", b"9" * 30, b"\xb2"])
    return head(b"Content-Length: " + value) + BODY + TRAP, {400, 413}


def bad_coding(random):
    value = random.choice(
        [b"gzip", b"chunked, identity", b"identity", b"xchunked", b"chunked chunked", b'"chunked"']
    )
    return head(b"Transfer-Encoding: " + value) + b"0\r\n\r\n" + TRAP, {400, 501}


def several_codings(random):
    del random
    return head(CHUNKED, CHUNKED) + b"0\r\n\r\n" + TRAP, {400, 501}


def space_before_colon(random):
    name = random.choice([b"Transfer-Encoding ", b"Content-Length\t", b" Host", b"Content Length"])
    return head(name + b": 5") + b"hello" + TRAP, {400}


def folded_line(random):
    fold = random.choice([b"\r\n ", b"\r\n\t", b"\n ", b"\r "])
    return head(b"X-Long: a" + fold + b"b", length(0)) + TRAP, {400}


def bare_line_end(random):
    end = random.choice([b"\n", b"\r"])
    text = head(length(len(BODY)))
    position = random.choice([i for i in range(len(text)) if text[i : i + 2] == b"\r\n"])
    return text[:position] + end + text[position + 2 :] + BODY + TRAP, {400, 408}


def control_character(random):
    byte = bytes([random.choice([0, 1, 8, 11, 12, 27, 127])])
    text = head(b"X-A: b", length(0))
    position = random.randrange(1, len(text) - 4)
    return text[:position] + byte + text[position:] + TRAP, {400}


def bad_chunk(random):
    chunks = random.choice(
        [
            b"zz\r\nhello\r\n0\r\n\r\n",
            b"5\nhello\r\n0\r\n\r\n",
            b"5\r\nhelloX\r\n0\r\n\r\n",
            b"5 \r\nhello\r\n0\r\n\r\n",
            b"-5\r\nhello\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b"\r\n5\r\nhello\r\n0\r\n\r\n",
            b"5;" + b"e" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
            b"0\r\nbad trailer\r\n\r\n",
            b"0\r\n" + b"T: v\r\n" * 8000 + b"\r\n",
        ]
    )
    return head(CHUNKED) + chunks + TRAP, {400}


def huge_chunk(random):
    size = random.choice([b"fffffffffffffffff", b"7fffffffffffffff", b"ffffffff"])
    return head(CHUNKED) + size + b"\r\nhello", {413}


def large_body(random):
    return head(length(random.choice([2**21, 2**40, 2**63 - 1]))) + BODY, {413}


def giant_header(random):
    value = b"x" * random.choice([70_000, 200_000])
    line = random.choice([b"X-Big: " + value, value, b"Cookie: " + b"a=b; " * 15_000])
    return head(line, length(0)), {400, 431}


def many_headers(random):
    count = random.choice([300, 2000])
    return head(*[b"X-%d: y" % i for i in range(count)], length(0)), {431}


def giant_target(random):
    return head(line=b"GET /" + b"a" * random.choice([70_000, 150_000]) + b" HTTP/1.1"), {431}


def bad_line(random):
    line = random.choice(
        [
            b"POST",
            b"POST /",
            b"POST  / HTTP/1.1",
            b"POST / HTTP/1.1 ",
            b"POST / HTTP/11",
            b"POST / http/1.1",
            b"POST /a b HTTP/1.1",
            b"POST x HTTP/1.1",
            b"PO ST / HTTP/1.1",
            b"POST /\xff HTTP/1.1",
            b"GET /# HTTP/1.1",
            b"\x16\x03\x01\x02\x00\x01",
        ]
    )
    return head(length(0), line=line), {400}


def other_version(random):
    version = random.choice([b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.2", b"HTTP/3.0"])
    return head(line=b"GET / " + version), {400, 505}


def no_host(random):
    headers = random.choice([[], [b"Host: a", b"Host: b"]])
    return head(*headers, line=b"GET /health HTTP/1.1", host=False), {400}


def unknown_route(random):
    line = random.choice(METHODS) + b" /" + bytes(random.choices(b"abc%/.~", k=9)) + b" HTTP/1.1"
    return head(b"Connection: close", line=line), {404, 405}


def wrong_method(random):
    line = random.choice([b"BREW", b"get", b"DELETE", b"TRACE", b"CONNECT"])
    line += b" " + random.choice([b"/v1/completions", b"/health", b"/metrics"]) + b" HTTP/1.1"
    return head(b"Connection: close", line=line), {400, 405, 501}


def bad_expectation(random):
    value = random.choice([b"200-ok", b"100", b"100-continue, x"])
    return head(b"Expect: " + value, length(len(BODY))) + BODY, {417}


def slow_head(random):
    text = head(length(len(BODY)))
    return text[: random.randrange(1, len(text) - 1)], {400, 408}


def slow_body(random):
    if random.random() < 0.5:
        return head(CHUNKED) + random.choice([b"", b"5", b"5\r\nhel", b"0\r\n", b"0\r\nT: v"]), {408}
    return head(length(len(BODY))) + BODY[: random.randrange(len(BODY))], {408}


SLOW = [slow_head, slow_body]
AT_ONCE = [
    both_lengths, several_lengths, bad_length, bad_coding, several_codings, space_before_colon,
    folded_line, bare_line_end, control_character, bad_chunk, huge_chunk, large_body, giant_header,
    many_headers, giant_target, bad_line, other_version, no_host, unknown_route, wrong_method,
    bad_expectation,
]  # fmt: skip


def message(random):
    """-> (what is wrong, the bytes, the statuses of right answers)."""
    kind = random.choice(SLOW if random.random() < 0.06 else AT_ONCE)
    text, right = kind(random)
    if random.random() < 0.3:
        text = text.replace(b"POST /v1/completions ", b"POST /v1/messages ", 1)
    return kind.__name__, text, right
