"""What tests may turn in a stand-in, at start (`--set name=value`) or while it runs (`POST /sandbox/settings`)."""


class Settings:
    """A subclass sets every name to its default in `__init__`."""

    def update(self, values):
        for name, value in values.items():
            if not hasattr(self, name):
                raise KeyError(f"no setting {name}; there are: {', '.join(sorted(vars(self)))}")
            old = getattr(self, name)
            if isinstance(old, bool):
                value = value if isinstance(value, bool) else str(value).lower() in ("1", "true", "yes", "on")
            else:
                value = type(old)(value)
            setattr(self, name, value)
