"""The paper's claims in miniature: arms trained from one start at one budget, held against each other.

    OMP_NUM_THREADS=1 python -m benchmarks.claims

__main__.py is the command, docs/claims.md the page that it fills in.
"""
