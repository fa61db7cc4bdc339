#!/usr/bin/python3
"""Renders deploy/helm/fathom as `helm template` would and compares: with the chart's own values it must
give the objects of deploy/kubernetes/fathom.yaml, and every other value must arrive where it belongs.

Debian has no helm. This knows the part of its language that the chart uses and refuses all else:
{{ .Path }}, quote, default, div, toYaml with nindent, with ... end, and range over a map.
"""

import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "fathom"
MANIFEST = ROOT / "deploy" / "kubernetes" / "fathom.yaml"
ACTION = re.compile(r"(\n[ \t]*)?\{\{(-?) (.*?) \}\}")


class ChartError(Exception):
    """What helm would refuse, or this does not know."""


def look_up(path, scope):
    """A value by its path: ".Values.image.tag"; "." is what `with` stands in."""
    if path.startswith("$"):
        return scope[path]
    value = scope["."] if path == "." else scope
    for key in filter(None, path.split(".")):
        if not isinstance(value, dict) or key not in value:
            raise ChartError(f"{path}: no such value")
        value = value[key]
    return value


def to_text(value):
    if value is None or isinstance(value, (dict, list)):
        raise ChartError(f"expected a scalar, got {value!r}")
    return str(value).lower() if isinstance(value, bool) else str(value)


def evaluate(expression, scope):
    """The text that an action stands for."""
    first, *filters = (part.split() for part in expression.split("|"))
    if first[0] == "div" and len(first) == 3:
        value = look_up(first[1], scope) // int(first[2])
    elif first[0] == "toYaml" and len(first) == 2:
        value = yaml.safe_dump(look_up(first[1], scope), default_flow_style=False).rstrip("\n")
    elif len(first) == 1:
        value = look_up(first[0], scope)
    else:
        raise ChartError(f"{expression}: not known here")
    for name, *arguments in filters:
        if name == "quote":
            value = '"' + to_text(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
        elif name == "default":
            value = value or look_up(arguments[0], scope)
        elif name == "nindent":
            indent = "\n" + " " * int(arguments[0])
            value = indent + value.replace("\n", indent)
        else:
            raise ChartError(f"{name}: not known here")
    return to_text(value)


def scopes_of(expression, scope):
    """One for each time that what stands in a `with` or a `range` is rendered."""
    if expression.startswith("with "):
        value = look_up(expression.removeprefix("with "), scope)
        return [{**scope, ".": value}] if value else []
    loop = re.fullmatch(r"range (\$\w+), (\$\w+) := (\S+)", expression)
    if not loop:
        raise ChartError(f"{expression}: not known here")
    key, value, path = loop.groups()
    return [{**scope, key: k, value: v} for k, v in sorted(look_up(path, scope).items())]


def render(text, scope):
    """A template with its actions replaced."""
    out, at = [], 0
    while match := ACTION.search(text, at):
        space, trims, expression = match.group(1) or "", match.group(2), match.group(3)
        out.append(text[at : match.start()] + ("" if trims else space))
        at = match.end()
        if expression == "end":
            raise ChartError("end without with")
        if not expression.startswith(("with ", "range ")):
            out.append(evaluate(expression, scope))
            continue
        end = text.find("{{- end }}", at)
        if end < 0 or re.search(r"\{\{- (with|range)", text[at:end]):
            raise ChartError(f"{expression}: expected its end, without another within")
        body = text[at:end].rstrip(" ").rstrip("\n")
        out += [render(body, inner) for inner in scopes_of(expression, scope)]
        at = end + len("{{- end }}")
    return "".join(out) + text[at:]


def objects(text):
    """(kind, name) -> object."""
    found = {}
    for document in filter(None, yaml.safe_load_all(text)):
        found[document["kind"], document["metadata"]["name"]] = document
    return found


def chart(release="fathom", **changes):
    """What helm would apply."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    for key in changes:
        if key not in values:
            raise ChartError(f"{key}: the chart has no such value")
    about = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    scope = {"Values": {**values, **changes}, "Release": {"Name": release},
             "Chart": {"AppVersion": about["appVersion"]}}  # fmt: skip
    found = {}
    for template in sorted((CHART / "templates").iterdir()):
        try:
            found |= objects(render(template.read_text(encoding="utf-8"), scope))
        except (ChartError, yaml.YAMLError) as error:
            raise ChartError(f"{template.name}: {error}") from None
    return found


def pods(found, release):
    """The specs of leader and worker."""
    group = found["LeaderWorkerSet", release]["spec"]["leaderWorkerTemplate"]
    return [group[kind]["spec"] for kind in ("leaderTemplate", "workerTemplate")]


def differences(a, b, path=""):
    """Sentences about where two objects differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys(), key=str):
            yield from differences(a.get(key), b.get(key), f"{path}.{key}")
    elif a != b:
        yield f"{path}: {a!r} in the chart, {b!r} in {MANIFEST.name}"


