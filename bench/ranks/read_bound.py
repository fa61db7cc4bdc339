#!/usr/bin/python3
"""What two ranks can reach of one engine's decoding speed, by the bytes that each must read.

One engine's two threads read every weight that a step needs once, together. Of two ranks each reads
its own part, and what both hold; the step lasts as long as the rank that reads most. Where experts
are whole on a rank, that depends on which are chosen: scores are drawn at random, and chosen as V3's
gate does. v3-mini in int8 (a byte a weight; W_UK and W_UV bf16), an empty context.

    bench/ranks/read_bound.py [sequences ...]
"""

import sys

import numpy as np

HIDDEN, LAYERS, DENSE_LAYERS, VOCABULARY = 2048, 12, 1, 16384
HEADS, NOPE, ROPE, V, Q_RANK, KV_RANK = 16, 128, 64, 128, 768, 512
INNER, EXPERT_INNER, EXPERTS, CHOSEN = 6144, 768, 64, 8
GROUPS, GROUPS_CHOSEN, STEPS = 8, 4, 2000

MOE_LAYERS = LAYERS - DENSE_LAYERS
ATTENTION_WHOLE = (Q_RANK + KV_RANK + ROPE) * HIDDEN  # q_a, kv_a: every rank of a tensor group
ATTENTION_CUT = (HEADS * (NOPE + ROPE) * Q_RANK  # q_b
                 + 2 * HEADS * (NOPE + V) * KV_RANK  # kv_b, 2 bytes
                 + HIDDEN * HEADS * V)  # o  # fmt: skip
GATE = 2 * EXPERTS * HIDDEN
EXPERT = 3 * HIDDEN * EXPERT_INNER  # the shared one too
# Of a step, outside the routed experts: what tensor ranks divide, and what they do not.
CUT = LAYERS * ATTENTION_CUT + DENSE_LAYERS * 3 * HIDDEN * INNER + MOE_LAYERS * EXPERT + VOCABULARY * HIDDEN
WHOLE = LAYERS * ATTENTION_WHOLE + MOE_LAYERS * GATE


def chosen_experts(random, sequences):
    """The distinct experts of one layer and step."""
    scores = 1 / (1 + np.exp(-random.standard_normal((sequences, EXPERTS))))
    best_two = np.sort(scores.reshape(sequences, GROUPS, -1), axis=2)[:, :, -2:].sum(axis=2)
    allowed = np.zeros((sequences, GROUPS), bool)
    np.put_along_axis(allowed, np.argsort(-best_two, axis=1)[:, :GROUPS_CHOSEN], True, axis=1)
    scores = np.where(np.repeat(allowed, EXPERTS // GROUPS, axis=1), scores, -1)
    return np.unique(np.argsort(-scores, axis=1)[:, :CHOSEN])


def experts_read(sequences):
    """On average: distinct experts of a layer, and those of them on the rank that has more."""
    random = np.random.default_rng(1)
    distinct, busiest = 0, 0
    for _ in range(STEPS):
        experts = chosen_experts(random, sequences)
        first = np.count_nonzero(experts < EXPERTS // 2)
        distinct += len(experts)
        busiest += max(first, len(experts) - first)
    return distinct / STEPS, busiest / STEPS


def main():
    print("| sequences | one engine | tp=2,ep=1 | tp=2 | dp=2 |\n|---|---|---|---|---|")
    for sequences in map(int, sys.argv[1:] or ("1", "2", "4", "8", "16", "32")):
        distinct, busiest = experts_read(sequences)
        routed = MOE_LAYERS * EXPERT * distinct
        most_routed = MOE_LAYERS * EXPERT * busiest
        one = CUT + WHOLE + routed
        ranks = (CUT / 2 + WHOLE + routed / 2, CUT / 2 + WHOLE + most_routed, CUT + WHOLE + most_routed)
        cells = [f"{each / 1e6:.0f} MB, {one / 2 / each:.2f}" for each in ranks]
        print(f"| {sequences} | {one / 1e6:.0f} MB | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
