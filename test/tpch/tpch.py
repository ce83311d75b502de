"""DuckDB with its TPC-H generator, loaded from the package that carries it: nothing is downloaded or installed."""

import importlib.util

import duckdb


def connect(threads: int = 0) -> duckdb.DuckDBPyConnection:
    """Opens an in-memory DuckDB that knows dbgen and tpch_queries."""
    connection = duckdb.connect()
    package = importlib.util.find_spec("duckdb_extension_tpch").submodule_search_locations[0]
    connection.load_extension(f"{package}/extensions/v{duckdb.__version__}/tpch.duckdb_extension")
    if threads:
        connection.execute(f"SET threads = {threads}")
    return connection
