#!/usr/bin/env python3
"""Checks that deploy/, docs/deploy.md and docs/operations.md name only what is there: flags and
variables of `fathom serve`, metrics, files, and exit codes; that operations.md has every metric and
every field of the log; that who stops the server leaves it the time it takes; and what systemd says
of the unit; and what the container runs without arguments."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
OWN_CODES = {0, 1, 2, 128 + 9}  # orderly, mend it first, the command line, killed
# Of the scripts and units themselves; they are documented where they are read.
SCRIPT_VARIABLES = {"FATHOM_RESTARTS", "FATHOM_RANKS", "FATHOM_RANKS_PER_POD",
                    "FATHOM_SSH", "FATHOM_SSH_KEY", "FATHOM_SSH_PORT",
                    "FATHOM_BUILD_PACKAGES", "FATHOM_PLUG_IN_PACKAGES",
                    "FATHOM_PACKAGING_PACKAGES"}  # fmt: skip
METRIC = r"(?:fathom|process)_[a-z_]+"
# Beyond --shutdown-seconds: answers that are cut are told, and the process ends.
STOP_MARGIN_S = 10
METRIC_SUFFIX = re.compile(r"_(bucket|count|sum)$")


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def together(folder, pattern, without=None):
    """The text of all files of a kind, but tests and one more."""
    files = sorted((ROOT / folder).glob(pattern))
    kept = [path for path in files if "_test" not in path.name and path.name != without]
    return "".join(path.read_text(encoding="utf-8") for path in kept)


def variable_of(flag):
    return "FATHOM_" + flag.removeprefix("--").upper().replace("-", "_")


def known():
    """What the code has: flags and variables, metrics, codes."""
    options = together("src/cli", "**/*.cpp", "other_servers.cpp")  # which has others' flags
    flags = set(re.findall(r'"(--[a-z-]+)[",]', options))
    lost = re.search(r"kExitRankLost = (\d+)", read("src/comm/group.h")).group(1)
    return {
        "flags": flags,
        "variables": {variable_of(flag) for flag in flags} | SCRIPT_VARIABLES,
        "metrics": set(re.findall(rf'"({METRIC})"', together("src/api", "**/*metrics.cpp"))),
        "fields": set(re.findall(r'\{"([a-z_]+)",', read("src/api/http/request_log.cpp"))),
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
    for name in re.findall(rf"`({METRIC})[`{{]", text):
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


def missing(text, have):
    """Sentences about what operations.md leaves out."""
    for kind in ("metrics", "fields"):
        for name in sorted(have[kind]):
            if not re.search(rf"`{name}[`{{]", text):
                yield f"{name} of the {kind} is not explained"


def stop_times(server, unit, values, manifest):
    """Sentences about who kills the server before it has ended by itself."""
    own = re.findall(r"shutdown_seconds = (\d+);", server)
    if len(own) != 1:
        yield f"--shutdown-seconds: expected one default, got {own}"
        return
    times = {"TimeoutStopSec": re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)}
    grace = r"terminationGracePeriodSeconds: (\d+)"
    times["values.yaml"] = re.findall(grace, values)
    times["fathom.yaml"] = re.findall(grace, manifest)
    for name, found in times.items():
        if not found:
            yield f"{name}: expected a time to stop in, got none"
        for seconds in found:
            if int(seconds) < int(own[0]) + STOP_MARGIN_S:
                yield (f"{name}: expected {STOP_MARGIN_S} s or more beyond --shutdown-seconds "
                       f"{own[0]}, got {seconds}")  # fmt: skip
    if len({seconds for found in times.values() for seconds in found}) > 1:
        yield f"expected one time to stop in everywhere, got {times}"


def verify_units(folder):
    """What systemd-analyze says of the unit, alone and with each drop-in; nothing where there is no
    such program. The programs that it starts need not be here."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return
    unit = (folder / "fathom.service").read_text(encoding="utf-8")
    for drop_in in [None, *sorted((folder / "fathom.service.d").glob("*.conf"))]:
        with tempfile.TemporaryDirectory(prefix="fathom-units-") as directory:
            copy = pathlib.Path(directory) / "fathom.service"
            texts = {copy: unit}
            if drop_in:
                texts[copy.with_name("fathom.service.d") / drop_in.name] = drop_in.read_text(encoding="utf-8")
            for path, text in texts.items():
                path.parent.mkdir(exist_ok=True)
                path.write_text(re.sub(r"^(ExecStart=)/\S+", r"\1/bin/true", text, flags=re.MULTILINE))
            done = subprocess.run([analyze, "verify", "--man=no", str(copy)], capture_output=True,
                                  text=True, timeout=60, check=False)  # fmt: skip
            said = [line for line in (done.stdout + done.stderr).splitlines() if str(copy) in line
                    or "fathom.service" in line]  # fmt: skip
            if said or done.returncode != 0:
                name = drop_in.name if drop_in else "fathom.service"
                yield f"{name}: systemd-analyze: {said or done.stderr}"


