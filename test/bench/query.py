"""Measures DuckDB: runs a query over parquet files on a fresh connection, and prints the seconds as JSON.

With a number above one, so many queries run at once, each on a connection of its own: the given ones by turns.
"""

import json
import pathlib
import sys
import threading
import time

import duckdb

sys.path.append(str(pathlib.Path(__file__).parent.parent / "e2e" / "testdata"))
import become  # noqa: E402  (found by the line above)

WARM_RUNS = 5


def texts(directory: str, name: str) -> list[str]:
    """The query called name; "all" is every one of them."""
    aggregate = "SELECT count(*), min(l_shipdate), max(l_receiptdate), min(l_extendedprice), max(l_orderkey) FROM lineitem"
    found = {"aggregate": aggregate}
    for number in ("q01", "q06"):
        found[number] = (pathlib.Path(directory) / f"{number}.sql").read_text()
    return list(found.values()) if name == "all" else [found[name]]


def one(glob: str, text: str) -> float:
    """The seconds of one query, from a new database's first look at the files on."""
    connection = duckdb.connect()
    begin = time.perf_counter()
    connection.execute(f"CREATE VIEW lineitem AS FROM '{glob}'")
    connection.execute(text).fetchall()
    return time.perf_counter() - begin


def together(glob: str, queries: list[str], count: int) -> float:
    """The seconds until the last of count queries is done."""
    connection = duckdb.connect()
    failed: list[Exception] = []

    def run(index: int) -> None:
        try:
            connection.cursor().execute(queries[index % len(queries)]).fetchall()
        except Exception as error:  # told below: a thread has nobody to raise to
            failed.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    begin = time.perf_counter()
    connection.execute(f"CREATE VIEW lineitem AS FROM '{glob}'")
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begin
    if failed:
        raise failed[0]
    return seconds


def main() -> None:
    """Arguments: the glob, the directory of the queries' texts, the query's name, how many at once, warm or cold."""
    glob, directory, name, count, state = sys.argv[1:]
    # What DuckDB imports to hand out rows may lie where the user cannot read.
    duckdb.sql("SELECT 1.5::DECIMAL(4, 2), DATE '2026-01-01'").fetchall()
    become.user()
    queries = texts(directory, name)
    runs = WARM_RUNS if state == "warm" else 1
    if int(count) > 1:
        seconds = [together(glob, queries, int(count))]
    else:
        seconds = [one(glob, queries[0]) for _ in range(runs)]
    print(json.dumps({"Seconds": min(seconds)}))


if __name__ == "__main__":
    main()
