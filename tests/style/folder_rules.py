#!/usr/bin/env python3
"""Checks that folders stay small, that neither they nor the units of most tops form a circle, and that
helpers of tests stay out of what is shipped.

A unit is a .cpp, or a header without one of its name; tests and their helpers do not count.
"""

import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOPS = [
    "api",
    "backends",
    "base",
    "cli",
    "comm",
    "device",
    "engine",
    "gateway",
    "grammar",
    "jinja",
    "kvtransfer",
    "ledger",
    "models",
    "net",
    "ops",
    "rpc",
    "sampling",
    "serving",
    "tokenizer",
]
# Tops whose units, not only their folders, must not include each other in a circle.
UNITS_WITHOUT_CIRCLES = set(TOPS) - {"backends", "device", "models"}
MOST_UNITS = 25
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
# Names that helpers of tests have had elsewhere than in testing/.
STRAY = re.compile(r"(_for_tests|test_support|test_server|_harness|harness)$")


def is_test(path):
    return path.stem.endswith("_test") or "testing" in path.parts


def units(paths):
    """{folder: its units}."""
    found = collections.defaultdict(set)
    for path in paths:
        if not is_test(path):
            found[path.parent].add(path.stem)
    return found


def folder_of(path):
    return path.parent


def unit_of(path):
    return path.with_suffix("")


def edges(files, part_of):
    """{part: {another part of the same top that it includes: by which file}}."""
    found = collections.defaultdict(dict)
    for path, text in files.items():
        for included in INCLUDE.findall(text):
            target = pathlib.PurePosixPath(included)
            same_top = target.parts[0] == path.parts[0] and target in files
            if same_top and part_of(target) != part_of(path) and not is_test(path):
                found[part_of(path)].setdefault(part_of(target), path)
    return found


def circle(graph):
    """Parts of which each includes the next, and the last the first; none if there are none."""
    done = set()

    def walk(part, way):
        if part in way:
            return way[way.index(part) :]
        if part in done:
            return []
        for target in sorted(graph.get(part, {})):
            if found := walk(target, [*way, part]):
                return found
        done.add(part)
        return []

    for start in sorted(graph):
        if found := walk(start, []):
            return found
    return []


def violations(files):
    """Sentences; `files` are texts by their paths from src/."""
    for folder, names in sorted(units(files).items()):
        if len(names) > MOST_UNITS:
            yield f"src/{folder}: expected at most {MOST_UNITS} units, got {len(names)}"
    joining = {path: text for path, text in files.items() if path.parts[0] in UNITS_WITHOUT_CIRCLES}
    for kind, graph in [
        ("folders", edges(files, folder_of)),
        ("units", edges(joining, unit_of)),
    ]:
        if way := circle(graph):
            steps = zip(way, [*way[1:], way[0]])
            told = ", ".join(f"{a} includes {b} (in {graph[a][b]})" for a, b in steps)
            yield f"circle of {kind}: {told}"
    for path, text in sorted(files.items()):
        if STRAY.search(path.stem) and "testing" not in path.parts:
            yield f"src/{path}: expected helpers of tests in a folder testing/"
        helpers = [name for name in INCLUDE.findall(text) if "testing" in name.split("/")]
        if helpers and not is_test(path):
            yield f"src/{path}: expected {helpers[0]} in tests only"


def self_test():
    """The checker must find what it is for."""

    def found(files):
        return list(violations({pathlib.PurePosixPath(k): v for k, v in files.items()}))

    flat = {f"net/u{i}.cpp": "" for i in range(MOST_UNITS)}
    assert not found({**flat, "net/u1.h": "", "net/u1_test.cpp": "", "net/testing/x.h": ""})
    assert found({**flat, "net/one_more.h": ""})
    child = {"api/a.h": "", "api/x/b.h": '#include "api/a.h"\n'}
    assert not found(child)
    assert found({**child, "api/c.cpp": '#include "api/x/b.h"\n'})
    assert not found({**child, "api/c_test.cpp": '#include "api/x/b.h"\n'})
    three = {f"api/{a}/f.h": f'#include "api/{b}/f.h"\n' for a, b in ["xy", "yz", "zx"]}
    assert found(three)
    units_of = {"a.h": "b", "b.h": "c", "c.h": ""}
    chain = {f"serving/{name}": f'#include "serving/{to}.h"\n' for name, to in units_of.items()}
    assert not found(chain)
    assert found({**chain, "serving/c.cpp": '#include "serving/a.h"\n'})
    helper = {"cli/testing/h.h": "", "cli/a_test.cpp": '#include "cli/testing/h.h"\n'}
    assert not found(helper)
    assert found({**helper, "cli/a.cpp": '#include "cli/testing/h.h"\n'})
    assert found({"cli/files_for_tests.h": ""})


def main():
    self_test()
    files = {}
    for top in TOPS:
        for path in sorted((ROOT / "src" / top).rglob("*")):
            if path.suffix in {".h", ".cpp", ".inc"}:
                name = pathlib.PurePosixPath(path.relative_to(ROOT / "src").as_posix())
                files[name] = path.read_text(encoding="utf-8")
    found = list(violations(files))
    for sentence in found:
        print(sentence)
    print(f"{len(files)} files in {len(units(files))} folders, {len(found)} violations")
    missing = [top for top in TOPS if not any(path.parts[0] == top for path in files)]
    return 1 if found or missing else 0


if __name__ == "__main__":
    sys.exit(main())