def container_violations(text, have):
    """Sentences about the Containerfile: what it runs must be there, and answer who reaches its port."""
    lines = re.sub(r"\\\n", "", text).splitlines()
    said = {}
    for line in lines:
        word, _, rest = line.partition(" ")
        if word in ("ENTRYPOINT", "CMD"):
            said[word] = json.loads(rest)
        if word == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                if not (ROOT / source).exists():
                    yield f"COPY {source}: it is not there"
    if said.get("ENTRYPOINT") != ["/usr/bin/fathom"]:
        yield f"ENTRYPOINT: expected the package's binary, got {said.get('ENTRYPOINT')}"
    command = said.get("CMD", [])
    if command[:1] != ["serve"]:
        yield f"CMD: expected serve, got {command}"
    for word in command:
        if word.startswith("--") and word not in have["flags"]:
            yield f"CMD: {word} is no flag of fathom serve"
    values = dict(zip(command, command[1:]))
    model = values.get("--model", "")
    if not (ROOT / model.removeprefix("/usr/share/fathom/") / "config.json").exists():
        yield f"CMD: expected a model of the package, got {model!r}"
    if values.get("--host") != "0.0.0.0":
        yield "CMD: expected an address that reaches the published port"
    if "--insecure-public" not in command and "--api-keys" not in command:
        yield "CMD: serve refuses to start there without keys"


def self_test(have):
    """The checker must find what it is for."""
    for text in ("    fathom serve --modle x", "FATHOM_MODLE=x", "`fathom_num_requests`",
                 "deploy/nowhere.yaml", "| 76 | lost |", "| code |\n| 0 |"):  # fmt: skip
        assert list(violations(text, have)), text
    assert not list(violations("    fathom serve --model x --port 1", have))
    assert list(missing("", have))
    good = ("shutdown_seconds = 60;", "TimeoutStopSec=75", "terminationGracePeriodSeconds: 75")
    assert not list(stop_times(*good, good[2]))
    assert list(stop_times("", *good[1:], good[2]))
    assert list(stop_times(good[0], "TimeoutStopSec=60", good[2], good[2]))
    assert list(stop_times(*good, "terminationGracePeriodSeconds: 80"))
    assert list(stop_times(*good, ""))
    good = read("deploy/Containerfile")
    for part, other in (('"--insecure-public"', '"--thinking"'), ('"--host", "0.0.0.0"', '"--port", "1"'),
                        ("models/tiny", "models/none"), ("/usr/bin/fathom", "/usr/local/bin/fathom"),
                        ("COPY deploy/container/", "COPY deploy/containers/"),
                        ('"--host"', '"--hots"')):  # fmt: skip
        assert part in good, part
        assert list(container_violations(good.replace(part, other), have)), part


def main():
    have = known()
    self_test(have)
    files = [ROOT / "docs" / "deploy.md", ROOT / "docs" / "operations.md"]
    files += [path for path in sorted((ROOT / "deploy").rglob("*")) if path.is_file()]
    found = 0
    for path in files:
        for violation in violations(path.read_text(encoding="utf-8"), have):
            print(f"{path.relative_to(ROOT)}: {violation}")
            found += 1
    whole = [
        *missing(read("docs/operations.md"), have),
        *stop_times(together("src/cli", "**/*.h"), read("deploy/systemd/fathom.service"),
                    read("deploy/helm/fathom/values.yaml"), read("deploy/kubernetes/fathom.yaml")),
        *verify_units(ROOT / "deploy" / "systemd"),
    ]  # fmt: skip
    for sentence in whole:
        print(sentence)
    found += len(whole)
    for violation in container_violations(read("deploy/Containerfile"), have):
        print(f"deploy/Containerfile: {violation}")
        found += 1
    print(f"{len(files)} files, {found} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
