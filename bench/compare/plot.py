#!/usr/bin/env python3
"""Draws the results of compare.mjs --json as SVG, for docs/benchmarks.md.

speed: tokens per second of prompts and of decoding, by weight format and engine.
depth: decoding speed behind a filled cache, as a share of that behind an empty one.
"""

import argparse
import json
import math
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH = 840
MARGIN = 28
TEXT, FAINT, RULE, PAPER = "#1f2328", "#59636e", "#d1d9e0", "#ffffff"
FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
FORMATS = {"int8": ("int8", "GGUF: Q8_0"), "int4": ("4-bit", "GGUF: Q4_0")}


@dataclass
class Style:
    """How an engine is drawn; the corners of its marker are relative to the point."""

    colour: str
    marker: list


# Okabe and Ito's colours and a grey: every kind of colour blindness tells them apart.
STYLES = [
    Style("#0072b2", [(-4, -4), (4, -4), (4, 4), (-4, 4)]),
    Style("#e69f00", [(0, -6), (6, 0), (0, 6), (-6, 0)]),
    Style("#8c8c8c", [(0, -5.5), (5, 4), (-5, 4)]),
    Style("#009e73", [(0, 5.5), (5, -4), (-5, -4)]),
]


class Svg:
    """Collects elements; the height is known when all of them are drawn."""

    def __init__(self, title):
        self.title = title
        self.elements = []

    def add(self, name, content="", **attributes):
        words = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in attributes.items())
        self.elements.append(
            f"<{name}{words}>{content}</{name}>" if content else f"<{name}{words}/>"
        )

    def text(self, x, y, content, size=13, fill=TEXT, **attributes):
        self.add(
            "text", content, x=f"{x:.1f}", y=f"{y:.1f}", font_size=size, fill=fill, **attributes
        )

    def line(self, x1, y1, x2, y2, colour=RULE, width=1):
        self.add(
            "line",
            x1=f"{x1:.1f}",
            y1=f"{y1:.1f}",
            x2=f"{x2:.1f}",
            y2=f"{y2:.1f}",
            stroke=colour,
            stroke_width=width,
        )

    def document(self, height):
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
                f'viewBox="0 0 {WIDTH} {height:.0f}" font-family="{FONT}" role="img">',
                f"<title>{escape(self.title)}</title>",
                f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:.0f}" rx="10" '
                f'fill="{PAPER}" stroke="{RULE}"/>',
                *self.elements,
                "</svg>\n",
            ]
        )


def in_order(values):
    return list(dict.fromkeys(values))


def styles_of(results):
    """Engine -> Style, the same in every plot of the same engines."""
    return dict(zip(sorted({result["engine"] for result in results}), STYLES))


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def draw_heading(svg, title, subtitle):
    svg.text(MARGIN, 40, title, size=18, font_weight=600)
    svg.text(MARGIN, 62, subtitle, fill=FAINT)


def draw_footer(svg, record, y):
    limits = record["limits"]
    where = f"{record['model']} on {record['chip']}; {record['date']}."
    bounds = f"read {limits['read_gbps']:.1f} GB/s, int8 {limits['int8_gops']:,.0f} GOPS"
    svg.text(MARGIN, y, escape(f"{where} Measured limits: {bounds}"), size=11, fill=FAINT)


# --- speed

BAR, BAR_STEP, GROUP_GAP = 17, 21, 18
BARS_LEFT, BARS_WIDTH = 232, 390  # what is right of the bars holds their labels


def draw_bar(svg, y, result, colour, scale):
    length = max(result["tok_s"] * scale, 1)
    base = y + BAR - 4
    svg.text(BARS_LEFT - 8, base, escape(result["engine"]), text_anchor="end")
    svg.add("rect", x=BARS_LEFT, y=y, width=f"{length:.1f}", height=BAR, fill=colour)
    label = f'<tspan font-weight="600">{number(result["tok_s"])}</tspan>'
    if "share_of_limit" in result:
        share = f"{result['share_of_limit']:.0%} of its roofline"
        label += f'<tspan dx="8" fill="{FAINT}">{share}</tspan>'
    svg.text(BARS_LEFT + length + 8, base, label)


