"""Makes the parquet files of this directory. Needs pyarrow and duckdb; `python make.py` run here overwrites them.

They were made with pyarrow 26.0.1 and duckdb 1.5.5. schema_test.go knows their columns, so change both together.
"""

import datetime as dt
import decimal
import uuid

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

columns = {
    "bool": ([True], pa.bool_()),
    "i8": ([1], pa.int8()),
    "i16": ([1], pa.int16()),
    "u8": ([1], pa.uint8()),
    "u16": ([1], pa.uint16()),
    "u64": ([1], pa.uint64()),
    "f16": ([1.0], pa.float16()),
    "f32": ([1.0], pa.float32()),
    "text": (["x"], pa.large_string()),
    "dict": (["x"], pa.dictionary(pa.int32(), pa.string())),
    "bin": ([b"x"], pa.binary()),
    "fixed": ([b"1234567"], pa.binary(7)),
    "dec9": ([decimal.Decimal("1.25")], pa.decimal128(9, 2)),
    "dec50": ([decimal.Decimal("1.25")], pa.decimal256(50, 2)),
    "date": ([dt.date(2026, 1, 1)], pa.date32()),
    "time_ms": ([dt.time(1)], pa.time32("ms")),
    "time_ns": ([1], pa.time64("ns")),
    "ts_s": ([0], pa.timestamp("s")),
    "ts_us_paris": ([0], pa.timestamp("us", "Europe/Paris")),
    "ts_ns": ([0], pa.timestamp("ns")),
    "null": ([None], pa.null()),
    "list": ([[1]], pa.list_(pa.int32())),
    "struct": ([{"x": 1, "y": ["a"]}], pa.struct({"x": pa.int32(), "y": pa.list_(pa.string())})),
    "map": ([{"k": 1.0}.items()], pa.map_(pa.string(), pa.float64())),
}
arrays = [pa.array([list(v[0])] if t == columns["map"][1] else v, t) for v, t in columns.values()]
fields = [pa.field(name, t, nullable=name != "bool") for name, (_, t) in columns.items()]
pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), "pyarrow.parquet", store_schema=False)

duckdb.sql(
    """copy (select 1::tinyint i8, 1::uinteger u32, 1::decimal(18,3) as "dec", 'x' as "text", 'x'::blob bin,
        'a'::enum('a', 'b') as "enum", '00000000-0000-0000-0000-000000000000'::uuid as "uuid",
        date '2026-01-01' as "date", time '01:00' as "time", timestamp '2026-01-01' as ts,
        timestamptz '2026-01-01 00:00:00+00' as tstz, timestamp_ns '2026-01-01' as ts_ns,
        [1, 2] as "list", {'x': 1, 'y': 'z'} as "struct", map {'k': 1.5::double} as "map"
    ) to 'duckdb.parquet' (format parquet)"""
)
