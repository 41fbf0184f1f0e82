"""The account that test_warehouse.py runs on: the stand-in, or with NEBULA_LIVE_SNOWFLAKE=1 a real one.

A real account is named by the variables that the program itself knows: SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER, SNOWFLAKE_PASSWORD or
SNOWFLAKE_PRIVATE_KEY_PATH or SNOWFLAKE_TOKEN, SNOWFLAKE_DATABASE, SNOWFLAKE_SCHEMA, SNOWFLAKE_WAREHOUSE, SNOWFLAKE_ROLE. All
that a run makes begins with NEBULA_LIVE_ and is dropped behind it. NEBULA_LIVE_STAGE_URL and NEBULA_LIVE_STAGE_INTEGRATION name
a bucket for the external stage.
"""
import os
import subprocess
import uuid

import snowflake.connector
from snowflake_rig import PASSWORD, ROOT, USER, StandIn, resolve_localhost_names, trust

PROGRAM = os.environ.get("NEBULA_PROGRAM", str(ROOT / ".build/release/nebula-swift"))
IS_LIVE = os.environ.get("NEBULA_LIVE_SNOWFLAKE") == "1"


class Account:
    """What tests need of an account, whichever it is."""

    def __init__(self, folder):
        self.folder = folder
        self.mark = f"NEBULA_LIVE_{uuid.uuid4().hex[:8].upper()}"
        self.standin = None
        if IS_LIVE:
            self.database, self.schema = os.environ["SNOWFLAKE_DATABASE"], os.environ["SNOWFLAKE_SCHEMA"]
            self.properties = {}
        else:
            resolve_localhost_names()
            self.standin = StandIn(folder)
            trust(self.standin.folder / "data" / "ca.pem")
            self.database, self.schema = "DB", "SCH"
            self.properties = {"account": "acme", "host": self.standin.url, "user": USER, "password": PASSWORD, "database": "DB",
                               "schema": "SCH", "warehouse": "WH"}

    def connect(self, **given):
        if self.standin:
            return self.standin.connect(**given)
        names = {"account": "ACCOUNT", "user": "USER", "password": "PASSWORD", "private_key_file": "PRIVATE_KEY_PATH", "token": "TOKEN",
                 "database": "DATABASE", "schema": "SCHEMA", "warehouse": "WAREHOUSE", "role": "ROLE"}
        options = {ours: os.environ[f"SNOWFLAKE_{theirs}"] for ours, theirs in names.items() if os.environ.get(f"SNOWFLAKE_{theirs}")}
        if "token" in options:
            options["authenticator"] = "PROGRAMMATIC_ACCESS_TOKEN"
        return snowflake.connector.connect(**options, **given)

    def table(self, name):
        return f"{self.mark}_{name}"

    def full(self, name):
        return f"{self.database}.{self.schema}.{self.table(name)}"

    def rows(self, statement):
        connection = self.connect()
        try:
            return connection.cursor().execute(statement).fetchall()
        finally:
            connection.close()

    def rows_by_adbc(self, statement):
        """The same by the ADBC driver, which is Go's and shares no code with the connector."""
        import adbc_driver_snowflake.dbapi as adbc

        if self.standin:
            options = {"username": USER, "password": PASSWORD, "adbc.snowflake.sql.account": "acme", "adbc.snowflake.sql.uri.protocol": "http",
                       "adbc.snowflake.sql.uri.host": "127.0.0.1", "adbc.snowflake.sql.uri.port": str(self.standin.port)}
        else:
            names = {"username": "USER", "password": "PASSWORD", "adbc.snowflake.sql.account": "ACCOUNT", "adbc.snowflake.sql.warehouse": "WAREHOUSE",
                     "adbc.snowflake.sql.role": "ROLE", "adbc.snowflake.sql.client_option.jwt_private_key": "PRIVATE_KEY_PATH",
                     "adbc.snowflake.sql.client_option.auth_token": "TOKEN"}
            options = {theirs: os.environ[f"SNOWFLAKE_{ours}"] for theirs, ours in names.items() if os.environ.get(f"SNOWFLAKE_{ours}")}
            if "adbc.snowflake.sql.client_option.jwt_private_key" in options:
                options["adbc.snowflake.sql.auth_type"] = "auth_jwt"
            elif "adbc.snowflake.sql.client_option.auth_token" in options:
                options["adbc.snowflake.sql.auth_type"] = "auth_pat"
        options |= {"adbc.snowflake.sql.db": self.database, "adbc.snowflake.sql.schema": self.schema}
        with adbc.connect(db_kwargs=options) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def run(self, statement):
        return self.rows(statement)

    def load(self, path, run, code=0, **settings):
        """Runs the program until the file is loaded, into a table called as the run; gives all that it printed."""
        properties = {**self.properties, "table": self.table(run), "stage_name": f"{self.mark}_STAGE",
                      **{name: value for name, value in settings.items() if not name.startswith("source_")}}
        arguments = ["--set", f"source.path={path}"]
        for name, value in settings.items():
            if name.startswith("source_"):
                arguments += ["--set", f"source.{name.removeprefix('source_')}={value}"]
        for name, value in properties.items():
            arguments += ["--set", f"destination.{name}={value}"]
        environment = {**os.environ, "NEBULA_STATE_DIR": str(self.folder / f"state-{run}")}
        done = subprocess.run(
            [PROGRAM, "run", "--name", self.table(run), "--source", "file", "--dest", "snowflake_optimized", *arguments], env=environment,
            capture_output=True, text=True, timeout=600 if IS_LIVE else 120)
        assert done.returncode == code, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout + done.stderr

    def close(self):
        if self.standin:
            return self.standin.kill()
        connection = self.connect()
        cursor = connection.cursor()
        for kind in ("VIEWS", "TABLES", "STAGES"):
            for row in cursor.execute(f"SHOW {kind} LIKE '{self.mark}%' IN SCHEMA {self.database}.{self.schema}").fetchall():
                cursor.execute(f'DROP {kind[:-1]} IF EXISTS {self.database}.{self.schema}."{row[1]}"')
        connection.close()
