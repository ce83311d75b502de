"""Writes parquet with Spark, one request a line, until its input ends.

A request is a JSON array: what to do, and its arguments. The answer is {"value": …} or {"error": text}."""

import json
import sys

from pyspark.sql import SparkSession

session = (
    SparkSession.builder.master("local[2]")
    .config("spark.ui.enabled", "false")
    .config("spark.ui.showConsoleProgress", "false")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.sql.shuffle.partitions", "2")
    .config("spark.log.level", "OFF")
    .getOrCreate()
)


def write(mode, target, first, rows, partition="", overwrite="static", columns="id, name, amount"):
    """Writes rows with the ids [first, first+rows) in two tasks."""
    session.conf.set("spark.sql.sources.partitionOverwriteMode", overwrite)
    frame = session.range(int(first), int(first) + int(rows), numPartitions=2).selectExpr(
        "id",
        "concat('order ', id) AS name",
        "CAST(id AS DOUBLE) AS amount",
        "CASE WHEN id % 2 = 0 THEN 'eu' ELSE 'us' END AS region",
        "'red' AS color",
    )
    selected = [column.strip() for column in columns.split(",")] + ([partition] if partition else [])
    writer = frame.select(*selected).write.mode(mode)
    (writer.partitionBy(partition) if partition else writer).parquet(target)


def reason(error):
    """What Spark says, without where in its code."""
    lines = f"{error}\n{getattr(error, 'java_exception', '')}".splitlines()
    return "\n".join(line for line in lines if not line.startswith(("\tat ", "\t... ")))


def count(path):
    return session.read.parquet(path).selectExpr("count(*)", "count(DISTINCT id)", "sum(id)").first()


for line in sys.stdin:
    what, *arguments = json.loads(line)
    try:
        answer = {"value": {"write": write, "count": count}[what](*arguments)}
    except Exception as error:  # noqa: BLE001, whatever it is, it is the answer
        answer = {"error": reason(error)}
    print(json.dumps(answer, default=str), flush=True)
session.stop()
