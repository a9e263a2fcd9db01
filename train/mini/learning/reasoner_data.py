"""Scenes and questions turned into the tensors that train the mini reasoner.

    batch = collate(Encoder(processor, frame_px=280), scenes, questions)

Everything about the answer's form comes from segzero: the prompt, the answer's text and the frame are the
ones that the app, the evaluation and the GRPO trainer use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from segzero.contract import MULTI, Frame, Target
from train.mini.language import Question, name_forms
from train.mini.learning.model import CELL_PX, Packed
from train.mini.world import Scene

IGNORE = -100
COVERED = 0.3  # a cell belongs to an object that covers this share of it


@dataclass(frozen=True)
class Batch:
    """B pictures with their questions.

    frames: (B, 3, S, S) uint8.  labels: (B, L) next-token targets, IGNORE where none.
    cell_concept: (B, cells) 0 nothing, 1 + concept, IGNORE where mixed.
    cell_box: (B, cells, 4) xyxy frame pixels.
    look_row, look_at: (K,) the tokens that must look at the picture; look_cells: (K, cells) bool, where.
    """

    frames: Tensor
    packed: Packed
    labels: Tensor
    cell_concept: Tensor
    cell_box: Tensor
    look_row: Tensor
    look_at: Tensor
    look_cells: Tensor


class Encoder:
    """Turns (scene, questions) into ids, positions, labels and the cells each token should look at."""

    def __init__(self, processor, frame_px: int):
        self.tokenizer = processor.tokenizer
        self.frame_px = frame_px
        self.side = frame_px // CELL_PX
        self.concept_of = {self._id(" " + form): concept for form, concept in name_forms().items()}
        self.concepts = sorted(set(self.concept_of.values()))
        self.box_openers = {self._id('[{"bbox_2d": ['), self._id(']}, {"bbox_2d": [')}
        message = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "\x00"}]}]
        chat = processor.apply_chat_template(message, add_generation_prompt=True, tokenize=False)
        head, self.tail = chat.split("\x00")
        head = head.replace("<|image_pad|>", "<|image_pad|>" * self.side**2)
        self.head_ids = self.tokenizer(head)["input_ids"]
        self.first_cell = self.head_ids.index(self._id("<|image_pad|>"))

    def head_positions(self) -> np.ndarray:
        """(3, P) mRoPE positions of the prefix: text counts up, a cell has its row and column."""
        before, cells = self.first_cell, self.side**2
        position = np.empty((3, len(self.head_ids)), np.int64)
        position[:, :before] = np.arange(before)
        position[0, before : before + cells] = before
        position[1, before : before + cells] = before + np.arange(cells) // self.side
        position[2, before : before + cells] = before + np.arange(cells) % self.side
        after = len(self.head_ids) - before - cells
        position[:, before + cells :] = before + self.side + np.arange(after)
        return position

    def branch(self, scene: Scene, question: Question, boxes: np.ndarray, points: np.ndarray):
        """One question and its answer -> (ids, labels, looks); looks are (position, scene objects) pairs."""
        prompt = MULTI.prompt(question.text) + self.tail
        targets = [Target(tuple(boxes[i].tolist()), (tuple(points[i].tolist()),)) for i in question.targets]
        answer = f"<think>{question.thought}</think><answer>{MULTI.write(targets)}</answer><|im_end|>"
        asked = self.tokenizer(prompt)["input_ids"]
        said = self.tokenizer(answer)["input_ids"]
        labels = [IGNORE] * (len(asked) - 1) + said + [IGNORE]
        return asked + said, labels, self._looks(scene, question, asked, said)

    def _looks(self, scene: Scene, question: Question, asked: list[int], said: list[int]):
        looks, opened, left = [], 0, list(question.listed)
        for index, token in enumerate(said):
            position = len(asked) + index
            if token in self.box_openers and opened < len(question.targets):
                looks.append((position, [question.targets[opened]]))
                opened += 1
            elif left and self.concept_of.get(token) == scene.objects[left[0]].concept:
                one = [left.pop(0)]  # "the cup at 12": what writes "cup" looks there, and what writes "12"
                place = next(at for at in range(index, len(said)) if said[at] < self.frame_px)
                looks += [(position - 1, one), (len(asked) + place - 1, one)]
            elif token in self.concept_of:
                same = [i for i, thing in enumerate(scene.objects) if thing.concept == self.concept_of[token]]
                meant = [i for i in same if i in question.targets] or same
                if meant:
                    looks.append((position - 1, meant))
        return looks

    def cells(self, scene: Scene) -> np.ndarray:
        """(N, cells) float: the share of each cell that each object covers."""
        size = self.side * 4
        if not scene.objects:
            return np.zeros((0, self.side**2), np.float32)
        small = [
            np.asarray(
                Image.fromarray(thing.mask.astype(np.uint8) * 255).resize((size, size), Image.Resampling.BOX)
            )
            for thing in scene.objects
        ]
        share = np.stack(small).astype(np.float32) / 255
        return share.reshape(-1, self.side, 4, self.side, 4).mean((2, 4)).reshape(len(small), -1)

    def in_frame(self, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (N, 4) and points (N, 2) of the scene's objects as integers of the frame."""
        height, width = scene.image.shape[:2]
        factor = np.array([self.frame_px / width, self.frame_px / height])
        boxes = np.array([thing.box_xyxy for thing in scene.objects], float).reshape(-1, 4) * np.tile(
            factor, 2
        )
        points = np.array([thing.point_xy for thing in scene.objects], float).reshape(-1, 2) * factor
        limit = self.frame_px - 1
        return np.rint(boxes).clip(0, limit).astype(int), np.rint(points).clip(0, limit).astype(int)

    def _id(self, text: str) -> int:
        ids = self.tokenizer(text)["input_ids"]
        if len(ids) != 1:
            raise ValueError(
                f"{text!r} is {len(ids)} tokens of the mini's tokenizer; it must be one. Rebuild it."
            )
        return ids[0]


