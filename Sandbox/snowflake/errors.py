"""Failures as Snowflake reports them: a code, a SQLSTATE and a sentence, in an HTTP 200 answer."""


class SnowflakeError(Exception):
    def __init__(self, code, sqlstate, message, **data):
        super().__init__(message)
        self.code, self.sqlstate, self.message, self.data = str(code), sqlstate, message, data


def syntax_error(what, near=""):
    return SnowflakeError("001003", "42000", f"SQL compilation error:\nsyntax error: {what}" + (f" near '{near}'." if near else "."))


def invalid_value(what):
    return SnowflakeError("001008", "22023", f"SQL compilation error:\n{what}")


def unsupported(what):
    return SnowflakeError("002001", "0A000", f"SQL compilation error:\nUnsupported feature '{what}' (sandbox stand-in).")


def does_not_exist(kind, name):
    return SnowflakeError("002003", "42S02" if kind in ("Table", "Object") else "02000",
                          f"SQL compilation error:\n{kind} '{name}' does not exist or not authorized.")


def already_exists(name):
    return SnowflakeError("002002", "42710", f"SQL compilation error:\nObject '{name}' already exists.")


def not_privileged(privilege, kind, name):
    return SnowflakeError("003001", "42501", "SQL access control error:\n"
                          f"Insufficient privileges to operate on {kind} '{name}'. ({privilege} is required)")


def canceled():
    return SnowflakeError("000604", "57014", "SQL execution canceled")


def lock_timeout(waiter, holder, table, seconds):
    return SnowflakeError("000625", "57014", f"Statement '{waiter}' has locked table '{table}' in transaction {holder} "
                          f"and this lock has not yet been released. Your statement was aborted because the number of "
                          f"seconds to wait for a lock, {seconds}, was exceeded.")


def deadlock(table):
    return SnowflakeError("000626", "57014", f"Statement aborted: waiting for the lock on '{table}' would be a deadlock.")


def transaction_aborted(number):
    return SnowflakeError("000665", "57014", f"Transaction {number} was aborted.")
