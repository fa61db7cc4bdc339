"""Requests that are nearly right: valid bodies for each POST route, and what a seed makes of them."""

import copy
import json

MESSAGES = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": [{"type": "text", "text": "What is 2 + 2?"}]},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c0", "type": "function", "function": {"name": "add", "arguments": '{"a": 2}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "c0", "content": "4"},
]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Adds.",
            "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
        },
    }
]
SAMPLING = {
    "model": "tiny",
    "max_tokens": 4,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 20,
    "min_p": 0.01,
    "presence_penalty": 0.1,
    "frequency_penalty": -0.1,
    "repetition_penalty": 1.1,
    "seed": 5,
    "stop": ["x", "yz"],
    "logit_bias": {"7": -3, "9": 2.5},
    "n": 2,
    "min_tokens": 1,
    "ignore_eos": False,
    "stop_token_ids": [3],
    "priority": 1,
    "stream": False,
    "user": "u",
}
BODIES = {
    "/v1/chat/completions": [
        {**SAMPLING, "messages": MESSAGES, "tools": TOOLS, "tool_choice": "auto"},
        {
            **SAMPLING,
            "messages": MESSAGES[:2],
            "tools": TOOLS,
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "add"}}],
                },
            },
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "strict": True, "schema": {"type": "boolean"}},
            },
        },
        {
            **SAMPLING,
            "messages": MESSAGES[:2],
            "thinking": {"type": "enabled"},
            "logprobs": True,
            "top_logprobs": 3,
            "stream": True,
            "stream_options": {"include_usage": True},
        },
    ],
    "/v1/completions": [
        {**SAMPLING, "prompt": ["What is", "Why"], "echo": True, "logprobs": 2},
        {**SAMPLING, "prompt": [[5, 6, 7], [8]], "stream": True},
    ],
    "/tokenize": [
        {"model": "tiny", "prompt": "What is 2 + 2?", "return_token_strs": True},
        {"model": "tiny", "messages": MESSAGES, "tools": TOOLS, "add_generation_prompt": True},
    ],
    "/detokenize": [{"model": "tiny", "tokens": [1, 2, 3]}],
    "/v1/responses": [
        {
            "model": "tiny",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "What is 2 + 2?"}]},
                {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": "rain"},
            ],
            "instructions": "Answer.",
            "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}}],
            "reasoning": {"effort": "low"},
            "max_output_tokens": 4,
            "include": ["message.output_text.logprobs"],
            "store": True,
        },
        {"model": "tiny", "input": "Why?", "max_output_tokens": 4, "stream": True, "temperature": 0.5},
    ],
    "/v1/messages": [
        {
            "model": "tiny",
            "max_tokens": 4,
            "system": "Answer.",
            "messages": [
                {"role": "user", "content": "What is 2 + 2?"},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "t1", "name": "weather", "input": {}}],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "rain"}],
                },
            ],
            "tools": [{"name": "weather", "input_schema": {"type": "object"}, "strict": True}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
            "stop_sequences": ["x"],
        },
        {
            "model": "tiny",
            "max_tokens": 4,
            "stream": True,
            "thinking": {"type": "disabled"},
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}],
        },
    ],
    "/v1/responses/input_tokens": [{"model": "tiny", "input": "Why?", "instructions": "Answer."}],
    "/v1/responses/resp_none/cancel": [{}],
    "/v1/messages/count_tokens": [
        {"model": "tiny", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}
    ],
}

INTEGERS = [0, -1, 1, 2, 17, 2**31 - 1, 2**31, -(2**31) - 1, 2**53, 2**63, 2**64, -(2**63) - 1]
FLOATS = [0.0, -0.0, 0.5, -3.5, 1e-300, 1e300, 1.5]
STRINGS = ["", " ", "a", "\x00", "é" * 40, "\ud800", "<｜end▁of▁sentence｜>", "x" * 3000, "none", "NaN"]


def any_value(random):
    """A value of any type, likely an awkward one."""
    kind = random.randrange(8)
    if kind == 0:
        return None
    if kind == 1:
        return random.random() < 0.5
    if kind == 2:
        return random.choice(INTEGERS)
    if kind == 3:
        return random.choice(FLOATS)
    if kind == 4:
        return random.choice(STRINGS)
    if kind == 5:
        return [any_value(random) for _ in range(random.randrange(4))]
    if kind == 6:
        return {random.choice(STRINGS + ["type", "role", "content"]): any_value(random)}
    nested = random.choice([[], {}])
    for _ in range(random.choice([3, 40, 90])):
        nested = [nested] if random.random() < 0.5 else {"a": nested}
    return nested


def places(value, path=()):
    """Paths to every value within `value`, itself included."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list
    ) else ()
    for key, child in children:
        yield from places(child, path + (key,))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def mutate(random, body):
    """One change somewhere in a copy of `body`."""
    body = copy.deepcopy(body)
    path = random.choice(list(places(body)))
    if not path:
        return any_value(random) if random.random() < 0.1 else {**body, "surprise": any_value(random)}
    parent, key = at(body, path[:-1]), path[-1]
    kind = random.randrange(5)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, list):
        parent.extend(copy.deepcopy(parent[key]) for _ in range(random.choice([1, 3, 200])))
    elif kind == 1:
        parent[key + random.choice("x_ ")] = parent.pop(key)
    elif kind == 2 and isinstance(parent[key], str):
        parent[key] += random.choice(STRINGS)
    else:
        parent[key] = any_value(random)
    return body


def damage(random, text):
    """`text` (bytes) with some of it cut, changed or repeated: often no JSON any more."""
    text = bytearray(text)
    begin = random.randrange(len(text) + 1)
    end = min(len(text), begin + random.randrange(30))
    kind = random.randrange(4)
    if kind == 0:
        del text[begin:end]
    elif kind == 1:
        del text[begin:]
    elif kind == 2:
        text[begin:begin] = text[begin:end]
    else:
        text[begin:end] = bytes(random.randrange(256) for _ in range(end - begin))
    return bytes(text)


def request(random):
    """-> (route, the bytes of a body)."""
    route = random.choice(list(BODIES))
    body = random.choice(BODIES[route])
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        if isinstance(body, dict) and body:
            body = mutate(random, body)
    text = json.dumps(body, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")
    return route, damage(random, text) if random.random() < 0.1 else text