def problems():
    """What is wrong with the chart, in sentences."""
    yield from differences(chart(), objects(MANIFEST.read_text(encoding="utf-8")))
    found = chart(
        "r1", image={"repository": "registry/fathom", "tag": "7"}, replicas=3, pods=4, ranksPerPod=2,
        parallel="dp=8", model={"claim": "disk", "path": "/models/V3"}, sshSecret="s1", keysSecret="k1",
        settings={"FATHOM_WEIGHTS": "int8"}, resources={"limits": {"vendor.com/chip": 2}},
        sharedMemory="1Gi", startupSeconds=100, terminationGracePeriodSeconds=90,
        service={"type": "NodePort", "port": 81}, maxUnavailable=2, nodeSelector={"chip": "x"},
        tolerations=[{"key": "chip", "operator": "Exists"}],
    )  # fmt: skip
    settings = found["ConfigMap", "r1"]["data"]
    group = found["LeaderWorkerSet", "r1"]["spec"]
    service = found["Service", "r1-api"]["spec"]
    budget = found["PodDisruptionBudget", "r1"]["spec"]
    both = pods(found, "r1")
    containers = [spec["containers"][0] for spec in both]
    volumes = {volume["name"]: volume for volume in both[0]["volumes"]}
    labels = [group["leaderWorkerTemplate"][kind]["metadata"]["labels"]
              for kind in ("leaderTemplate", "workerTemplate")]  # fmt: skip
    expected = {
        "image": ({each["image"] for each in containers}, {"registry/fathom:7"}),
        "replicas": (group["replicas"], 3),
        "pods": (group["leaderWorkerTemplate"]["size"], 4),
        "ranksPerPod": (settings["FATHOM_RANKS_PER_POD"], "2"),
        "parallel": (settings["FATHOM_PARALLEL"], "dp=8"),
        "model.path": (settings["FATHOM_MODEL"], "/models/V3"),
        "model.claim": (volumes["models"]["persistentVolumeClaim"]["claimName"], "disk"),
        "sshSecret": (volumes["ssh"]["secret"]["secretName"], "s1"),
        "keysSecret": (volumes["keys"]["secret"]["secretName"], "k1"),
        "settings": (settings["FATHOM_WEIGHTS"], "int8"),
        "resources": ([each["resources"] for each in containers],
                      [{"limits": {"vendor.com/chip": 2}}] * 2),
        "sharedMemory": (volumes["shm"]["emptyDir"]["sizeLimit"], "1Gi"),
        "startupSeconds": (containers[0]["startupProbe"]["failureThreshold"], 10),
        "terminationGracePeriodSeconds": (
            {spec["terminationGracePeriodSeconds"] for spec in both}, {90}),
        "service.type": (service["type"], "NodePort"),
        "service.port": (service["ports"][0]["port"], 81),
        "maxUnavailable": (budget["maxUnavailable"], 2),
        "nodeSelector": ([spec["nodeSelector"] for spec in both], [{"chip": "x"}] * 2),
        "tolerations": ([spec["tolerations"] for spec in both],
                        [[{"key": "chip", "operator": "Exists"}]] * 2),
        "the Service's pods": (service["selector"], labels[0]),
        "the budget's pods": (budget["selector"]["matchLabels"].items() <= labels[1].items(), True),
        "the settings' name": ({each["envFrom"][0]["configMapRef"]["name"] for each in containers},
                               {"r1"}),
    }  # fmt: skip
    for name, (got, wanted) in expected.items():
        if got != wanted:
            yield f"{name}: expected {wanted!r}, got {got!r}"


    yield from retyped_values()


