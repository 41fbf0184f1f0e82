"""A Snowflake stand-in: the driver protocol over loopback HTTP, DuckDB beneath. See README.md."""
