"""Writes models/tiny/heldout.jsonl: problems that training never saw, for evaluate.py and the end-to-end test.

One object a line: task, messages and tools as the chat API takes them, thinking, and the right answer as
`expect` under one of three rules: "final-number" (the last integer in the content), "exact" (the content
without surrounding white space), "tool-call" (NAME(ARGUMENTS) of the only call, arguments as JSON values).
"""

import argparse
import json
import random
from pathlib import Path

from data import TASKS, conversation, draw

ROOT = Path(__file__).resolve().parents[2]


def _three_digits(problem) -> bool:
    numbers = problem.key.replace("+", "-").split("-")
    return all(len(n) == 3 for n in numbers)


# name -> (task of the generator, which of its problems)
SETS = {task: (task, lambda _: True) for task in TASKS}
SETS["add"], SETS["sub"] = ("add", _three_digits), ("sub", _three_digits)
SETS["add-short"] = ("add", lambda p: not _three_digits(p))
SETS["sub-short"] = ("sub", lambda p: not _three_digits(p))


def problems(count: int, seed: int) -> list:
    lines = []
    for name, (task, fits) in SETS.items():
        rng, seen = random.Random(f"{seed}:{name}"), set()
        while len(seen) < count:
            problem = draw(rng, task, heldout=True)
            if not fits(problem) or problem.key in seen:
                continue
            seen.add(problem.key)
            talk = conversation(rng, problem, thinking_share=1.0)
            lines.append({"task": name, "messages": talk.messages, "tools": problem.tools, "thinking": True,
                          "expect": problem.expect, "match": problem.match})
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "models" / "tiny" / "heldout.jsonl")
    parser.add_argument("--count", type=int, default=100, help="problems of each task")
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    lines = problems(arguments.count, arguments.seed)
    arguments.out.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    print(f"wrote {arguments.out}: {len(lines)} problems")


if __name__ == "__main__":
    main()
