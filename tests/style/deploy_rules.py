#!/usr/bin/env python3
"""Checks that deploy/ and docs/deploy.md name only what is there: flags and variables of `fathom
serve`, metrics, files, and exit codes."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
OWN_CODES = {0, 1, 2, 128 + 9}  # orderly, mend it first, the command line, killed
# Of the scripts and units themselves; they are documented where they are read.
SCRIPT_VARIABLES = {"FATHOM_RESTARTS", "FATHOM_RANKS", "FATHOM_RANKS_PER_POD",
                    "FATHOM_SSH", "FATHOM_SSH_KEY", "FATHOM_SSH_PORT",
                    "FATHOM_BUILD_PACKAGES"}  # fmt: skip
METRIC_SUFFIX = re.compile(r"_(bucket|count|sum)$")


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def known():
    """What the code has: flags and variables, metrics, codes."""
    cli = [p for p in (ROOT / "src" / "cli").rglob("*.cpp") if not p.name.endswith("_test.cpp")]
    options = "".join(path.read_text(encoding="utf-8") for path in cli)
    lost = re.search(r"kExitRankLost = (\d+)", read("src/comm/group.h")).group(1)
    return {
        "flags": set(re.findall(r'"(--[a-z-]+)"', options)),
        "variables": set(re.findall(r'"(FATHOM_[A-Z_]+)"', options)) | SCRIPT_VARIABLES,
        "metrics": set(re.findall(r'"(fathom_[a-z_]+)"', read("src/api/metrics.cpp"))),
        "codes": OWN_CODES | {int(lost)},
    }


def flags_part(line):
    """Where a line can have flags of fathom serve: behind the command, if it is there."""
    before, command, after = line.partition("fathom serve")
    return after if command else before


def violations(text, have):
    """Sentences about what is wrong in a text."""
    for line in text.splitlines():
        if "fathom serve" in line or line.startswith("|") or re.search(r"`--[a-z-]+`", line):
            for flag in re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", flags_part(line)):
                if flag not in have["flags"]:
                    yield f"{flag} is no flag of fathom serve"
    for name in re.findall(r"\bFATHOM_[A-Z_]*[A-Z]\b", text):
        if name not in have["variables"]:
            yield f"{name} is no variable of fathom"
    for name in re.findall(r"`(fathom_[a-z_]+)`", text):
        if METRIC_SUFFIX.sub("", name) not in have["metrics"]:
            yield f"{name} is no metric"
    for name in re.findall(r"\b(?:deploy|tests)/[\w./-]*[\w-]", text):
        if not (ROOT / name).exists():
            yield f"{name} is not there"
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)]
    codes += [int(c) for line in re.findall(r"RestartPreventExitStatus=(.*)", text) for c in line.split()]
    for code in codes:
        if code not in have["codes"]:
            yield f"{code} is no exit code"
    if codes and "| code |" in text and not have["codes"] <= set(codes):
        yield f"exit codes {have['codes'] - set(codes)} are not explained"


def self_test(have):
    """The checker must find what it is for."""
    for text in ("    fathom serve --modle x", "FATHOM_MODLE=x", "`fathom_num_requests`",
                 "deploy/nowhere.yaml", "| 76 | lost |", "| code |\n| 0 |"):  # fmt: skip
        assert list(violations(text, have)), text
    assert not list(violations("    fathom serve --model x --port 1", have))


def main():
    have = known()
    self_test(have)
    files = [ROOT / "docs" / "deploy.md"]
    files += [path for path in sorted((ROOT / "deploy").rglob("*")) if path.is_file()]
    found = 0
    for path in files:
        for violation in violations(path.read_text(encoding="utf-8"), have):
            print(f"{path.relative_to(ROOT)}: {violation}")
            found += 1
    print(f"{len(files)} files, {found} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
