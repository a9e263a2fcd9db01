"""A page to look at every sample of an evaluation, the worst first: static HTML and pictures beside it.

    python -m segzero evaluate --data data/mine --report out/           # then open out/index.html

Green is found, orange marked wrongly, blue missed, grey ignored; a pointer on a picture shows it without.
The page asks no server for anything. Every text on it, a model's or a person's, is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from segzero.contract import MULTI, Frame, parse_answer
from segzero.data import LoadedSample, Sample, load_sample
from segzero.evaluation.aggregate import format_percent
from segzero.evaluation.record import Record
from segzero.pictures import decode_rle, plural, write_whole

SIDE_PX = 640  # of a picture on the page
FOUND, WRONG, MISSED, IGNORED = (0, 158, 115), (230, 100, 0), (60, 150, 230), (187, 187, 187)
_OPACITY = 115  # of 255, inside an outline that has all of it
_BINS = 10
_TILES = ("gIoU", "cIoU", "P@0.5", "box@0.5", "T-acc", "N-acc")
_PAGE = Path(__file__).parent / "html_report.html"


def write_report(
    folder: Path, records: Sequence[Record], samples: Sequence[Sample], totals: dict[str, Any]
) -> Path:
    """Write folder/index.html and folder/images, under a progress bar. Returns the page's path.

    records: of these samples, in any order; those that were left out come last, without a picture.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    by_id = {sample.id: sample for sample in samples}
    ordered = sorted(records, key=lambda record: (record.status == "left_out", record.iou))
    articles, pictures = [], {}
    for number, record in enumerate(tqdm(ordered, unit="picture", desc="report")):
        images = []
        if record.status != "left_out":
            loaded = load_sample(by_id[record.id])
            if record.picture not in pictures:
                pictures[record.picture] = f"images/{number:05d}.jpg"
                shown = loaded.picture.resize(small_wh(loaded.picture.size), Image.Resampling.LANCZOS)
                shown.save(folder / pictures[record.picture], quality=88)
            images = [pictures[record.picture], f"images/{number:05d}.png"]
            marks(loaded, record).save(folder / images[1])
        articles.append(_article(record, images))
    page = Template(_PAGE.read_text(encoding="utf-8"))
    path = folder / "index.html"
    write_whole(
        path,
        page.substitute(
            title=escape(str(totals.get("settings", {}).get("data", "Evaluation"))),
            about=_about(totals),
            tiles=_tiles(totals["protocols"]["strict"]),
            panels="\n".join(_panels(totals, records)),
            statuses=_options(record.status for record in records),
            kinds=_options(record.kind for record in records),
            articles="\n".join(articles),
        ),
    )
    return path


def small_wh(wh: tuple[int, int]) -> tuple[int, int]:
    """The size of a picture on the page: at most SIDE_PX wide and high."""
    scale = min(1.0, SIDE_PX / max(wh))
    return max(1, round(wh[0] * scale)), max(1, round(wh[1] * scale))


def marks(loaded: LoadedSample, record: Record) -> Image.Image:
    """What lies over the picture: prediction and truth, boxes and points; RGBA of small_wh."""
    wh = small_wh(loaded.picture.size)
    predicted, truth = _shrunk(decode_rle(record.mask), wh), _shrunk(loaded.truth, wh)
    regions = [(predicted & truth, FOUND), (predicted & ~truth, WRONG), (truth & ~predicted, MISSED)]
    if loaded.ignore is not None:
        regions.append((_shrunk(loaded.ignore, wh), IGNORED))
    pixels = np.zeros((wh[1], wh[0], 4), np.uint8)
    for region, color in regions:
        inner = cv2.erode(region.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0).astype(bool)
        pixels[region] = (*color, 255)
        pixels[inner, 3] = _OPACITY
    painted = Image.fromarray(pixels)
    pen, scale = ImageDraw.Draw(painted), wh[0] / loaded.picture.width
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


