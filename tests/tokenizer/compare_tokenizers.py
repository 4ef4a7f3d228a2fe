# SPDX-License-Identifier: Apache-2.0
"""Our token ids against those of PyPI's `tokenizers`, id for id.

    compare_tokenizers.py ENCODE_LINES [--seed N] [--glosses N] [--hostile N] [--folders N]

Texts: WordNet noun glosses and hostile Unicode drawn with the seed, and each of the 1,112,064 code points alone,
between two letters and after a space (cased: those of the planes in use). Vocabularies: that of a model folder (HCCS_MODEL, default build/demo/model), of
HCCS_DATA if that is set, and one made here of single characters, under which no character hides in an [UNK].
Pairs of these texts are compared as well, cut to several lengths ("longest first"), with where the second text begins.
Folders with added tokens of every property are drawn too, described by tokenizer.json or by tokenizer_config.json.
Exit code 1 for a difference, 77 (skipped) without `tokenizers`.
"""

import argparse
import itertools
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import time
import unicodedata

try:
    import numpy
    import tokenizers
    from tokenizers.implementations import BertWordPieceTokenizer
except ImportError as error:
    print(f"skipped: {error} (tests/requirements.txt)")
    sys.exit(77)

SHOWN_DIFFERENCES = 5
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
USED_CODE_POINTS = [c for c in CODE_POINTS if c < 0x34000 or 0xE0000 <= c < 0xE1000]  # others: unassigned, private use

WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u180e\u2000\u2003\u200a\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
CASING = (
    "İ ı I i Σ ς σ ΟΔΟΣ ΣΑΣ. ß ẞ ﬁ ﬃ ǅ Ǆ ǆ K Å Ω ŉ ΐ ᾈ ᾳ Ⓐ Ⅷ Ａｚ Ა ა Ꭰ ꭰ 𐐀 𞤀 Ǳ Ⱥ ⱥ Ɤ ɤ Ƛ ÅNGSTRÖM CAFÉ naïve Ǖ ṩ ệ "
    "Ё ё Й й Ґ STRASSE ΆΝΘΡΩΠΟΣ Ἄ ᾯ Ǻ Ꟗ Ɜ"
).split() + ["\u1c89", "\ua7cb", "\ua7dc", "\U00010d50", "\U00016ea0", "I\u0307", "i\u0307"]
EMOJI = [
    "👩\u200d👩\u200d👧\u200d👦", "👍🏽", "🇩🇪", "🇩", "1\ufe0f\u20e3", "❤\ufe0f\u200d🔥", "☺\ufe0e",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "\u200d", "🫠", "🫨", "🤦🏿\u200d♀\ufe0f",
]
SPECIAL_LOOKALIKES = SPECIAL + [
    "[mask]", "[MASK", "MASK]", "[[MASK]]", "[ MASK ]", "[MA\u200dSK]", "[CLS][SEP]", "[Mask]", "[UN[UNK]K]", "##", "##s",
    "[MASK]\u0301", "a[SEP]b", "[unused5]", "[UNK]s", "[PAD]]", "[\u0301MASK]",
]
NOT_UTF8 = [
    b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x80", b"\xed\xb8\x80\xed\xa0\xbd", b"\xc0\x80", b"\xc1\xbf",
    b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80",
    b"\xff", b"\xfe", b"\x80", b"\xbf\xbf", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xe2\x28\xa1", b"\xf8\x88\x80\x80\x80",
    b"[MA\xffSK]", b"caf\xe9", b"\xe2[MASK]",
]  # fmt: skip
PLAIN = "The QUICK brown-fox's don't (e.g. U.S.A.) 3.14% $5 a_b x^2 `~ <tag/> unaffable embeddings #1 ##ing C++".split()


