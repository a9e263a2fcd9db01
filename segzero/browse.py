"""A page to look at every sample of an evaluation, the worst first: static HTML and pictures beside it.

    python -m segzero evaluate --data data/mine --report out/           # then open out/index.html

Green is found, orange marked wrongly, blue missed, grey ignored. The page asks no server for anything. Every
text on it, a model's or a person's, is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from segzero.answer import MULTI, parse_answer
from segzero.dataset import Loaded, Sample, load
from segzero.masks import decode_rle
from segzero.record import Record
from segzero.totals import percent

SIDE_PX = 640  # of a picture on the page
FOUND, WRONG, MISSED, IGNORED = (0, 158, 115), (230, 100, 0), (60, 150, 230), (128, 128, 128)
_OPACITY = 0.55
_PAGE = Path(__file__).parent / "browse.html"


def write_report(
    folder: Path, records: Sequence[Record], samples: Sequence[Sample], totals: dict[str, Any]
) -> Path:
    """Write folder/index.html and folder/images, under a progress bar. Returns the page's path.

    records: of these samples, in any order; those that were left out come last, without a picture.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    by_id = {sample.id: sample for sample in samples}
    ordered = sorted(records, key=lambda record: (record.status == "left_out", record.iou))
    articles = []
    for number, record in enumerate(tqdm(ordered, unit="picture", desc="report")):
        image = None
        if record.status != "left_out":
            image = f"images/{number:05d}.jpg"
            paint(load(by_id[record.id]), record).save(folder / image, quality=85)
        articles.append(_article(record, image))
    page = Template(_PAGE.read_text(encoding="utf-8"))
    path = folder / "index.html"
    path.write_text(
        page.substitute(
            title=escape(str(totals.get("settings", {}).get("data", "Evaluation"))),
            settings=_settings(totals),
            totals=_table(totals["protocols"]),
            statuses=_options(record.status for record in records),
            kinds=_options(record.kind for record in records),
            articles="\n".join(articles),
        ),
        encoding="utf-8",
    )
    return path


def paint(loaded: Loaded, record: Record) -> Image.Image:
    """The picture, at most SIDE_PX wide and high, with prediction and truth on it, boxes and points."""
    width, height = loaded.picture.size
    scale = min(1.0, SIDE_PX / max(width, height))
    small_wh = max(1, round(width * scale)), max(1, round(height * scale))
    pixels = np.asarray(loaded.picture.resize(small_wh, Image.Resampling.BILINEAR)).astype(np.float32)
    predicted, truth = _shrunk(decode_rle(record.mask), small_wh), _shrunk(loaded.truth, small_wh)
    regions = [(predicted & truth, FOUND), (predicted & ~truth, WRONG), (truth & ~predicted, MISSED)]
    if loaded.ignore is not None:
        regions.append((_shrunk(loaded.ignore, small_wh), IGNORED))
    for region, color in regions:
        pixels[region] += _OPACITY * (np.array(color, np.float32) - pixels[region])
    painted = Image.fromarray(pixels.round().astype(np.uint8))
    pen = ImageDraw.Draw(painted)
    for target in record.targets:
        x1, y1, x2, y2 = (value * scale for value in target["box_xyxy"])
        x2, y2 = max(x1, x2 - 1), max(y1, y2 - 1)
        pen.rectangle((x1 - 1, y1 - 1, x2 + 1, y2 + 1), outline="black", width=4)
        pen.rectangle((x1, y1, x2, y2), outline="white", width=2)
        for x, y in target["points_xy"]:
            pen.circle((x * scale, y * scale), 4, fill="white", outline="black")
    return painted


def _shrunk(mask: np.ndarray, wh: tuple[int, int]) -> np.ndarray:
    """(H, W) bool -> (h, w) bool."""
    return np.asarray(Image.fromarray(mask).resize(wh, Image.Resampling.NEAREST))


def _article(record: Record, image: str | None) -> str:
    """One sample as HTML."""
    iou = "" if record.status == "left_out" else f"IoU {100 * record.iou:.1f}"
    facts = [iou, record.status.replace("_", " "), record.kind, record.id, _seconds(record)]
    if record.overlap is not None:
        pixels = record.overlap
        facts.append(f"{pixels.intersection:,} of {pixels.union:,} pixels")
    if record.confidence is not None:
        facts.append(f"agreement {record.confidence:.2f} of {len(record.answers)} answers")
    shown = "".join(f"<li>{escape(fact)}</li>" for fact in facts if fact)
    picture = ""
    if image:
        about = f"prediction and truth for: {record.question}"
        picture = f'<img loading="lazy" src="{escape(image)}" alt="{escape(about)}">'
    thought = parse_answer(record.raw, MULTI, (1, 1), (1, 1)).thinking
    problem = f'<p class="problem">{escape(record.problem)}</p>' if record.problem else ""
    raw = (
        f"<details><summary>All it wrote</summary><pre>{escape(record.raw)}</pre></details>"
        if record.raw
        else ""
    )
    return (
        f'<article data-status="{escape(record.status)}" data-kind="{escape(record.kind)}">{picture}'
        f"<div><h2>{escape(record.question)}</h2><ul>{shown}</ul>{problem}"
        f'<p class="thought">{escape(thought)}</p>{raw}</div></article>'
    )


def _seconds(record: Record) -> str:
    return f"{sum(record.seconds.values()):.2f} s" if record.seconds else ""


def _settings(totals: dict[str, Any]) -> str:
    given = {name: value for name, value in totals.get("settings", {}).items() if value is not None}
    shown = [f"{name.replace('_', ' ')}: {value}" for name, value in given.items()]
    shown.append(f"{totals['questions']} questions about {totals['pictures']} pictures")
    return escape(" · ".join(shown))


def _table(protocols: dict[str, Any]) -> str:
    names = list(next(iter(protocols.values())))
    head = "".join(f"<th>{escape(name)}</th>" for name in ["protocol", "n", *names])
    lines = []
    for protocol, metrics in protocols.items():
        cells = [protocol, str(metrics["gIoU"]["count"]), *(percent(metrics[name]) for name in names)]
        lines.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    return f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"


def _options(values) -> str:
    found = sorted({value for value in values if value})
    return "".join(
        f'<option value="{escape(each)}">{escape(each.replace("_", " "))}</option>' for each in found
    )
