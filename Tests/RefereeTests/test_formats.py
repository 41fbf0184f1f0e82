"""JSON, CSV and compression against Python's json, csv, gzip and zstandard."""

import csv
import gzip
import io
import json
import random
import struct

import pytest
import zstandard

from formats_check import run


def is_json(text):
    """RFC 8259 by Python's json, which is laxer: it takes NaN, and bytes in other encodings."""
    try:
        decoded = text.decode("utf-8")
        if decoded.startswith("\ufeff"):
            return False

        def refuse(_):
            raise ValueError

        json.loads(decoded, parse_constant=refuse, parse_int=str)
        return True
    except (ValueError, RecursionError):
        return False


BY_HAND = [
    b"", b" ", b"null", b" true ", b"false", b"tru", b"nul", b"nulll", b"0", b"-0", b"-", b"01", b"-01", b"1.", b".5", b"1.5", b"1e", b"1e+", b"1E-7",
    b"1e5.", b"+1", b"0x1", b"NaN", b"Infinity", b'""', b'"', b'"a', b'"\\"', b'"\\x"', b'"\\u12"', b'"\\u12g4"', b'"\\ud800"', b'"\\uD83D\\uDE00"',
    b'"\t"', b'"\x00"', b'"\x1f"', b'"\x7f"', b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xf0\x9f\x98\x80"', b'"\xe2\x98"', b"[]",
    b"[1,]", b"[,1]", b"[1 2]", b"[1,2", b"]", b"[}", b"{}", b"{,}", b'{"a"}', b'{"a":}', b'{"a":1,}', b'{"a":1 "b":2}', b"{1:2}", b'{"a":1}}', b'{"a":1}x', b'{"a":1} {"b":2}',
    b'{"a":[{"b":[]}]}', b'[[[[]]]', b"\xef\xbb\xbf{}", b"\xa0{}", b"\x0b1", b"\x0c1", b"/**/1", b"'a'", b'{"a":1,"a":2}', b'{"":""}', b"1 ", b"1\n", b"[1]\r\n", b"-1e-0",
    b'["\\u0000"]', b'"\\/"', b'"\\\n"', b"[" * 500 + b"]" * 500, b"1" * 400, b"[" + b"1," * 500 + b"1]", b"tRue", b'"a"b', b"[1]]", b'{"a":1]', b'[1}', b'"\x80"', b"\x80", b"{\xff}",
]


def random_json(rng, depth=0):
    match rng.randrange(9 if depth < 4 else 6):
        case 0: return rng.choice([True, False, None])
        case 1: return rng.choice([0, -1, rng.randrange(10**20), rng.uniform(-1e9, 1e9), 5e-324, 1e300])
        case 2 | 3 | 4 | 5: return "".join(chr(rng.choice([rng.randrange(32), rng.randrange(32, 127), rng.randrange(32, 127), rng.randrange(32, 127), rng.randrange(128, 0xD800), 0x1F600])) for _ in range(rng.choice([3, 15, 16, 17, 31, 33, 64, 70])))
        case 6: return [random_json(rng, depth + 1) for _ in range(rng.randrange(6))]
        case _: return {f"k{rng.randrange(99)}": random_json(rng, depth + 1) for _ in range(rng.randrange(8))}


def json_texts():
    rng = random.Random(1)
    texts = list(BY_HAND)
    for _ in range(1500):
        text = json.dumps(random_json(rng), ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1])).encode()
        texts.append(text)
        for _ in range(4):
            mutated = bytearray(text)
            for _ in range(rng.randrange(1, 3)):
                at = rng.randrange(len(mutated) + 1)
                match rng.randrange(3):
                    case 0: mutated[at:at] = rng.choice([b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"0", b" ", b"\n", b"\x00", b"\xc3", b"\x80", b"\xff", b"\xf0\x9f\x98\x80", b"e", b"-"])
                    case 1: del mutated[at : at + 1]
                    case 2: mutated[at : at + 1] = bytes([rng.randrange(256)])
            texts.append(bytes(mutated))
    return texts


def test_json_validity():
    texts = json_texts()
    kinds = set()
    for text, (fine, answer) in zip(texts, run(texts, "json-validate")):
        assert fine == is_json(text), (text, answer)
        kinds.add(fine)
        assert fine or "at byte" in answer
    assert kinds == {True, False}


def test_json_depth():
    texts = [b"[" * n + b"]" * n for n in (500, 501, 100_000)] + [b'{"a":' * n + b"1" + b"}" * n for n in (500, 501)]
    assert [fine for fine, _ in run(texts, "json-validate")] == [True, False, False, True, False]


