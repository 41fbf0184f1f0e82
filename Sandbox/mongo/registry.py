"""The table of commands: a handler takes (server, connection, request) and returns a dict, or encoded elements."""

COMMANDS: dict = {}
BEFORE_LOGIN: set = set()


def command(*names: str, before_login: bool = False):
    def register(handler):
        for name in names:
            COMMANDS[name.lower()] = handler
            if before_login:
                BEFORE_LOGIN.add(name.lower())
        return handler
    return register
