"""Five random kills a pair; `make chaos` does more."""
from .chaos import random_kills


def test_mongo_to_snowflake(stack):
    phases, _, result = random_kills(stack, kills=5, seed=11, documents=4000)
    print(dict(phases))
    assert result.is_equal and result.source > 4000, f"{result}\n" + "\n".join(result.examples)
