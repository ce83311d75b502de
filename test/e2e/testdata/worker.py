"""Writes and queries parquet with the libraries that people use, one request a line, until its input ends.

A request is a JSON array: what to do, and its arguments. The answer is {"value": …} or {"error": "Type: text"}, where the
error is what ends a script that does not catch it, and {"error": …} of one that does."""

import datetime  # noqa: F401, DuckDB imports it for values
import io
import json
import os
import shutil
import sys
import tempfile

import duckdb
import fastparquet  # noqa: F401, pandas imports it
import pandas
import polars
import pyarrow.dataset
import pyarrow.parquet

import become

database = duckdb.connect()


def sql(text):
    return database.execute(text).fetchall()


def copy_by_duckdb(source, target, options=""):
    database.execute(f"COPY (SELECT * FROM '{source}') TO '{target}' (FORMAT parquet{options})")


def rename_by_duckdb(source, target):
    copy_by_duckdb(source, target, ", USE_TMP_FILE true")


def threads_by_duckdb(source, target, options="PER_THREAD_OUTPUT true"):
    database.execute(f"COPY (SELECT * FROM '{source}') TO '{target}' (FORMAT parquet, {options})")


def copy_by_pyarrow(source, target):
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(source), target)


def rows_by_pyarrow(source, target):
    table = pyarrow.parquet.read_table(source)
    with pyarrow.parquet.ParquetWriter(target, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=50):
            writer.write_batch(batch)


def dataset_by_pyarrow(source, target, partition="", existing="overwrite_or_ignore"):
    table = pyarrow.parquet.read_table(source)
    pyarrow.dataset.write_dataset(
        table,
        target,
        format="parquet",
        max_rows_per_file=400,
        max_rows_per_group=400,
        existing_data_behavior=existing,
        partitioning=[partition] if partition else None,
        partitioning_flavor="hive" if partition else None,
    )


def copy_by_pandas(source, target):
    pandas.read_parquet(source, engine="pyarrow").to_parquet(target, engine="pyarrow", index=False)


def copy_by_fastparquet(source, target):
    frame = pandas.read_parquet(source, engine="pyarrow")
    names = [name for name in frame.columns if frame[name].dtype == "str"]
    encoding = {name: "utf8" if name in names else None for name in frame.columns}
    frame.to_parquet(target, engine="fastparquet", index=False, object_encoding=encoding, stats=True, has_nulls=names)


def copy_by_polars(source, target):
    polars.read_parquet(source).write_parquet(target)


def sink_by_polars(source, target):
    polars.scan_parquet(source).sink_parquet(target)


def replace_by_tempfile(source, target):
    with open(source, "rb") as f, tempfile.NamedTemporaryFile(dir=os.path.dirname(target), delete=False) as temporary:
        shutil.copyfileobj(f, temporary)
    try:
        os.replace(temporary.name, target)
    except OSError:
        os.unlink(temporary.name)
        raise


def copytree(source, target):
    shutil.copytree(os.path.dirname(source), os.path.dirname(target), dirs_exist_ok=True)


actions = {
    "sql": sql,
    "duckdb": copy_by_duckdb,
    "duckdb.renamed": rename_by_duckdb,
    "duckdb.threads": threads_by_duckdb,
    "pyarrow": copy_by_pyarrow,
    "pyarrow.writer": rows_by_pyarrow,
    "pyarrow.dataset": dataset_by_pyarrow,
    "pandas": copy_by_pandas,
    "fastparquet": copy_by_fastparquet,
    "polars": copy_by_polars,
    "polars.sink": sink_by_polars,
    "tempfile": replace_by_tempfile,
    "shutil.copyfile": shutil.copyfile,
    "shutil.copy": shutil.copy,
    "shutil.copy2": shutil.copy2,
    "shutil.copytree": copytree,
    "shutil.move": shutil.move,
}


def warm():
    """Has the libraries load what they load late, as long as the environment can be read."""
    frame = pandas.DataFrame({"a": [1], "b": ["x"]})
    for engine in ("pyarrow", "fastparquet"):
        frame.to_parquet(io.BytesIO() if engine == "pyarrow" else os.devnull, engine=engine)
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "a.parquet")
        pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), path)
        for action in (copy_by_pyarrow, copy_by_pandas, copy_by_polars, sink_by_polars, copy_by_duckdb, copy_by_fastparquet):
            action(path, path + ".copy")
        dataset_by_pyarrow(path, os.path.join(directory, "dataset"))


warm()
become.user()
sys.unraisablehook = lambda _: None  # what pyarrow's destructors say of a file that was refused
for line in sys.stdin:
    what, *arguments = json.loads(line)
    try:
        answer = {"value": actions[what](*arguments)}
    except Exception as error:  # noqa: BLE001, whatever it is, it is the answer
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer, default=str), flush=True)
