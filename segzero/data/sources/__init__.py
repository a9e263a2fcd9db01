"""Where data comes from: each module turns one kind of source into Items for dataset_writer.py.

A module has add_to(commands), its options for `segzero prepare`, and read(args) -> (items, how many or None).
read raises DatasetError for a source that cannot be used at all; what single rows lack comes out as
LeftOut, what was assumed of them as Remark.
"""

from segzero.data.sources import coco, hub, lisa, refer, table

SOURCES = (hub, lisa, refer, coco, table)
"""In the order in which `segzero prepare --help` lists them."""
