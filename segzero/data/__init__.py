"""The local format of data, read and written, and the sources it is made from.

    from segzero.data import read_samples, load_sample
    samples, left_out = read_samples(Path("data/mine"))

Imports pictures and the contract; evaluation, training and the command line may import it.
"""

from segzero.data.dataset import (
    DATA_FILE,
    LEFT_OUT_FILE,
    DatasetError,
    LeftOut,
    LoadedSample,
    Remark,
    Sample,
    find_data_file,
    leave_out,
    load_sample,
    read_rows,
    read_samples,
)
from segzero.data.dataset_writer import Item, write_dataset
from segzero.data.left_out import tell_left_out, write_left_out
from segzero.data.sources import SOURCES
from segzero.data.sources.hub import open_set

__all__ = [
    "DatasetError",
    "Item",
    "LEFT_OUT_FILE",
    "LeftOut",
    "LoadedSample",
    "DATA_FILE",
    "Remark",
    "SOURCES",
    "Sample",
    "leave_out",
    "load_sample",
    "open_set",
    "read_rows",
    "read_samples",
    "find_data_file",
    "tell_left_out",
    "write_dataset",
    "write_left_out",
]