def draw_group(svg, y, lines, results, styles, scale):
    """The engines' bars of one measurement; returns where the next group begins."""
    for i, line in enumerate(lines):
        svg.text(
            MARGIN,
            y + BAR - 4 + i * BAR_STEP,
            line,
            fill=FAINT if i else TEXT,
            font_weight=400 if i else 600,
        )
    for result in sorted(results, key=lambda result: result["engine"]):
        draw_bar(svg, y, result, styles[result["engine"]].colour, scale)
        y += BAR_STEP
    return y + GROUP_GAP


def draw_speeds(svg, y, heading, groups, styles):
    """One scale for `groups` of (lines of text, results); returns where the next part begins."""
    svg.line(MARGIN, y, WIDTH - MARGIN, y)
    svg.text(MARGIN, y + 26, heading, size=14, font_weight=600)
    y += 44
    fastest = max(result["tok_s"] for _, results in groups for result in results)
    for lines, results in groups:
        y = draw_group(svg, y, lines, results, styles, BARS_WIDTH / fastest)
    return y


def prefill_groups(results):
    prefills = [result for result in results if result["test"] == "prefill"]
    kinds = in_order((result["weights"], result["tokens"]) for result in prefills)
    return [
        (
            [*FORMATS[weights], f"{tokens:,} tokens"],
            [r for r in prefills if (r["weights"], r["tokens"]) == (weights, tokens)],
        )
        for weights, tokens in kinds
    ]


def decode_groups(results):
    decodes = [result for result in results if result["test"] == "decode" and not result["depth"]]
    return [
        (FORMATS[weights], [result for result in decodes if result["weights"] == weights])
        for weights in in_order(result["weights"] for result in decodes)
    ]


def speed_plot(record):
    results = record["results"]
    styles = styles_of(results)
    svg = Svg("Tokens per second by engine and weight format")
    roofline = "The roofline is what the machine's measured limits would allow Fathom."
    draw_heading(svg, svg.title, f"One sequence. {roofline}")
    y = draw_speeds(svg, 82, "Prompt, tok/s", prefill_groups(results), styles)
    y = draw_speeds(svg, y, "Decode, tok/s", decode_groups(results), styles)
    draw_footer(svg, record, y + 8)
    return svg.document(y + 28)


# --- depth

PANEL_TOP, PANEL_HEIGHT, PANEL_GAP = 122, 240, 20
LABELS_WIDTH, LABEL_HEIGHT = 138, 36
AXIS_WIDTH = 40


class Panel:
    """Where a depth and a share are on the page."""

    def __init__(self, left, right, deepest, most):
        self.left, self.right, self.deepest = left, right, deepest
        self.step = 0.25 * math.ceil(most / 1.5)  # of the horizontal lines
        self.lines = math.ceil(most / self.step)

    def x(self, depth):
        return self.left + (self.right - self.left) * depth / self.deepest

    def y(self, share):
        return PANEL_TOP + PANEL_HEIGHT * (1 - share / (self.lines * self.step))


def draw_axes(svg, panel, depths):
    for i in range(panel.lines + 1):
        share = i * panel.step
        y = panel.y(share)
        svg.line(panel.left, y, panel.right, y)
        svg.text(panel.left - 12, y + 4, f"{share:.0%}", size=12, fill=FAINT, text_anchor="end")
    for depth in depths:
        svg.text(
            panel.x(depth),
            PANEL_TOP + PANEL_HEIGHT + 20,
            f"{depth:,}",
            size=12,
            fill=FAINT,
            text_anchor="middle",
        )
    svg.text(
        (panel.left + panel.right) / 2,
        PANEL_TOP + PANEL_HEIGHT + 40,
        "tokens in the cache",
        size=12,
        fill=FAINT,
        text_anchor="middle",
    )


def draw_marker(svg, x, y, style):
    points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in style.marker)
    svg.add("polygon", points=points, fill=style.colour)


