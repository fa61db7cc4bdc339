"""What every task generator produces, and the rule that keeps problems out of training."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Optional

HELDOUT_SHARE = 10  # one problem in ten is never trained on


def is_heldout(task: str, key: str) -> bool:
    """True for the tenth of all problems that only evaluation may use.

    `key` names the problem itself (operands, word, list), not its wording, so that
    no rewording of a held-out problem can slip into training.
    """
    digest = hashlib.sha256(f"{task}|{key}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % HELDOUT_SHARE == 0


@dataclass
class Problem:
    """One exchange: what the user asks, and the one right thought and answer.

    The thought and answer are functions of the problem and language alone; greedy
    decoding can therefore be checked token by token.
    """

    task: str
    key: str
    user: str
    thought: str
    answer: str
    expect: str
    match: str  # "final-number", "exact" or "tool-call"
    tools: Optional[list] = None
    tool_calls: Optional[list] = None
    # Messages between the user's question and the final answer (a tool call and its result).
    between: list = field(default_factory=list)


def message(role: str, content: Any, **extra: Any) -> dict:
    return {"role": role, "content": content, **extra}
