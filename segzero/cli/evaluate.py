"""`python -m segzero evaluate`: answer every question of a data set, and count under every protocol.

python -m segzero evaluate --data Ricky06662/ReasonSeg_val --preset seg-zero-7b
accelerate launch -m segzero evaluate --data data/mine --report out/
python -m segzero evaluate --compare runs/evaluate/a/samples.jsonl runs/evaluate/b/samples.jsonl
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from segzero.cli.ask import KNOWN_ERRORS, fail
from segzero.cli.options import add_model_options, load_pipeline, positive
from segzero.cli.run_settings import RUNS, default_folder, find_data, left_out_before, settings_of
from segzero.data import (
    LEFT_OUT_FILE,
    DatasetError,
    LeftOut,
    Sample,
    find_data_file,
    read_samples,
    tell_left_out,
    write_left_out,
)
from segzero.evaluation import (
    TOTALS,
    Process,
    Record,
    RecordError,
    RunFolder,
    aggregate_records,
    compare_files,
    format_table,
    record_line,
    write_json,
)
from segzero.pictures import printable


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add `evaluate` to the command line."""
    parser = commands.add_parser(
        "evaluate",
        help="measure on a benchmark or your own data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", metavar="DATA", help="a folder or JSONL of the local format, or a Hub id")
    add("--out", type=Path, metavar="FOLDER", help=f"where the run is kept (default: in {RUNS}/)")
    add("--report", type=Path, metavar="FOLDER", help="write a page to look at every sample, the worst first")
    add("--batch", type=positive, metavar="N", help="answers written at a time (default: 16, on a CPU 48)")
    add("--limit", type=positive, metavar="N", help="only the first N questions")
    add("--samples", type=positive, metavar="K", help="draw K - 1 more answers to each question; all vote")
    add(
        "--compare",
        nargs=2,
        type=Path,
        metavar="JSONL",
        help="the paired difference of two runs; asks nothing",
    )
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate or compare; returns the exit code."""
    if not args.compare and not args.data:
        return fail(DatasetError("Name the data with --data, or two runs with --compare."), code=2)
    try:
        if args.compare:
            print(printable(compare_files(*args.compare)))
            return 0
        return evaluate(args, Process.of_environment())
    except (DatasetError, RecordError, *KNOWN_ERRORS) as error:
        return fail(error)


def evaluate(args: argparse.Namespace, process: Process) -> int:
    """Answer what is not answered yet; then the first process counts, prints and writes.

    Raises DatasetError and RecordError, and what loading the models raises.
    """
    path = find_data(args.data, process)
    samples, refused = read_samples(path)
    samples = samples[: args.limit]
    if not samples:
        raise DatasetError(
            "\n".join([f"{path} holds no question that can be asked", *tell_left_out(refused)])
        )
    folder = RunFolder(args.out or default_folder(args, path), settings_of(args, path), process)
    speed = answer_what_is_left(args, folder, samples)
    if process.rank:
        return 0
    records = folder.finish(samples)
    refused += [LeftOut(f"id {r.id}", *_cut(r.problem)) for r in records if r.status == "left_out"]
    totals = {
        "settings": folder.settings,
        "left_out": [asdict(each) for each in refused],
        **aggregate_records(records),
    }
    totals["speed"] = speed
    write_json(folder.folder / TOTALS, totals)
    write_left_out(folder.folder / LEFT_OUT_FILE, refused)
    print(printable(format_table(totals)), "", sep="\n")
    print(printable("\n".join(tell_left_out(refused, folder.folder / LEFT_OUT_FILE))))
    if earlier := left_out_before(path):
        told = find_data_file(path).parent / LEFT_OUT_FILE
        print(f"{earlier} more left out when the data was prepared: {told}")
    if speed:
        of_all = f" by the first of {process.count} processes" if process.count > 1 else ""
        print("{answered} questions in {seconds:.1f} s, {a_second:.2f} a second".format(**speed) + of_all)
    print(f"all of it: {folder.folder}")
    if args.report:
        from segzero.evaluation import write_report  # draws: only who wants a page needs it

        print(f"to look at: {write_report(args.report, records, samples, totals)}")
    return 0


def answer_what_is_left(
    args: argparse.Namespace, folder: RunFolder, samples: Sequence[Sample]
) -> dict | None:
    """Answer this process's share of what has no record yet; loads models only if there is any.

    Returns how many it answered, in how many seconds, loading left out; None when there was nothing to do.
    """
    from segzero.evaluation import Draws, answer_samples, share_cores

    process = folder.process
    share = process.share(samples)
    still_left_out = try_again(folder, samples, share)
    done = {name: record for name, record in folder.records().items() if record.status != "left_out"}
    left = [sample for sample in share if sample.id not in done and sample.id not in still_left_out]
    if not left:
        return None
    if args.device is None:
        args.device = process.device
    at_once = share_cores(args.device)
    pipeline = load_pipeline(args)
    draws = Draws(args.samples) if args.samples else None
    finished = [done[sample.id] for sample in share if sample.id in done]
    bar = tqdm(
        total=len(share),
        initial=len(finished) + len(still_left_out),
        unit="question",
        disable=process.rank > 0,
    )
    began = time.perf_counter()
    with bar, folder.open() as file:
        for record in answer_samples(pipeline, left, at_once=args.batch or at_once, draws=draws):
            file.write(record_line(record))
            file.flush()
            finished.append(record)
            bar.set_postfix_str(f"gIoU {running_giou(finished)}", refresh=False)
            bar.update()
    seconds = time.perf_counter() - began
    return {"answered": len(left), "seconds": round(seconds, 3), "a_second": round(len(left) / seconds, 3)}


def try_again(folder: RunFolder, samples: Sequence[Sample], share: Sequence[Sample]) -> set[str]:
    """Look once more at what was left out before: the ids of those in the share that still cannot be used."""
    from segzero.evaluation import refused_record

    before = folder.forget_left_out(samples)
    refused = [refused_record(sample) for sample in share if sample.id in before]
    still = [record for record in refused if record is not None]
    if still:
        with folder.open() as file:
            file.writelines(map(record_line, still))
    return {record.id for record in still}


def running_giou(records: Sequence[Record]) -> str:
    """Strict, in percent, of the records so far."""
    ious = [record.iou for record in records if record.status != "left_out"]
    return f"{100 * sum(ious) / len(ious):.1f}" if ious else "-"


def _cut(problem: str) -> tuple[str, str]:
    reason, _, detail = problem.partition(": ")
    return reason, detail