def spread(positions, distance, last):
    """Rising positions moved until no two are nearer than `distance` and none is behind `last`."""
    placed = list(positions)
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + distance)
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], last - distance * (len(placed) - 1 - i))
    return placed


def draw_line(svg, panel, points, style):
    places = [(panel.x(depth), panel.y(share)) for depth, share in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    svg.add("polyline", points=path, fill="none", stroke=style.colour, stroke_width=2.5)
    for x, y in places:
        draw_marker(svg, x, y, style)


def draw_end_labels(svg, panel, speeds, styles):
    """Each engine's name and speeds beside the end of its line."""
    ends = sorted(
        (panel.y(points[-1][1] / points[0][1]), engine) for engine, points in speeds.items()
    )
    places = spread([y for y, _ in ends], LABEL_HEIGHT, PANEL_TOP + PANEL_HEIGHT - 12)
    for (y, engine), place in zip(ends, places):
        first, last = speeds[engine][0][1], speeds[engine][-1][1]
        left = panel.right + 25
        svg.line(panel.right + 8, y, panel.right + 20, place, styles[engine].colour, 1.5)
        svg.text(left, place + 4, f"{escape(engine)} {last / first:.0%}", size=12, font_weight=600)
        svg.text(left, place + 19, f"{number(first)} to {number(last)} tok/s", size=11, fill=FAINT)


def speeds_by_engine(decodes):
    """Engine -> [(depth, tok/s)], the empty cache first."""
    return {
        engine: [
            (result["depth"], result["tok_s"]) for result in decodes if result["engine"] == engine
        ]
        for engine in sorted({result["engine"] for result in decodes})
    }


def draw_depths(svg, panel, name, speeds, styles):
    svg.text(panel.left, PANEL_TOP - 18, name, size=14, font_weight=600)
    draw_axes(svg, panel, sorted({depth for points in speeds.values() for depth, _ in points}))
    for engine, points in speeds.items():
        empty = points[0][1]
        draw_line(svg, panel, [(depth, speed / empty) for depth, speed in points], styles[engine])
    draw_end_labels(svg, panel, speeds, styles)


def depth_plot(record):
    decodes = [result for result in record["results"] if result["test"] == "decode"]
    decodes.sort(key=lambda result: result["depth"])
    deepest = decodes[-1]["depth"]
    if deepest == 0:
        raise SystemExit("plot: expected decoding at several depths, got only 0")
    styles = styles_of(decodes)
    by_format = {
        weights: speeds_by_engine([result for result in decodes if result["weights"] == weights])
        for weights in in_order(result["weights"] for result in decodes)
    }
    most = max(
        speed / points[0][1]
        for speeds in by_format.values()
        for points in speeds.values()
        for _, speed in points
    )
    svg = Svg("Decoding speed behind a filled cache")
    draw_heading(svg, svg.title, "As a share of the speed with an empty cache; one sequence.")
    width = (WIDTH - 2 * MARGIN - PANEL_GAP * (len(by_format) - 1)) / len(by_format)
    for i, (weights, speeds) in enumerate(by_format.items()):
        left = MARGIN + i * (width + PANEL_GAP)
        panel = Panel(left + AXIS_WIDTH, left + width - LABELS_WIDTH, deepest, most)
        draw_depths(svg, panel, FORMATS[weights][0], speeds, styles)
    bottom = PANEL_TOP + PANEL_HEIGHT + 76
    draw_footer(svg, record, bottom)
    return svg.document(bottom + 20)


PLOTS = {"speed": speed_plot, "depth": depth_plot}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("plot", choices=PLOTS)
    parser.add_argument("results", help="what compare.mjs --json wrote")
    parser.add_argument("out", help="the SVG file to write")
    args = parser.parse_args()
    with open(args.results, encoding="utf-8") as file:
        drawing = PLOTS[args.plot](json.load(file))
    with open(args.out, "w", encoding="utf-8") as file:
        file.write(drawing)


if __name__ == "__main__":
    main()
