#!/usr/bin/env python3
"""Times NumPy, SciPy, scikit-learn and torch against the command `lowrank`, in turns, with the error of each.

Every round runs each contender once, A B C A B C, on the same file with the same number of threads. Peers are timed
inside one process with the matrix in memory, and so is lowrank, by bench/lowrank-in-process of the same build; beside it
stand the `seconds` of the command's JSON (the same computation in a fresh process) and the wall time of the whole
command. Errors are measured afterwards by NumPy in float64. A peer that is
not installed is skipped with a note. The output is Markdown.

  python3 bench/peers/compare.py --lowrank build/tools/lowrank                all workloads
  python3 bench/peers/compare.py --only rank-low --only sparse --json out.json
  python3 bench/peers/compare.py --quick                                      small sizes, a minute
  python3 bench/peers/compare.py --list
"""
import argparse
import os
import sys

sys.dont_write_bytecode = True
from workloads import WORKLOADS


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lowrank", metavar="PATH", help="the command (default: build/tools/lowrank, then PATH)")
    parser.add_argument("--only", metavar="NAME", action="append", choices=list(WORKLOADS), help="may be repeated")
    parser.add_argument("--list", action="store_true", help="list the workloads")
    parser.add_argument("--quick", action="store_true", help="small sizes: a test of this script, no measurement")
    parser.add_argument("--repeats", type=int, default=5, metavar="R", help="rounds (default 5)")
    parser.add_argument("--budget", type=float, default=20, metavar="S",
                        help="a contender that has used so many seconds sits out the rounds that follow (default 20)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N",
                        help="threads of every contender (default: all cores)")
    parser.add_argument("--without-exact", action="store_true", help="leave out numpy.linalg.svd, the slowest by far")
    parser.add_argument("--json", metavar="FILE", help="write all figures to this file")
    return parser.parse_args()


def main():
    options = arguments()
    if options.list:
        for name, workload in WORKLOADS.items():
            print(f"{name:<14}{workload.__doc__}")
        return 0
    # Read by the thread pools when their libraries are loaded.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(options.threads)
    from session import Session  # loads NumPy

    session = Session(options)
    session.print_machine()
    for name in options.only or WORKLOADS:
        WORKLOADS[name](session, name)
    if options.json:
        session.write_json(options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