def test_json_members_and_strings():
    rng = random.Random(2)
    objects = [{f"{random_json(rng, 9)}{i}": random_json(rng) for i in range(rng.randrange(12))} for _ in range(500)]
    texts = [json.dumps(o, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 2]), separators=rng.choice([(",", ":"), (" , ", " : ")])).encode() for o in objects]
    for o, (fine, answer) in zip(objects, run(texts, "json-members")):
        # An indented value holds raw newlines, so lines are not split: each member is parsed from where the last ended.
        got, rest, decoder = {}, answer.decode(), json.JSONDecoder()
        while rest:
            key, end = decoder.raw_decode(rest)
            assert rest[end] == "\t"
            value, end2 = decoder.raw_decode(rest[end + 1 :])
            rest = rest[end + 1 + end2 :]
            assert rest.startswith("\n")
            rest = rest[1:]
            got[key] = value
        assert fine and got == o
    strings = [random_json(random.Random(i), 9) for i in range(500)]
    strings = [s for s in strings if isinstance(s, str)]
    for s, (fine, answer) in zip(strings, run([s.encode() for s in strings], "json-string")):
        assert fine and json.loads(answer) == s


def random_rows(rng):
    alphabet = 'abc ",;|\t\r\n\'é'
    return [["".join(rng.choice(alphabet) for _ in range(rng.choice([0, 1, 3, 20]))) for _ in range(rng.randrange(1, 6))] for _ in range(rng.randrange(1, 12))]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_written_is_read_by_python(delimiter):
    rng = random.Random(3)
    for _ in range(20):
        rows = random_rows(rng)
        payloads = [b"".join(struct.pack("<I", len(f.encode())) + f.encode() for f in row) for row in rows]
        written = b"".join(answer for _, answer in run(payloads, "csv-write", ord(delimiter), ord('"')))
        read = list(csv.reader(io.StringIO(written.decode(), newline=""), delimiter=delimiter, strict=True))
        assert read == rows


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("piece", [1, 2, 7, 10**6])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_of_python_is_read(delimiter, piece, end):
    rng = random.Random(4)
    texts, wanted = [], []
    for _ in range(40):
        rows, quoting = random_rows(rng), rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
        if end == "\n" and quoting == csv.QUOTE_MINIMAL:
            # Python's writer quotes a carriage return only when it belongs to the line end, and can't read that back.
            rows = [[field.replace("\r", "x") for field in row] for row in rows]
        out = io.StringIO(newline="")
        csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)
        text = out.getvalue()
        if rng.random() < 0.3:
            text = text.removesuffix(end)
        texts.append(text.encode())
        wanted.append(rows)
    for text, rows, (fine, answer) in zip(texts, wanted, run(texts, "csv-read", ord(delimiter), ord('"'), piece)):
        assert fine
        assert [json.loads(line) for line in answer.splitlines()] == rows, text


def test_csv_other_texts_as_python_reads_them():
    """Texts that nobody wrote by a rule: same fields as Python's, or a problem where Python's strict mode has one."""
    rng = random.Random(5)
    texts = [bytes(rng.choice(b'ab"",,\n') for _ in range(rng.randrange(25))) for _ in range(4000)]
    for text, (fine, answer) in zip(texts, run(texts, "csv-read", ord(","), ord('"'), 5)):
        got = [json.loads(line) for line in answer.splitlines()]
        try:
            rows = list(csv.reader(io.StringIO(text.decode(), newline=""), strict=True))
        except csv.Error:
            assert any(isinstance(row[-1], dict) for row in got), (text, got)
            continue
        assert got == [row or [""] for row in rows], text


@pytest.mark.parametrize("piece", [1, 3, 10**6])
def test_lines(piece):
    rng = random.Random(6)
    texts = [bytes(rng.choice(b"ab\r\n\n") for _ in range(rng.randrange(30))) for _ in range(500)]
    for text, (fine, answer) in zip(texts, run(texts, "lines", piece)):
        wanted = text.split(b"\n")
        if wanted[-1] == b"":
            wanted.pop()
        wanted = [line.removesuffix(b"\r").decode() for line in wanted]
        assert [json.loads(line) for line in answer.splitlines()] == wanted, text


