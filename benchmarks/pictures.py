"""README's pictures, drawn from what the three demos said: `python -m benchmarks.pictures`."""

import argparse
import json
import subprocess
import tempfile
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.server import REGRAFT, environment

DEMOS = {"text": "demo-tweets", "image": "demo-stamps", "speech": "demo-tones"}
WIDTH, LEFT, ROW = 720, 190, 30
INK, QUIET, OURS, THEIRS = "#1f2328", "#656d76", "#0969da", "#afb8c1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=None, help="Kept and reused if given.")
    parser.add_argument("--into", type=Path, default=Path("docs/pictures"))
    given = parser.parse_args()
    given.into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rg") as folder:
        root = Path(folder)
        env = environment(given.home or root / "home", root / "ray")
        for kind, name in DEMOS.items():
            version = run(env, kind, name)
            draw = {"image": confusion, "speech": layers}.get(kind, lambda report: [])
            bars = accuracies(version)
            (given.into / f"{kind}.svg").write_text(picture([*bars, *draw(version["report"])]))


def run(env: dict[str, str], kind: str, name: str) -> dict[str, Any]:
    """The version that the demo publishes, with its report."""
    for words in (("demo", kind, "--exit"), ("models", "show", name)):
        command = [*REGRAFT, *words, "--json"]
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


Part = tuple[int, str]
"""The height of a part of a picture, and its SVG with 0 as its top."""


def accuracies(version: dict[str, Any]) -> list[Part]:
    """A bar for the majority class, for the simple baseline, and for the adapted model."""
    gain, metric = version["gain"], version["primary_metric"]
    figures = {
        "majority class": version["baselines"]["majority"],
        "simple baseline": version["baselines"]["simple"],
        f"{version['source']}": version["metrics"][metric],
    }
    title = (
        f"{version['name'].removeprefix('demo-')}: {metric} on {version['rows']['test']} held-out "
        f"rows, {100 * gain['value']:+.1f} points (95 % interval {100 * gain['low']:+.1f} to "
        f"{100 * gain['high']:+.1f})"
    )
    bars = [bar(name, value, f"{value:.3f}", 1.0) for name, value in figures.items()]
    return [heading(title), *bars]


def layers(report: dict[str, Any]) -> list[Part]:
    """The loss of each candidate, by which the layer was chosen."""
    losses = {name: loss for name, loss in report["choice"]["losses"].items() if "std" not in name}
    rows = report["rows"]["train"]
    title = f"where the backbone ends: out-of-fold loss on {rows} training rows (less is better)"
    most = max(losses.values())
    bars = [bar(name, losses[name], f"{losses[name]:.2f}", most) for name in sorted(losses)]
    return [heading(title), *bars]


def confusion(report: dict[str, Any]) -> list[Part]:
    """Rows are the true classes, columns what was told."""
    labels, counts, side = report["labels"], report["metrics"]["confusion"], 26
    cells = []
    for row, line in enumerate(counts):
        cells.append(text(LEFT - 10, row * side + 18, labels[row], "end"))
        for column, count in enumerate(line):
            strength = count / max(1, sum(line))
            colour = OURS if row == column else "#d1242f"
            left, top = LEFT + column * side, row * side
            cells.append(
                f'<rect x="{left}" y="{top}" width="{side - 2}" height="{side - 2}" rx="3" '
                f'fill="{colour}" fill-opacity="{0.06 + 0.94 * strength:.2f}"/>'
            )
            if count:
                ink = "white" if strength > 0.5 else INK
                cells.append(text(left + side / 2 - 1, top + 17, str(count), "middle", ink))
    title = heading("true classes down, told classes across, in the same order")
    return [title, (len(labels) * side + 10, "".join(cells))]


def heading(title: str) -> Part:
    return 36, text(14, 24, title, "start", INK, 'font-weight="600"')


def bar(name: str, value: float, shown: str, most: float) -> Part:
    """A row with a name, a bar, and its figure."""
    colour = THEIRS if name in ("majority class", "simple baseline") else OURS
    width = (WIDTH - LEFT - 80) * value / most
    rect = f'<rect x="{LEFT}" y="5" width="{width:.1f}" height="20" rx="3" fill="{colour}"/>'
    return ROW, text(LEFT - 10, 20, name, "end") + rect + text(LEFT + width + 8, 20, shown)


def text(
    x: float, y: float, words: str, anchor: str = "start", colour: str = QUIET, more: str = ""
) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" {more}'
    return f"<text {place}>{escape(words)}</text>"


def picture(parts: list[Part]) -> str:
    """The parts below each other on white."""
    tops = [sum(height for height, _ in parts[:n]) for n in range(len(parts))]
    body = "\n".join(
        f'<g transform="translate(0 {top + 6})">{svg}</g>'
        for top, (_, svg) in zip(tops, parts, strict=True)
    )
    height = sum(height for height, _ in parts) + 20
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" font-size="14">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    main()
