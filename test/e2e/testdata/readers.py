"""Counts the rows and sums a column of a directory of parquet files with each reader, one line of JSON each."""

import json
import sys

import duckdb
import pandas
import polars
import pyarrow.compute
import pyarrow.dataset
import pyarrow.parquet

import become

directory, column = sys.argv[1:]
become.user()


def by_duckdb():
    return duckdb.connect().execute(f"SELECT count(*), sum({column}) FROM '{directory}/*.parquet'").fetchone()


def by_polars():
    frame = polars.scan_parquet(directory).select(polars.len(), polars.col(column).sum().alias("sum")).collect()
    return frame.row(0)


def by_pyarrow():
    table = pyarrow.dataset.dataset(directory, format="parquet").to_table(columns=[column])
    return table.num_rows, pyarrow.compute.sum(table[column]).as_py()


def by_pandas():
    frame = pandas.read_parquet(directory)
    return len(frame), int(frame[column].sum())


for reader in (by_duckdb, by_polars, by_pyarrow, by_pandas):
    count, total = reader()
    print(json.dumps({"reader": reader.__name__.removeprefix("by_"), "rows": count, "sum": int(total)}))