def retyped_values():
    """Names that YAML takes for other than text must stay what they are, as numbers where text belongs
    must become it."""
    found = chart(
        "123", image={"repository": "registry/fathom", "tag": 7}, parallel="auto",
        model={"claim": "on", "path": "0x10"}, sshSecret="1e3", keysSecret="null",
        settings={"FATHOM_MODEL_NAME": "123", "FATHOM_PREFIX_CACHE": "on", "FATHOM_PORT": 8001},
        sharedMemory=1024, service={"type": "off", "port": 81},
    )  # fmt: skip
    group = found["LeaderWorkerSet", "123"]
    both = pods(found, "123")
    settings = found["ConfigMap", "123"]["data"]
    volumes = {volume["name"]: volume for volume in both[0]["volumes"]}
    service = found["Service", "123-api"]["spec"]
    expected = {
        "image": ({spec["containers"][0]["image"] for spec in both}, {"registry/fathom:7"}),
        "the name": (group["metadata"]["name"], "123"),
        "labels": ([group["spec"]["leaderWorkerTemplate"][kind]["metadata"]["labels"]["app"]
                    for kind in ("leaderTemplate", "workerTemplate")], ["123", "123"]),
        "selectors": (service["selector"]["app"], "123"),
        "the budget's": (found["PodDisruptionBudget", "123"]["spec"]["selector"]["matchLabels"]["app"],
                         "123"),
        "the settings' name": (both[0]["containers"][0]["envFrom"][0]["configMapRef"]["name"], "123"),
        "model.claim": (volumes["models"]["persistentVolumeClaim"]["claimName"], "on"),
        "sshSecret": (volumes["ssh"]["secret"]["secretName"], "1e3"),
        "keysSecret": (volumes["keys"]["secret"]["secretName"], "null"),
        "sharedMemory": (volumes["shm"]["emptyDir"]["sizeLimit"], "1024"),
        "service.type": (service["type"], "off"),
        "settings": ([settings[name] for name in ("FATHOM_MODEL", "FATHOM_MODEL_NAME", "FATHOM_PREFIX_CACHE")],
                     ["0x10", "123", "on"]),
        "what is no text in settings": ([value for value in settings.values() if not isinstance(value, str)], []),
    }  # fmt: skip
    for name, (got, wanted) in expected.items():
        if got != wanted:
            yield f"retyped {name}: expected {wanted!r}, got {got!r}"


def self_test():
    """The renderer must find what it is for."""
    scope = {"Values": {"a": 1, "m": {"k": "v"}, "none": {}}, "Chart": {"v": "2"}}
    for template, text in (
        ("x: {{ .Values.a }}", "x: 1"),
        ("x: {{ .Values.a | quote }}\n", 'x: "1"\n'),
        ("x: {{ .Values.none | default .Chart.v }}", "x: 2"),
        ("x:\n  {{- toYaml .Values.m | nindent 2 }}\ny: 1", "x:\n  k: v\ny: 1"),
        ("a: 1\n{{- with .Values.none }}\nb: 2\n{{- end }}\nc: 3", "a: 1\nc: 3"),
        ("a: 1\n{{- range $k, $v := .Values.m }}\n{{ $k }}: {{ $v | quote }}\n{{- end }}\nc: 3",
         'a: 1\nk: "v"\nc: 3'),
        ("a: 1\n{{- with .Values.m }}\nb:\n  {{- toYaml . | nindent 2 }}\n{{- end }}\nc: 3",
         "a: 1\nb:\n  k: v\nc: 3"),
    ):  # fmt: skip
        got = render(template, scope)
        assert got == text, f"{template!r}: expected {text!r}, got {got!r}"
    for template in ("{{ .Values.b }}", "{{ range .Values.m }}x{{- end }}", "{{ .Values.m }}", "{{- end }}"):
        try:
            got = render(template, scope)
        except ChartError:
            continue
        raise AssertionError(f"{template}: expected an error, got {got!r}")
    assert list(differences({"a": [1]}, {"a": [2]}))


def main():
    self_test()
    found = list(problems())
    for problem in found:
        print(problem)
    print(f"{len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
