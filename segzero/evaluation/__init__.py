"""Asking every sample of a data set, scoring the answers, and what all of it comes to.

    from segzero.evaluation import aggregate_records, answer_samples, format_table
    print(format_table(aggregate_records(list(answer_samples(pipeline, samples, at_once=16)))))

Imports data, the flow, the models' faces, pictures and the contract; only the command line and benchmarks
import it.
"""

from segzero.evaluation.aggregate import aggregate_records, as_plain, format_percent, format_table
from segzero.evaluation.comparison import compare_files
from segzero.evaluation.html_report import write_report
from segzero.evaluation.metrics import RESAMPLES, Estimate, Overlap, measure, overlap
from segzero.evaluation.protocols import STRICT, count_under
from segzero.evaluation.record import Record, RecordError, read_records, record_line, write_records
from segzero.evaluation.run_folder import TOTALS, Process, RunFolder, fingerprint, write_json
from segzero.evaluation.runner import (
    ON_A_CPU,
    ON_A_GPU,
    Draws,
    answer_samples,
    refused_record,
    share_cores,
)

__all__ = [
    "Draws",
    "Estimate",
    "ON_A_CPU",
    "ON_A_GPU",
    "Overlap",
    "Process",
    "RESAMPLES",
    "Record",
    "RecordError",
    "RunFolder",
    "STRICT",
    "TOTALS",
    "answer_samples",
    "compare_files",
    "count_under",
    "record_line",
    "fingerprint",
    "share_cores",
    "measure",
    "overlap",
    "refused_record",
    "format_percent",
    "as_plain",
    "read_records",
    "format_table",
    "aggregate_records",
    "write_json",
    "write_records",
    "write_report",
]
