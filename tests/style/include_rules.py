#!/usr/bin/env python3
"""Checks that each folder of src/ includes only the folders docs/architecture.md allows."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The table of docs/architecture.md, which must say the same. A folder may always include itself.
ALLOWED = {
    "base": set(),
    "net": {"base"},
    "device": {"base"},
    "comm": {"base", "device"},
    "sampling": {"base"},
    "backends": {"base", "device", "comm", "sampling"},  # and its own chip, see below
    "ops": {"base", "device", "sampling"},
    "models": {"base", "device", "ops", "comm", "sampling"},
    "ledger": {"base"},
    "tokenizer": {"base"},
    "jinja": {"base"},
    "grammar": {"base"},
    "engine": {"base", "device", "ops", "comm", "models", "grammar", "sampling"},
    "api": {"base", "net", "tokenizer", "jinja", "grammar", "engine"},
    "kvtransfer": {"base", "device", "models", "engine"},
    "rpc": {"base", "engine", "grammar"},
    "gateway": {"base", "engine", "grammar", "rpc"},
    "serving": {"base", "backends", "comm", "device", "engine", "jinja", "kvtransfer", "models", "ops", "tokenizer"},
    "cli": None,  # the composition root: everything
}
# By the build.
GENERATED = {"serving/version.h", "rpc/engine.pb.h", "rpc/engine.grpc.pb.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
ROW = re.compile(r"^\| src/([a-z]+)(?:/X)? \|.*\| ([^|;]+)(?:;[^|]*)? \|$", re.MULTILINE)
# Whom an #if may name outside backends/: nobody.
VENDOR_IF = re.compile(
    r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b.*(CUDA|MUSA|COREX|IVCORE|ASCEND|HIP)", re.MULTILINE
)

# Kernels of all dialects name no vendor, and reach memory by words alone.
NOT_NEUTRAL = re.compile(
    r"cuda|nvidia|musa|corex|iluvatar|hygon|metax|\bhip\b|\bamd\b|threadIdx|blockIdx|__shared__"
    r"|\.address\s*[\[+]|\*\s*\w+\.address",
    re.IGNORECASE,
)


def others_of(source):
    """Which folders of backends/ a file of one may include."""
    own = source.parts[1]
    if own == "cpu" or own == "sim":
        return {own}
    if own == "gpu" and ("testing" in source.parts or source.stem.endswith("_test")):
        return {own, "cpu", "emulated"}  # what kernels are compared with, and what runs them
    if own == "gpu":
        return {own}  # a dialect's header is the build's to name
    return {own, "gpu"}


def violations(source, text, generated=GENERATED):
    """Sentences about what is wrong in one file; `source` is relative to src/."""
    folder = source.parts[0]
    if folder not in ALLOWED:
        yield f"folder {folder} is not in the table"
        return
    if folder != "backends" and VENDOR_IF.search(text):
        yield "names a vendor in a conditional"
    if source.parts[:2] == ("backends", "gpu") and "words" not in source.parts:
        for found in NOT_NEUTRAL.findall(text):
            yield f"{found}: expected neutral words (backends/gpu/words.h)"
    for included in INCLUDE.findall(text):
        target = pathlib.PurePath(included)
        if included not in generated and not (ROOT / "src" / target).is_file():
            yield f'includes "{included}": expected a path from src/'
        elif folder == "backends" and target.parts[0] == "backends":
            if target.parts[1] not in others_of(source):
                yield f"includes another chip's {included}"
        elif ALLOWED[folder] is not None and target.parts[0] not in ALLOWED[folder] | {folder}:
            yield f"includes {included}: {folder} may include {sorted(ALLOWED[folder])}"


def documented(page):
    """What a page's table allows."""
    allowed = {}
    for folder, names in ROW.findall(page):
        allowed[folder] = None if names == "all" else set(names.split(", ")) - {"-"}
    return allowed


def self_test():
    """The checker must find what it is for."""
    bad = [
        ("ops/x.cpp", '#include "engine/engine.h"\n'),
        ("backends/cpu/x.cpp", '#include "backends/cuda/y.h"\n'),
        ("backends/gpu/x.cpp", '#include "backends/emulated/dialect.h"\n'),
        ("backends/emulated/x.cpp", '#include "backends/cpu/cpu_backend.h"\n'),
        ("backends/gpu/kernels/x.cpp", "int i = threadIdx.x;\n"),
        ("backends/gpu/kernels/x.cpp", "float v = *x.address;\n"),
        ("models/x.cpp", "#ifdef __CUDA_ARCH__\n"),
        ("core/x.cpp", ""),
        ("base/x.cpp", '#include "nowhere.h"\n'),
    ]
    for name, text in bad:
        assert list(violations(pathlib.PurePath(name), text)), name
    assert not list(violations(pathlib.PurePath("ops/x.cpp"), '#include "base/result.h"\n'))
    rows = "| src/a | text | - |\n| src/b/X | text | a, c; never d |\n| src/e | text | all |\n"
    assert documented(rows) == {"a": set(), "b": {"a", "c"}, "e": None}


def main():
    self_test()
    found = 0
    files = [p for p in (ROOT / "src").rglob("*") if p.suffix in {".h", ".cpp", ".cu", ".inc"}]
    for path in sorted(files):
        source = path.relative_to(ROOT / "src")
        for violation in violations(source, path.read_text(encoding="utf-8")):
            print(f"src/{source}: {violation}")
            found += 1
    page = documented((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    for folder in sorted(ALLOWED.keys() | page.keys()):
        if folder not in page or folder not in ALLOWED or page[folder] != ALLOWED[folder]:
            print(f"docs/architecture.md: src/{folder}: its row is not what this test allows")
            found += 1
    print(f"{len(files)} files, {found} violations")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())
