"""Makes the parquet files of this directory. Needs pyarrow and duckdb; `python make.py` run here overwrites them.

They were made with pyarrow 26.0.1 and duckdb 2.0.0. The tests know their contents, so change both together.
"""

import base64
import datetime as dt
import decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

UTC = dt.timezone.utc


def table():
    """Rows 0..99 of every type, in an order that is not that of the values."""
    n = 100
    order = [(i * 7) % n for i in range(n)]
    day = dt.date(1994, 1, 1)
    noon = dt.datetime(1994, 1, 1, 12, 0, 0, 250000)

    def column(f, t):
        return pa.array([f(i) for i in order], t)

    return pa.table(
        {
            "i8": column(lambda i: i % 256 - 128, pa.int8()),
            "i32": column(lambda i: i - 50, pa.int32()),
            "i64": column(lambda i: 2**62 + i, pa.int64()),
            "u32": column(lambda i: 2**32 - 1 - i, pa.uint32()),
            "u64": column(lambda i: 2**64 - 1 - i, pa.uint64()),
            "f32": column(lambda i: i / 10, pa.float32()),
            "f64": column(lambda i: i / 10, pa.float64()),
            "nan": column(lambda i: float("nan") if i % 2 else float(i), pa.float64()),
            "inf": column(lambda i: float("inf") if i == 3 else float(i), pa.float64()),
            "d9": column(lambda i: decimal.Decimal(i - 50) / 100, pa.decimal128(9, 2)),
            "d38": column(lambda i: decimal.Decimal(i - 50) / 10000000000, pa.decimal128(38, 10)),
            "date": column(lambda i: day + dt.timedelta(days=i), pa.date32()),
            "old": column(lambda i: dt.date(1, 1, 1) + dt.timedelta(days=i), pa.date32()),
            "ms": column(lambda i: noon - dt.timedelta(days=365 * 30 + i), pa.timestamp("ms")),
            "us": column(lambda i: (noon + dt.timedelta(hours=i)).replace(tzinfo=UTC), pa.timestamp("us", "UTC")),
            "ns": column(lambda i: noon + dt.timedelta(seconds=i), pa.timestamp("ns")),
            "time": column(lambda i: dt.time(i % 24, 30), pa.time64("us")),
            "s": column(lambda i: "" if i == 0 else f"{i:04} \N{BLACK STAR} <&>", pa.string()),
            "bin": column(lambda i: bytes([i % 256, 255]), pa.binary()),
            "b": column(lambda i: i < 90, pa.bool_()),
            "false": column(lambda i: False, pa.bool_()),
            "null": column(lambda i: None, pa.int32()),
            "some": column(lambda i: i if i % 3 else None, pa.int32()),
            "part": pa.array([None] * 60 + list(range(40)), pa.int32()),  # only nulls in the first row group
            "list": column(lambda i: [i, i + 1], pa.list_(pa.int32())),
            "st": column(lambda i: {"x": i, "y": None if i % 2 else "y"}, pa.struct({"x": pa.int32(), "y": pa.string()})),
            "a,b": column(lambda i: i, pa.int32()),
            "p.q": column(lambda i: i, pa.int32()),
            "p": column(lambda i: {"q": -i}, pa.struct({"q": pa.int32()})),
        }
    )


def pyarrow_files():
    t = table()
    common = {"row_group_size": 50, "use_dictionary": False, "store_schema": False, "compression": "zstd"}
    pq.write_table(t, "pyarrow.parquet", write_page_index=True, **common)
    pq.write_table(
        t, "pyarrow_v2.parquet", data_page_version="2.0", version="2.6", store_decimal_as_integer=True, **common
    )  # booleans are RLE here; no page index
    small = t.select(["i32", "s", "f64"])
    pq.write_table(small, "nostatistics.parquet", write_statistics=False)
    pq.write_table(small.slice(0, 0), "norows.parquet", write_page_index=True)
    pq.write_table(t.select(["us"]), "int96.parquet", use_deprecated_int96_timestamps=True)


def duckdb_files():
    """Strings too long for a footer, and what DuckDB makes of the usual types."""
    duckdb.sql(
        """copy (
            select i::integer as i, (i::decimal(18,3) / 8)::decimal(18,3) as d, (i / 10)::double as f,
                date '1994-01-01' + i::integer as date, timestamp '1994-01-01 12:00:00' + to_hours(i::integer) as ts,
                timestamptz '1994-01-01 12:00:00+00' + to_hours(i::integer) as tz, 's' || i as s,
                repeat('long', 1000) as long, i % 2 = 0 as b, case when i % 4 = 0 then null else i end as some
            from range(100) t(i) order by hash(i)
        ) to 'duckdb.parquet' (format parquet, compression zstd)"""
    )


class Keys(pe.KmsClient):
    """Wraps keys in nothing: what is tested is that encrypted files are told apart."""

    def __init__(self, _):
        pe.KmsClient.__init__(self)

    def wrap_key(self, key, _):
        return base64.b64encode(key)

    def unwrap_key(self, key, _):
        return base64.b64decode(key)


def encrypted_files():
    t = table().select(["i32", "s"])
    factory = pe.CryptoFactory(Keys)
    for name, plain in (("encrypted.parquet", False), ("encrypted_columns.parquet", True)):
        properties = factory.file_encryption_properties(
            pe.KmsConnectionConfig(),
            pe.EncryptionConfiguration(footer_key="footer", column_keys={"c": ["i32"]}, plaintext_footer=plain),
        )
        with pq.ParquetWriter(name, t.schema, encryption_properties=properties) as w:
            w.write_table(t)


duckdb.sql("set timezone = 'UTC'")
pyarrow_files()
duckdb_files()
encrypted_files()
