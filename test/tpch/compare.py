"""Runs TPC-H Q1 and Q6 over a mounted table and over the original files, and compares the results.

Exits with status 1 when they differ. The times are medians of five runs, taken in turn.
"""

import argparse
import statistics
import sys
import time

import tpch

QUERIES = (1, 6)
RUNS = 5


def answer(connection, number: int) -> tuple[list[str], list[tuple], float]:
    """Runs one query and returns its column names, its rows and the seconds it took."""
    begin = time.perf_counter()
    cursor = connection.execute(f"PRAGMA tpch({number})")
    rows = cursor.fetchall()
    return [column[0] for column in cursor.description], rows, time.perf_counter() - begin


def show(names: list[str], rows: list[tuple]) -> None:
    """Prints rows under their names, one column of text per column."""
    table = [names] + [[str(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table)]
    for line in table:
        print("  " + "  ".join(value.rjust(width) for value, width in zip(line, widths)))


def main() -> int:
    """Compares the two globs given and reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mounted", help="glob of the mounted parquet files")
    parser.add_argument("plain", help="glob of the original parquet files")
    arguments = parser.parse_args()
    sides = {"mounted": tpch.connect(), "plain": tpch.connect()}
    for side, connection in sides.items():
        connection.execute(f"CREATE VIEW lineitem AS FROM '{getattr(arguments, side)}'")
    different = 0
    for number in QUERIES:
        seconds, answers = {side: [] for side in sides}, {}
        for _ in range(RUNS):
            for side, connection in sides.items():
                names, rows, took = answer(connection, number)
                seconds[side].append(took)
                answers.setdefault(side, (names, rows))
        same = answers["mounted"] == answers["plain"]
        different += not same
        median = {side: statistics.median(times) for side, times in seconds.items()}
        print(f"\nQ{number}: {'the same result' if same else 'DIFFERENT RESULTS'}; "
              f"mounted {median['mounted']:.3f} s, plain files {median['plain']:.3f} s, "
              f"ratio {median['mounted'] / median['plain']:.2f}")
        for side in sides:
            print(f" {side}:")
            show(*answers[side])
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
