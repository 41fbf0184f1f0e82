"""Five random kills a pair; `make chaos` does more."""
from .chaos import to_snowflake


def test_mongo_to_snowflake(stack):
    phases, _, result = to_snowflake(stack, seed=11, documents=4000).run(kills=5)
    print(dict(phases))
    assert result.is_equal and result.source > 4000, f"{result}\n" + "\n".join(result.examples)
