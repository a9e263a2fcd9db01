"""What became of a source's rows, for people: counted by reason, with examples, and all of it in a file.

print("\\n".join(tell_left_out([LeftOut("line 3", "no 'mask'")])))
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from segzero.data.dataset import DATA_FILE, LEFT_OUT_FILE, REMARKS_FILE, LeftOut, Remark
from segzero.pictures import plural, write_whole

_SHOWN, _REASONS = 3, 20  # examples of a reason, and reasons, in the report
_LONG = 240  # characters of an example: what it quotes comes from anywhere


@dataclass
class Summary:
    """What became of a source's rows."""

    folder: Path
    written: int = 0
    pictures: int = 0
    refused: list[LeftOut] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    def report(self) -> str:
        """Lines for people: what was written, and each reason for leaving something out or for a remark."""
        what = f"{plural(self.written, 'question')} about {plural(self.pictures, 'picture')}"
        where = self.folder / DATA_FILE if self.written else f"nothing was written, {self.folder} is free"
        lines = [f"{what}: {where}", *tell_left_out(self.refused, self.folder / LEFT_OUT_FILE)]
        if self.remarks:
            lines.append(f"{len(self.remarks)} used after a change, each in {self.folder / REMARKS_FILE}:")
        return "\n".join(lines + _by_reason(self.remarks))

    def write(self) -> None:
        """The files of what was left out and of remarks, in the folder of the data."""
        write_left_out(self.folder / LEFT_OUT_FILE, self.refused)
        write_left_out(self.folder / REMARKS_FILE, self.remarks)


def tell_left_out(refused: Sequence[LeftOut], path: Path | None = None) -> list[str]:
    """Lines that count what was left out, by reason, with examples; path: where all of it stands."""
    if not refused:
        return ["nothing was left out"]
    first = f"{len(refused)} left out" + (f", each with its reason in {path}:" if path else ":")
    return [first, *_by_reason(refused)]


def write_left_out(path: Path, rows: Sequence[LeftOut | Remark]) -> None:
    """All of what was left out, a line each; no file when that is nothing."""
    if not rows:
        path.unlink(missing_ok=True)
        return
    write_whole(path, "".join(json.dumps(asdict(each)) + "\n" for each in rows))


def _by_reason(rows: Sequence[LeftOut | Remark]) -> list[str]:
    """A line for each reason, the most frequent first."""
    found: dict[str, list[LeftOut | Remark]] = defaultdict(list)
    for each in rows:
        found[each.reason].append(each)
    ordered = sorted(found.items(), key=lambda group: -len(group[1]))
    lines = []
    for reason, group in ordered[:_REASONS]:
        shown = [_short(f"{each.where}{each.detail and f' ({each.detail})'}") for each in group[:_SHOWN]]
        more = " …" if len(group) > _SHOWN else ""
        lines.append(f"  {len(group)} x {_short(reason)}: {'; '.join(shown)}{more}")
    if len(ordered) > _REASONS:
        lines.append(f"  and {plural(len(ordered) - _REASONS, 'reason')} more")
    return lines


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONG else text[: _LONG - 1] + "…"