class Hostile:
    """Draws texts, as bytes, that a tokeniser may stumble over."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        # By blocks of 128, so that small scripts are drawn as often as Han.
        assigned = {}
        for c in CODE_POINTS:
            if unicodedata.category(chr(c)) not in ("Cn", "Co"):
                assigned.setdefault(c >> 7, []).append(chr(c))
        self.blocks = list(assigned.values())
        # Marks that reorder, with those of Unicode versions that one side or the other does not know.
        self.marks = [chr(c) for c in CODE_POINTS if unicodedata.combining(chr(c))]
        self.marks += [chr(c) for c in range(0x10EFD, 0x10F00)] + ["\u0897", "\U00011f41", "\U0001e4ec", "\U00016ff0"]
        self.decomposing = [chr(c) for c in CODE_POINTS if unicodedata.decomposition(chr(c))[:1] not in ("", "<")]
        self.changed = "\u1734\u1885\u1886\ua9bd\U000111c9\u166d\u08e2\u180e\U00011938\u1171e\u19b0"

    def pick(self, low, high):
        return chr(self.random.randint(low, high))

    def some(self, choices, low=1, high=6):
        return "".join(self.random.choices(choices, k=self.random.randint(low, high)))

    def element(self):
        r = self.random
        match r.randrange(21):
            case 0 | 1 | 2:
                return self.some(r.choice(self.blocks), 1, 10)
            case 3:
                return r.choice(PLAIN)
            case 4:
                return r.choice(CASING)
            case 5:
                return r.choice(EMOJI)
            case 6:
                return r.choice(SPECIAL_LOOKALIKES)
            case 7:
                return r.choice(NOT_UTF8)
            case 8:
                return self.some(WHITE_SPACE)
            case 9:
                return self.some(BIDI + "אבجد") + r.choice(PLAIN)
            case 10:
                return r.choice(["a", "E", "ه", "한", "ᄀ", "漢", ""]) + self.some(self.marks, 1, 12)
            case 11:
                return self.some(self.decomposing) + self.some(self.marks, 0, 3)
            case 12:  # around the limit of 100 characters, before and after normalisation
                unit = r.choice(["x", "é", "e\u0301", "한", "Ω", "ab\u200d", "\U0001d15e", "ﬁ", "\u1e69", "\U00011938"])
                return unit * r.choice([25, 33, 34, 49, 50, 51, 99, 100, 101, 102, 300])
            case 13:
                return "".join(self.pick(0x4E00, 0x9FFF) for _ in range(r.randint(1, 5)))
            case 14:
                return self.pick(*r.choice([(0x3400, 0x4DBF), (0x20000, 0x2FA1F), (0x30000, 0x323AF), (0xF900, 0xFAFF)]))
            case 15:
                return self.pick(0xAC00, 0xD7A3) + self.pick(0x1100, 0x11FF) + self.pick(0xD7B0, 0xD7FF)
            case 16:  # private use, non-characters, unassigned
                return r.choice([self.pick(0xE000, 0xF8FF), self.pick(0xFDD0, 0xFDEF), "\uffff", self.pick(0x40000, 0x10FFFF)])
            case 17:
                return self.pick(0, 0x1F) + self.pick(0x7F, 0x9F) + "\0"
            case 18:
                return self.some(self.changed) + r.choice(PLAIN)
            case 19:
                return r.randbytes(r.randint(1, 12))
            case _:
                return "".join(chr(r.choice(CODE_POINTS)) for _ in range(r.randint(1, 8)))

    def text(self):
        parts = []
        for _ in range(self.random.randint(1, 12)):
            element = self.element()
            parts.append(element if isinstance(element, bytes) else element.encode())
            parts.append(self.random.choice([b"", b"", b" ", b" ", b"-", b"\n"]))
        return b"".join(parts)


def code_point_texts(code_points, together=32):
    """Each code point alone, between letters and after a space, some together in a text as that is much quicker: a
    special token ends what normalisation sees, a space ends a word."""
    for i in range(0, len(code_points), together):
        characters = [chr(c) for c in code_points[i : i + together]]
        yield "[SEP]".join(characters).encode()
        yield " ".join(f"a{c}b" for c in characters).encode()
        yield "".join(f" {c}" for c in characters).encode()


def wordnet_glosses(path=pathlib.Path("/usr/share/wordnet/data.noun")):
    if not path.exists():
        print(f"no glosses: {path} does not exist (Debian's wordnet-base)")
        return []
    return [line.split(b"|", 1)[1] for line in path.read_bytes().splitlines() if b"|" in line]


def write_character_vocabulary(path):
    """Every character that is no white space, as the beginning of a word and as its continuation. The unused planes are
    left out: there, a character that is not dropped shows as [UNK]. So is NUL, which no vocabulary file may hold."""
    characters = [chr(c) for c in USED_CODE_POINTS if c != 0 and not chr(c).isspace()]
    lines = itertools.chain(SPECIAL, characters, ("##" + c for c in characters))
    path.write_bytes("".join(line + "\n" for line in lines).encode())


def our_ids(encode_lines, vocabulary, mode, texts):
    request = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    answer = subprocess.run([encode_lines, vocabulary, mode], input=request, stdout=subprocess.PIPE, check=True).stdout
    numbers = numpy.frombuffer(answer, "<i4")
    position, result = 0, []
    for _ in texts:
        size = numbers[position]
        result.append(numbers[position + 1 : position + 1 + size].tolist())
        position += 1 + size
    assert position == len(numbers)
    return result


def count_differences(name, reference, encode_lines, vocabulary, mode, texts):
    start, differences = time.monotonic(), 0
    ours = our_ids(encode_lines, vocabulary, mode, texts)
    theirs = reference.encode_batch([text.decode(errors="replace") for text in texts])
    for text, got, expected in zip(texts, ours, theirs):
        if got != expected.ids:
            differences += 1
            if differences <= SHOWN_DIFFERENCES:
                print(f"DIFFERENT {text!r}\n  expected {expected.ids} {expected.tokens}\n  got      {got}")
    print(f"{name}: {len(texts)} texts, {differences} differ, {time.monotonic() - start:.1f} s", flush=True)
    return differences


PAIR_LENGTHS = (3, 4, 5, 8, 17, 32, 64, 128)


def count_pair_differences(name, vocabulary, encode_lines, texts, seed):
    """Pairs as `tokenizers` cuts them."""
    reference = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
    chosen = random.Random(seed)
    pairs = [(chosen.choice(texts), chosen.choice(texts)) for _ in range(3000)]
    pairs += [(text, text) for text in texts[:500]] + [(b"", text) for text in texts[:100]] + [(text, b"") for text in texts[:100]]
    request = b"".join(struct.pack("<I", len(text)) + text for pair in pairs for text in pair)
    decoded = [tuple(text.decode(errors="replace") for text in pair) for pair in pairs]
    differences = 0
    for length in PAIR_LENGTHS:
        command = [encode_lines, vocabulary, "uncased", str(length)]
        numbers = numpy.frombuffer(subprocess.run(command, input=request, stdout=subprocess.PIPE, check=True).stdout, "<i4")
        reference.enable_truncation(length, strategy="longest_first")
        position = 0
        for pair, expected in zip(decoded, reference.encode_batch(decoded)):
            begin, size = numbers[position : position + 2]
            got = numbers[position + 2 : position + 2 + size].tolist()
            position += 2 + size
            if got != expected.ids or begin != expected.type_ids.index(1):
                differences += 1
                if differences <= SHOWN_DIFFERENCES:
                    print(f"DIFFERENT {pair!r} cut to {length}\n  expected {expected.ids}\n  got      {got}, second from {begin}")
        assert position == len(numbers)
    print(f"{name}: {len(pairs)} pairs cut to each of {PAIR_LENGTHS}, {differences} differ", flush=True)
    return differences


ADDED = ["[ENT]", "[REL]", "ent", "Entity", "[ENT]s", "[ent]", "new york", "New", " x", "x ", "\u6f22", "\u6f22\u5b57", "caf\u00e9", "CAF\u00c9",
         "##s", "<t>", "<t", "t>", "_a_", "\u00c5", "\u0130", "\u03a3", "a-b", "...", "[MASK]", "[SEP]", "\U0001f600", "e\u0301", "\u0628", "[unused5]", "z\u200d"]


def draw_folder(folder, seed):
    """Writes a folder's tokeniser files with added tokens; returns the reference and texts that hold such tokens."""
    r = random.Random(seed)
    vocabulary = folder / "vocab.txt"
    words = [chr(c) for c in range(0x21, 0x7F)] + "the new york cafe entity ent sat on x a b".split() + ["caf\u00e9", "\u6f22", "\u5b57", "\u0628"]
    words = list(dict.fromkeys(SPECIAL + words + ["##" + chr(c) for c in range(0x61, 0x7B)] + ["##s", "[unused5]"]))
    vocabulary.write_text("".join(w + "\n" for w in words), encoding="utf-8")
    options = {"lowercase": r.random() < 0.6, "strip_accents": r.choice([None, True, False]), "handle_chinese_chars": r.random() < 0.7}
    reference = BertWordPieceTokenizer(str(vocabulary), **options)
    tokens = [tokenizers.AddedToken(content, single_word=r.random() < 0.3, lstrip=r.random() < 0.3, rstrip=r.random() < 0.3,
                                    normalized=r.random() < 0.5, special=r.random() < 0.3)
              for content in r.sample(ADDED, r.randint(1, 12))]  # fmt: skip
    # Of tokens that are the same once normalised, `tokenizers` takes another one in each run: one of them stays.
    tokens = list({reference.normalizer.normalize_str(t.content) if t.normalized else (t.content,): t for t in tokens}.values())
    for token in tokens:
        (reference.add_special_tokens if token.special else reference.add_tokens)([token])
    reference.save(str(folder / "tokenizer.json"))
    texts = []
    for _ in range(150):
        parts = [r.choice([r.choice(ADDED), r.choice(tokens).content, r.choice(words), r.choice(WHITE_SPACE)]) for _ in range(r.randint(1, 9))]
        texts.append("".join(p + r.choice(["", "", " ", "a", "_", "\u0301", "  ", "S"]) for p in parts).encode())
    if r.random() < 0.5:  # the same without tokenizer.json
        saved = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
        decoder = {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in saved}
        config = {"do_lower_case": options["lowercase"], "tokenize_chinese_chars": options["handle_chinese_chars"],
                  "strip_accents": options["strip_accents"], "added_tokens_decoder": decoder}  # fmt: skip
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
        (folder / "tokenizer.json").unlink()
    elif r.random() < 0.5:
        vocabulary.unlink()
    return reference, texts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encode_lines", help="the program built from encode_lines.cc")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--glosses", type=int, default=20_000, help="number of glosses (there are 82,115)")
    parser.add_argument("--hostile", type=int, default=20_000, help="number of hostile texts")
    parser.add_argument("--folders", type=int, default=60, help="number of folders with added tokens")
    options = parser.parse_args()
    print(f"tokenizers {tokenizers.__version__}, seed {options.seed}")

    hostile = Hostile(options.seed)
    fixed = [b"", *NOT_UTF8, *(text.encode() for text in [*CASING, *EMOJI, *SPECIAL_LOOKALIKES, *WHITE_SPACE, *BIDI])]
    lines = fixed + [hostile.text() for _ in range(options.hostile)]
    glosses = wordnet_glosses()
    real = random.Random(options.seed).sample(glosses, min(options.glosses, len(glosses))) + lines

    differences = 0

    def compare(name, reference, vocabulary, mode, texts):
        nonlocal differences
        differences += count_differences(f"{name}, {mode}", reference, options.encode_lines, vocabulary, mode, texts)

    def compare_vocabulary(name, vocabulary, mode, texts):
        reference = BertWordPieceTokenizer(str(vocabulary), lowercase=mode == "uncased")
        compare(name, reference, vocabulary, mode, texts)

    model = pathlib.Path(os.environ.get("HCCS_MODEL", "build/demo/model"))
    vocabularies = [model / "vocab.txt"]
    if data := os.environ.get("HCCS_DATA"):
        vocabularies += [pathlib.Path(data) / "bert_vocab/vocab.txt", pathlib.Path(data) / "data/bert_vocab/vocab.txt"]
    seen = set()
    for vocabulary in vocabularies:
        if not vocabulary.exists():
            print(f"left out: {vocabulary} does not exist")
        elif (content := vocabulary.read_bytes()) not in seen:
            seen.add(content)
            for mode in ("uncased", "cased"):
                compare_vocabulary(str(vocabulary), vocabulary, mode, real)
            differences += count_pair_differences(vocabulary, vocabulary, options.encode_lines, real, options.seed)
    if (model / "tokenizer.json").exists():
        reference = tokenizers.Tokenizer.from_file(str(model / "tokenizer.json"))
        reference.no_truncation()
        reference.no_padding()
        compare(str(model / "tokenizer.json"), reference, model / "vocab.txt", "uncased", real)

    with tempfile.TemporaryDirectory() as folder:
        vocabulary = pathlib.Path(folder) / "vocab.txt"
        write_character_vocabulary(vocabulary)
        for mode, code_points in (("uncased", CODE_POINTS), ("cased", USED_CODE_POINTS)):
            compare_vocabulary("single characters", vocabulary, mode, lines + list(code_point_texts(code_points)))

    added, compared = 0, 0
    for i in range(options.folders):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            reference, texts = draw_folder(folder, options.seed * 1000 + i)
            for text, got, expected in zip(texts, our_ids(options.encode_lines, folder, "folder", texts),
                                           reference.encode_batch([text.decode() for text in texts])):  # fmt: skip
                compared += 1
                if got != expected.ids:
                    added += 1
                    if added <= SHOWN_DIFFERENCES:
                        print(f"DIFFERENT {text.decode()!r} in {sorted(p.name for p in folder.iterdir())}, seed {options.seed * 1000 + i}\n"
                              f"  expected {expected.ids} {expected.tokens}\n  got      {got}")  # fmt: skip
    print(f"{options.folders} folders with added tokens: {compared} texts, {added} differ")
    differences += added
    print(f"seed {options.seed}: {differences} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