def test_flat_json_to_csv():
    rng = random.Random(7)
    names = ["a", "b", "c d", "é"]
    objects = []
    for _ in range(500):
        o = {name: rng.choice([None, "", "\\N", 1, 1.5, 10**30, True, [1, "x,y"], {"z": None}, 'q"u,o\nte', " s ", "plain", "é😀"]) for name in rng.sample(names, rng.randrange(5))}
        if rng.random() < 0.3:
            o["other"] = 1
        objects.append(o)
    texts = [json.dumps(o, ensure_ascii=rng.random() < 0.5).encode() for o in objects]
    for o, text, (fine, answer) in zip(objects, texts, run(texts, "flat-csv", ",".join(names))):
        (row,) = csv.reader(io.StringIO(answer.decode(), newline=""), strict=True)

        def wanted(name):
            if name not in o:
                return ""
            value = o[name]
            return "\\N" if value is None else value if isinstance(value, str) else value

        assert fine and len(row) == len(names)
        for name, got in zip(names, row):
            value = wanted(name)
            assert (got == value) if isinstance(value, str) else (json.loads(got) == value), (o, answer)
    # One column: no row is a blank line, over which readers pass, and null is still not an empty text.
    only = run([b"{}", b'{"a":null}', b'{"a":""}', b'{"b":1}'], "flat-csv", "a")
    assert only == [(True, b"\\N\n"), (True, b"\\N\n"), (True, b'""\n'), (True, b"\\N\n")]
    bad = run([b"[1]", b'{"a":1', b'{"a":"\xff"}'], "flat-csv", "a")
    assert not any(fine for fine, _ in bad)


SIZES = [0, 1, 2, 1000, 65536, 300_000]


def contents():
    rng = random.Random(8)
    for size in SIZES:
        yield rng.randbytes(size)
        yield bytes(size)
        yield (b"".join(b'{"id":%d,"name":"n%d"}\n' % (i, rng.randrange(999)) for i in range(size // 20)))[:size]


@pytest.mark.parametrize("level", range(10))
def test_gzip_is_read_by_python(level):
    data = list(contents())
    for wanted, (fine, answer) in zip(data, run(data, "compress", "gzip", level)):
        assert fine and gzip.decompress(answer) == wanted
    joined = b"".join(answer for _, answer in run(data, "compress", "gzip", level))
    assert gzip.decompress(joined) == b"".join(data)


@pytest.mark.parametrize("level", [-7, -1, 1, 3, 9, 19])
def test_zstd_is_read_by_python(level):
    data = list(contents())
    for wanted, (fine, answer) in zip(data, run(data, "compress", "zstd", level)):
        assert fine
        reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(answer))
        assert reader.read() == wanted


def packed(codec, data, level):
    return gzip.compress(data, level) if codec == "gzip" else zstandard.ZstdCompressor(level=level, write_checksum=True).compress(data)


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
@pytest.mark.parametrize("piece, limit", [(1, 10**9), (100, 1), (65536, 65536), (10**7, 10**9)])
def test_decompression_of_pythons(codec, piece, limit):
    data = [content for content in contents() if piece > 1 or len(content) < 2000]
    texts = [packed(codec, content, level) for level, content in zip([1, 6, 9] * 9, data)]
    texts.append(b"".join(texts))
    data.append(b"".join(data))
    for wanted, (fine, answer) in zip(data, run(texts, "decompress", codec, piece, limit)):
        assert fine, answer
        assert answer == wanted


def test_gzip_headers_and_padding():
    """A name in the header, and zero bytes behind the last member."""
    named = io.BytesIO()
    with gzip.GzipFile(filename="a name", mode="wb", fileobj=named) as file:
        file.write(b"hello")
    assert run([named.getvalue(), named.getvalue() + b"\0" * 512, b""], "decompress", "gzip", 3, 10**6) == [
        (True, b"hello"), (True, b"hello"), (True, b"")]


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_damaged_input(codec):
    """Cut at every byte, and every byte changed: an error that names an offset, or (a changed header field that means
    nothing) the right content; never other content."""
    content = b"".join(b'{"id":%d}\n' % i for i in range(60))
    whole = packed(codec, content, 6)
    cut = [whole[:n] for n in range(1, len(whole))] + [whole + whole[:n] for n in range(1, len(whole))]
    for fine, answer in run(cut, "decompress", codec, 7, 10**6):
        assert not fine and "truncated_compression" in answer and "bytes" in answer
    changed = [whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :] for at in range(len(whole)) for bit in (1, 0x80)]
    refused = 0
    for fine, answer in run(changed, "decompress", codec, 7, 10**6):
        assert not fine or answer == content
        refused += not fine
        assert fine or "formats.corrupt_compression" in answer or "formats.truncated_compression" in answer, answer
    assert refused > len(changed) * 0.9
    trailing = run([whole + b"x", b"garbage that is neither", whole + b"\0\0x"], "decompress", codec, 100, 10**6)
    assert not any(fine for fine, _ in trailing)
    assert all("near byte" in answer or "truncated" in answer for _, answer in trailing), trailing
