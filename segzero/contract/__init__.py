"""How a question is put and an answer read: one contract for the page, the evaluation and training.

    from segzero.contract import MULTI, parse_answer
    parse_answer(text, MULTI, Frame(frame_px=840), image_wh=(640, 480)).targets

The lowest room: it knows no model, not even torch, and imports nothing else of the program. Everybody may
import it.
"""

from segzero.contract.answer import STOP, Answer, AnswerStream, parse_answer
from segzero.contract.dialect import DIALECTS, MULTI, SINGLE, STAR, Dialect
from segzero.contract.frame import Frame, FrameError
from segzero.contract.geometry import (
    Box,
    Point,
    Target,
    box_iou,
    clip_box,
    clip_point,
    inside,
    mask_to_box,
    mask_to_points,
    scale_target,
)
from segzero.contract.presets import MINI, PRESETS, SEG_ZERO_7B, Preset, PresetError, preset_for_folder
from segzero.contract.question import QuestionError, check_question, spell_out
from segzero.contract.result import STOPPED, Event, Finished, Located, Result, Segmented, Thinking

__all__ = [
    "Answer",
    "AnswerStream",
    "Box",
    "DIALECTS",
    "Dialect",
    "Event",
    "Finished",
    "Frame",
    "FrameError",
    "Located",
    "MINI",
    "MULTI",
    "PRESETS",
    "Point",
    "Preset",
    "PresetError",
    "QuestionError",
    "Result",
    "STAR",
    "STOPPED",
    "SEG_ZERO_7B",
    "SINGLE",
    "STOP",
    "Segmented",
    "Target",
    "Thinking",
    "box_iou",
    "check_question",
    "clip_box",
    "clip_point",
    "inside",
    "mask_to_box",
    "mask_to_points",
    "parse_answer",
    "preset_for_folder",
    "scale_target",
    "spell_out",
]
