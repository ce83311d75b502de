"""Runs each argument as SQL in DuckDB and prints its rows as one line of JSON."""

import datetime  # noqa: F401, DuckDB imports it for values
import decimal  # noqa: F401, likewise
import json
import sys

import duckdb

import become

become.user()
connection = duckdb.connect()
for sql in sys.argv[1:]:
    print(json.dumps(connection.execute(sql).fetchall(), default=str))