def collate(encoder: Encoder, scenes: Sequence[Scene], questions: Sequence[Sequence[Question]]) -> Batch:
    """Pack scenes with their questions into one Batch."""
    head = len(encoder.head_ids)
    rows, looks, owners = [], [], []
    cell_concept = np.zeros((len(scenes), encoder.side**2), np.int64)
    cell_box = np.zeros((len(scenes), encoder.side**2, 4), np.float32)
    frames = np.empty((len(scenes), encoder.frame_px, encoder.frame_px, 3), np.uint8)
    for row, (scene, asked) in enumerate(zip(scenes, questions, strict=True)):
        frames[row] = np.asarray(Frame(frame_px=encoder.frame_px).show(Image.fromarray(scene.image)))
        boxes, points = encoder.in_frame(scene)
        share = encoder.cells(scene)
        cell_concept[row], cell_box[row] = _dense_targets(encoder, scene, share, boxes)
        branches = [encoder.branch(scene, question, boxes, points) for question in asked]
        rows.append([(ids, labels) for ids, labels, _ in branches])
        start = head
        for ids, _, wanted in branches:
            for position, objects in wanted:
                looks.append((row, start + position))
                owners.append(
                    (share[objects] >= COVERED).any(0) | (share[objects] == share[objects].max()).any(0)
                )
            start += len(ids)
    packed, labels = _pack(encoder, rows)
    look = torch.tensor(looks, dtype=torch.long).reshape(-1, 2)
    cells = (
        torch.from_numpy(np.stack(owners)) if owners else torch.zeros(0, encoder.side**2, dtype=torch.bool)
    )
    return Batch(
        torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous(),
        packed,
        labels,
        torch.from_numpy(cell_concept),
        torch.from_numpy(cell_box),
        look[:, 0],
        look[:, 1],
        cells,
    )


def _dense_targets(encoder: Encoder, scene: Scene, share: np.ndarray, boxes: np.ndarray):
    concept = np.zeros(encoder.side**2, np.int64)
    box = np.zeros((encoder.side**2, 4), np.float32)
    if not scene.objects:
        return concept, box
    owner, most = share.argmax(0), share.max(0)
    which = np.array([encoder.concepts.index(thing.concept) for thing in scene.objects])
    best = share == share.max(1, keepdims=True)  # an object smaller than COVERED still has its best cell
    taken = (most >= COVERED) | best[owner, np.arange(len(owner))] & (most > 0.05)
    concept[taken] = 1 + which[owner[taken]]
    concept[~taken & (most > 0.05)] = IGNORE
    box[taken] = boxes[owner[taken]]
    return concept, box


def _pack(encoder: Encoder, rows) -> tuple[Packed, Tensor]:
    head = len(encoder.head_ids)
    length = head + max((sum(len(ids) for ids, _ in branches) for branches in rows), default=0)
    ids = np.full((len(rows), length), encoder.tokenizer.pad_token_id, np.int64)
    branch = np.full((len(rows), length), -1, np.int64)
    labels = np.full((len(rows), length), IGNORE, np.int64)
    position = np.zeros((3, len(rows), length), np.int64)
    ids[:, :head], branch[:, :head] = encoder.head_ids, 0
    position[:, :, :head] = encoder.head_positions()[:, None]
    first = position[0, 0, head - 1] + 1
    for row, branches in enumerate(rows):
        start = head
        for number, (tokens, wanted) in enumerate(branches, 1):
            end = start + len(tokens)
            ids[row, start:end], labels[row, start:end], branch[row, start:end] = tokens, wanted, number
            position[:, row, start:end] = first + np.arange(len(tokens))
            start = end
    return Packed(
        torch.from_numpy(ids), torch.from_numpy(branch), torch.from_numpy(position)
    ), torch.from_numpy(labels)


def words_only(encoder: Encoder, scenes: Sequence[Scene], questions: Sequence[Sequence[Question]]) -> Batch:
    """Questions and thoughts without their pictures, one a row; nothing after the thought is asked for."""
    end = encoder.tokenizer.convert_tokens_to_ids("</think>")
    rows = []
    for scene, asked in zip(scenes, questions, strict=True):
        boxes, points = encoder.in_frame(scene)
        for question in asked:
            ids, labels, _ = encoder.branch(scene, question, boxes, points)
            length = labels.index(end) + 1
            rows.append((ids[:length], labels[:length]))
    width = max(len(ids) for ids, _ in rows)
    ids = torch.full((len(rows), width), encoder.tokenizer.pad_token_id)
    labels = torch.full((len(rows), width), IGNORE)
    branch = torch.full((len(rows), width), -1)
    for row, (tokens, wanted) in enumerate(rows):
        ids[row, : len(tokens)], labels[row, : len(tokens)] = torch.tensor(tokens), torch.tensor(wanted)
        branch[row, : len(tokens)] = 1
    first = int(encoder.head_positions().max()) + 1
    position = (first + torch.arange(width)).expand(3, len(rows), width)
    nothing = torch.zeros(0, dtype=torch.long)
    return Batch(
        torch.zeros(0, 3, encoder.frame_px, encoder.frame_px, dtype=torch.uint8),
        Packed(ids, branch, position),
        labels,
        torch.zeros(0, encoder.side**2, dtype=torch.long),
        torch.zeros(0, encoder.side**2, 4),
        nothing,
        nothing,
        torch.zeros(0, encoder.side**2, dtype=torch.bool),
    )
