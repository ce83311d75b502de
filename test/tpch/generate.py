"""Writes TPC-H's lineitem as parquet files, and the text of the benchmark's queries.

The recipe: DuckDB 1.5.5, dbgen at the given scale factor in as many parts as there are files, each part ordered by
l_orderkey and l_linenumber, written by one thread with zstd. The same arguments give the same bytes.
Scale factor 1 has 6 million rows.
"""

import argparse
import pathlib
import sys

import tpch


def lineitem(out: pathlib.Path, scale: float, files: int) -> int:
    """Writes the parts that are missing and returns how many rows all of them have."""
    out.mkdir(parents=True, exist_ok=True)
    connection = tpch.connect(threads=1)
    for step in range(files):
        target = out / f"part-{step:03}.parquet"
        if target.exists():
            continue
        connection.execute("DROP SCHEMA IF EXISTS part CASCADE")
        connection.execute("CREATE SCHEMA part")
        connection.execute(f"CALL dbgen(sf = {scale}, schema = 'part', children = {files}, step = {step})")
        partial = target.with_suffix(".partial")
        connection.execute(
            f"COPY (FROM part.lineitem ORDER BY l_orderkey, l_linenumber) TO '{partial}' (FORMAT parquet, COMPRESSION zstd)"
        )
        partial.rename(target)
        if sys.stderr.isatty():
            print(f"\r  generated {step + 1} of {files} files", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return connection.execute(f"SELECT count(*) FROM '{out}/*.parquet'").fetchone()[0]


def queries(out: pathlib.Path) -> int:
    """Writes the benchmark's queries, one file each, and returns how many there are."""
    out.mkdir(parents=True, exist_ok=True)
    rows = tpch.connect().execute("SELECT query_nr, query FROM tpch_queries() ORDER BY query_nr").fetchall()
    for number, text in rows:
        (out / f"q{number:02}.sql").write_text(text.rstrip() + "\n")
    return len(rows)


def main() -> None:
    """Generates into DIR/lineitem and DIR/queries."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--scale", type=float, default=2)
    parser.add_argument("--files", type=int, default=24)
    arguments = parser.parse_args()
    rows = lineitem(arguments.directory / "lineitem", arguments.scale, arguments.files)
    texts = queries(arguments.directory / "queries")
    print(f"{rows:,} rows in {arguments.files} files, {texts} queries")


if __name__ == "__main__":
    main()