def _article(record: Record, images: Sequence[str]) -> str:
    """One sample as HTML. images: the picture's and the marks' files, or none."""
    iou = "left out" if record.status == "left_out" else f"IoU {100 * record.iou:.1f}"
    facts = [iou, record.status.replace("_", " ") if images else "", record.kind, _seconds(record), record.id]
    if record.overlap is not None:
        pixels = record.overlap
        facts.append(f"{pixels.intersection:,} of {pixels.union:,} pixels")
    if record.confidence is not None:
        facts.append(f"agreement {record.confidence:.2f} of {len(record.answers)} answers")
    if names := ", ".join(target["label"] for target in record.targets if target.get("label")):
        facts.append(names)
    shown = "".join(f"<li>{escape(fact)}</li>" for fact in facts if fact)
    picture = ""
    if images:
        plain, over = map(escape, images)
        about = escape(f"prediction and truth for: {record.question}")
        picture = (
            f'<figure><img loading="lazy" src="{plain}" alt="">'
            f'<img class="marks" loading="lazy" src="{over}" alt="{about}"></figure>'
            f'<span class="iou"><i style="width:{100 * record.iou:.1f}%"></i></span>'
        )
    thought = parse_answer(record.raw, MULTI, Frame(frame_px=1), (1, 1)).thinking
    problem = f'<p class="problem">{escape(record.problem)}</p>' if record.problem else ""
    wrote = [record.raw] if len(record.answers) < 2 else record.answers
    raw = "".join(f"<pre>{escape(text)}</pre>" for text in wrote if text)
    return (
        f'<article data-status="{escape(record.status)}" data-kind="{escape(record.kind)}">{picture}'
        f"<div><h2>{escape(record.question)}</h2><ul>{shown}</ul>{problem}"
        + (f'<p class="thought">{escape(thought)}</p>' if thought else "")
        + (f"<details><summary>all it wrote</summary>{raw}</details>" if raw else "")
        + "</div></article>"
    )


def _seconds(record: Record) -> str:
    return f"{sum(record.seconds.values()):.2f} s" if record.seconds else ""


def _about(totals: dict[str, Any]) -> str:
    """What was asked of whom, and how it went."""
    settings = totals.get("settings", {})
    models = [str(settings[name]) for name in ("preset", "reasoner", "segmenter") if settings.get(name)]
    asked = f"{plural(totals['questions'], 'question')} about {plural(totals['pictures'], 'picture')}"
    statuses = [f"{number} {name.replace('_', ' ')}" for name, number in totals["statuses"].items()]
    return escape(" · ".join([*models, asked, *statuses]))


def _tiles(metrics: dict[str, Any]) -> str:
    tiles = []
    for name in _TILES:
        value, _, interval = format_percent(metrics[name]).partition(" ")
        inside = f'<span class="quiet">{name}</span><b>{value}</b><small>{interval}</small>'
        tiles.append(f'<div class="tile">{inside}</div>')
    return "".join(tiles)


def _panels(totals: dict[str, Any], records: Sequence[Record]) -> list[str]:
    """Tables of all protocols, of kinds, of rules of voting, and how IoU is spread; those there are."""
    panels = [_panel("By protocol", "wide", _protocols(totals["protocols"]))]
    ious = [record.iou for record in records if record.status != "left_out"]
    heights = np.histogram(ious, _BINS, (0, 1))[0]
    most = max(int(heights.max()), 1)
    bars = "".join(f'<i style="height:{100 * height / most:.0f}%"></i>' for height in heights)
    told = f"Questions by IoU in tenths: {', '.join(map(str, heights))}"
    panels.append(
        _panel(
            "Questions by IoU",
            "",
            f'<div class="histogram" role="img" aria-label="{told}">{bars}</div>'
            '<small class="ends"><span>0</span><span>50</span><span>100</span></small>',
        )
    )
    rows = [(kind, each["gIoU"]) for kind, each in totals["kinds"].items()]
    if rows:
        panels.append(_panel("gIoU by kind, strict", "", _bars(rows)))
    if "voting" in totals:
        voting = totals["voting"]
        rows = list(voting["gIoU"].items())
        panels.append(_panel(f"gIoU by rule of voting, {voting['answers']} answers", "", _bars(rows)))
    return panels


def _panel(title: str, style: str, inside: str) -> str:
    return f'<section class="panel {style}"><h2>{escape(title)}</h2>{inside}</section>'


def _protocols(protocols: dict[str, Any]) -> str:
    names = list(next(iter(protocols.values())))
    head = "".join(f"<th>{escape(name)}</th>" for name in ["", "n", *names])
    lines = []
    for protocol, metrics in protocols.items():
        cells = [escape(protocol), str(metrics["gIoU"]["count"])]
        for name in names:
            value, _, interval = format_percent(metrics[name]).partition(" ")
            cells.append(f"{value}<small>{interval}</small>")
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return _scrolling(f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>")


def _bars(rows: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Names with their gIoU, as numbers and as bars."""
    lines = []
    for name, estimate in rows:
        part = 100 * (estimate["value"] or 0)
        lines.append(
            f"<tr><td>{escape(name)}</td><td>{estimate['count']}</td><td>{format_percent(estimate)}</td>"
            f'<td><span class="bar"><i style="width:{part:.1f}%"></i></span></td></tr>'
        )
    return _scrolling(f"<tbody>{''.join(lines)}</tbody>")


def _scrolling(rows: str) -> str:
    """A table that may be wider than its panel; with a keyboard it can be scrolled as well."""
    return f'<div class="scroll" tabindex="0"><table>{rows}</table></div>'


def _options(values) -> str:
    found = sorted({value for value in values if value})
    return "".join(
        f'<option value="{escape(each)}">{escape(each.replace("_", " "))}</option>' for each in found
    )
