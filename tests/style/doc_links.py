#!/usr/bin/env python3
"""Checks the Markdown pages: relative links and their anchors resolve, docs/README.md lists every
page, files that a page names in code spans exist, and so do pages and sections that code names."""

import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOT_OURS = {".git", "build", "node_modules", "__pycache__"}
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
EXTERNAL = re.compile(r"[a-z]+:")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^|(?<=\n\n))(?: {4}.*\n+)+")
SPAN = re.compile(r"``.+?``|`[^`\n]+`")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
# "models/moe.h", "tests/e2e/ranks_test.py": a name without placeholders.
SOURCE = re.compile(r"(?:[a-z0-9_.-]+/)*[a-z0-9_.-]+\.(?:h|cpp|py|mjs|sh|svg)")
FOLDER = re.compile(r"(?:src|tests|bench|deploy|docs|models|tools)(?:/[a-z0-9_.-]+)+")
# What code says of a page: docs/parallel.md, or docs/parallel.md, "Start".
NAMED_PAGE = re.compile(r'(?<![\w/])docs/([a-z0-9/_-]+\.md)(?:, "([^"\\\n]+)")?')
READS_PAGES = {".cpp", ".h", ".py", ".mjs", ".sh", ".txt", ".cmake", ".yaml", ".service", ".conf", ""}


def files():
    """Every file of the tree that is ours, relative to it."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NOT_OURS]
        for name in names:
            yield (pathlib.Path(folder) / name).relative_to(ROOT)


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    found = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        name, number = slug, 0
        while name in found:
            number += 1
            name = f"{slug}-{number}"
        found.add(name)
    return found


def prose(text):
    """A page without blocks of code."""
    return INDENTED.sub("", FENCE.sub("", text))


def links(text):
    return LINK.findall(SPAN.sub("", prose(text)))


def link_violations(page, text, read):
    """`read` gives the text of a file by its path from the root, "" for a folder or an image, and
    None where there is none."""
    for link in links(text):
        if EXTERNAL.match(link):
            continue
        path, _, anchor = link.partition("#")
        target = os.path.normpath(page.parent / path) if path else str(page)
        there = text if not path else read(target)
        if there is None:
            yield f"{link}: there is no {target}"
        elif anchor and anchor not in anchors(there):
            yield f"{link}: {target} has no heading with that anchor"


def name_violations(text, paths):
    """Files and folders in code spans; `paths` are all files of the tree."""
    for span in SPAN.findall(prose(text)):
        name = span.strip("`")
        if SOURCE.fullmatch(name):
            if not any(path == name or path.endswith("/" + name) for path in paths):
                yield f"`{name}`: no such file"
        elif FOLDER.fullmatch(name) and not any(
            path.startswith((name + "/", f"src/{name}/")) or path == name for path in paths
        ):
            yield f"`{name}`: no such folder"


def named_page_violations(text, read):
    """Pages that a file other than a page names."""
    for page, section in NAMED_PAGE.findall(text):
        there = read("docs/" + page)
        if there is None:
            yield f"there is no docs/{page}"
        elif section and section not in HEADING.findall(there):
            yield f'docs/{page} has no section "{section}"'


def index_violations(pages):
    """`pages`: text by path. Each folder of docs/ has a README.md that links to all of its pages."""
    for page in pages:
        if page.parts[0] != "docs":
            continue
        index = page.parent / "README.md" if page.name != "README.md" else page.parent.parent / "README.md"
        if index.parts[0] != "docs":
            continue
        named = {os.path.normpath(index.parent / link.partition("#")[0]) for link in links(pages.get(index, ""))}
        if str(page) not in named:
            yield f"{index} does not list {page}"


def self_test():
    """The checker must find what it is for."""
    page = pathlib.Path("docs/a.md")
    pages = {"docs/b.md": "# Two words, `code`\n\n# Twice\n# Twice\n"}
    good = "[b](b.md#two-words-code) [b](b.md#twice-1) [out](https://x.org/y) [here](#a) `[no](link.md)`\n# A\n"
    assert not list(link_violations(page, good, pages.get))
    for bad in ("[b](c.md)", "[b](b.md#three)", "[here](#b)", "![b](b.svg)", "[`b`](../b.md)"):
        assert list(link_violations(page, bad, pages.get)), bad
    code = "```sh\n[b](c.md)\n```\n\n    [b](c.md)\n\ntext\n"
    assert not list(link_violations(page, code, pages.get))
    paths = ["src/ops/linear.cpp", "tests/e2e/x_test.py"]
    assert not list(name_violations("`ops/linear.cpp` `x_test.py` `src/ops` `NAME.cpp` `a.b`", paths))
    for bad in ("`linear.h`", "`near.cpp`", "`src/op`", "`tests/x_test.py`"):
        assert list(name_violations(bad, paths)), bad
    assert not list(named_page_violations('// docs/b.md, "Twice" and docs/b.md', pages.get))
    assert list(named_page_violations("# docs/c.md", pages.get))
    assert list(named_page_violations('// docs/b.md, "Thrice"', pages.get))
    index = pathlib.Path("docs/README.md")
    assert not list(index_violations({page: "", index: "[a](a.md)"}))
    assert list(index_violations({page: "", index: ""}))
    assert list(index_violations({page: ""}))


def main():
    self_test()
    every = sorted(files())
    paths = [str(path) for path in every]
    known = set(paths)

    def read(path):
        if path in known:
            return (ROOT / path).read_text(encoding="utf-8") if path.endswith(".md") else ""
        return "" if (ROOT / path).is_dir() else None

    pages = {path: read(str(path)) for path in every if path.suffix == ".md"}
    found = [(page, what) for page, text in pages.items()
             for what in (*link_violations(page, text, read), *name_violations(text, paths))]  # fmt: skip
    found += [("docs", what) for what in index_violations(pages)]
    own = pathlib.Path(__file__).resolve().relative_to(ROOT)
    for path in every:
        if path.suffix in READS_PAGES and path != own:
            text = (ROOT / path).read_bytes().decode("utf-8", "replace")
            found += [(path, what) for what in named_page_violations(text, read)]
    for place, what in found:
        print(f"{place}: {what}")
    print(f"{len(pages)} pages, {len(found)} violations")
    return 1 if found or not pages else 0


if __name__ == "__main__":
    sys.exit(main())
