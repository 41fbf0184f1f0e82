"""The comparison's own parts that a correct program never lets speak."""
import bson

from Sandbox.compare import canonical, copied_id_parts


def test_the_id_of_a_copied_row_names_token_namespace_and_canonical_key():
    key = bson.ObjectId()
    raw = bson.encode({"_id": key})
    assert copied_id_parts(f'82AB/shop.a/b/{{"_id":{{"$oid":"{key}"}}}}', "shop.a/b") == ("82AB", canonical(raw))
    for wrong in [f'82AB/{{"_id":{{"$oid":"{key}"}}}}', f'82AB/shop.b/{{"_id":{{"$oid":"{key}"}}}}', f'82AB/shop.a/{{"_id":"{key}"}}',
                  "82AB", "", None]:
        assert copied_id_parts(wrong, "shop.a")[1] != canonical(raw)
