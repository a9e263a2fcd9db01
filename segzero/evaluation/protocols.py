"""Protocols: what published evaluations do where they disagree, as values, over the same answers.

    counted = [count_under(record, STRICT) for record in records]
    measure(counted)["gIoU"]

docs/evaluation.md has them in a table and says where each comes from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from segzero.evaluation.metrics import Counted, Overlap
from segzero.evaluation.record import Record

Failure = Literal["empty", "wrong", "drop"]


@dataclass(frozen=True)
class Protocol:
    """How samples are counted.

    unreadable, segmenter_error: what becomes of an answer that failed in that way: "empty", as an empty mask;
        "wrong", as an empty mask that is no answer, so that it is wrong even where nothing was to be found;
        "drop", not at all.
    no_target: an answer that says that nothing matches is an "empty" mask, or "wrong" as a failed one is.
    both_empty: the IoU of an empty mask where nothing is to be found; None: the sample is dropped.
    ignore: regions that people could not decide on are "excluded" from all counts, or "foreground", part of
        the truth.
    texts: of several wordings that an annotation lists, ask "each" or the "first".
    expressions: of several people's expressions for one object, ask "each" or the "first".
    """

    name: str
    unreadable: Failure
    segmenter_error: Failure
    no_target: Literal["empty", "wrong"]
    both_empty: float | None
    ignore: Literal["excluded", "foreground"]
    texts: Literal["each", "first"]
    expressions: Literal["each", "first"]
    about: str


LISA = Protocol(
    name="lisa",
    unreadable="empty",
    segmenter_error="empty",
    no_target="empty",
    both_empty=1.0,
    ignore="excluded",
    texts="first",
    expressions="each",
    about="LISA, who made ReasonSeg",
)

SEG_ZERO = Protocol(
    name="seg_zero",
    unreadable="wrong",
    segmenter_error="wrong",
    no_target="wrong",  # its parser cannot read an empty list
    both_empty=None,
    ignore="foreground",
    texts="first",
    expressions="first",
    about="Seg-Zero, first release",
)

VISION_REASONER = Protocol(
    name="vision_reasoner",
    unreadable="wrong",
    segmenter_error="drop",
    no_target="empty",
    both_empty=None,
    ignore="foreground",
    texts="first",
    expressions="first",
    about="VisionReasoner, Seg-Zero's successor",
)

STRICT = Protocol(
    name="strict",
    unreadable="wrong",
    segmenter_error="wrong",
    no_target="empty",
    both_empty=1.0,
    ignore="excluded",
    texts="each",
    expressions="each",
    about="ours: every sample counts, and a failure is never right",
)

PROTOCOLS = {protocol.name: protocol for protocol in (STRICT, LISA, SEG_ZERO, VISION_REASONER)}


def count_under(record: Record, protocol: Protocol) -> Counted | None:
    """What a record adds under a protocol; None when it is dropped, or was left out for bad data."""
    if record.overlap is None:
        return None
    if (record.text and protocol.texts == "first") or (record.expression and protocol.expressions == "first"):
        return None
    treatment = {
        "unreadable": protocol.unreadable,
        "segmenter_error": protocol.segmenter_error,
        "no_target": protocol.no_target,
    }.get(record.status)
    if treatment == "drop":
        return None
    pixels = record.overlap
    if protocol.ignore == "foreground" and record.foreground is not None:
        pixels = record.foreground
    return _counted(pixels, protocol, wrong=treatment == "wrong", box_iou=record.box_iou)


def _counted(pixels: Overlap, protocol: Protocol, *, wrong: bool, box_iou: float | None) -> Counted | None:
    if pixels.union:
        iou = pixels.intersection / pixels.union
    elif wrong:
        iou = 0.0
    elif protocol.both_empty is None:
        return None
    else:
        iou = protocol.both_empty
    return Counted(
        iou=iou,
        intersection=pixels.intersection,
        union=pixels.union,
        has_target=pixels.truth > 0,
        found=pixels.predicted > 0,
        says_none=pixels.predicted == 0 and not wrong,
        box_iou=box_iou,
    )
