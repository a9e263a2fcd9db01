"""Where data comes from: each module turns one kind of source into Items for segzero.dataset_writer.

A module has add_to(commands), its options for `segzero prepare`, and read(args) -> (items, how many or None).
read raises DatasetError for a source that cannot be used at all; what single rows lack comes out as LeftOut.
"""
