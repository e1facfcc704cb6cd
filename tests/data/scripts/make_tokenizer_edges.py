"""Record token ids of awkward texts from Hugging Face: special tokens in the text, `!` as the padding token, long words.

Usage: python make_tokenizer_edges.py TESTS_DATA_DIR      (writes tokenizers/edges.json and tokenizers/t5_bytes)
Each row: {"tokenizer": folder, "kind": "clip" | "t5", "bos", "eos", "pad", "text", "ids"}; CLIP padded/cut to 77.
"""

import json
import pathlib
import random
import sys

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import CLIPTokenizer

data = pathlib.Path(sys.argv[1])
rng = random.Random(5)

TEXTS = [
    "!", "a!b", "hi! there!!", "a <|STARTOFTEXT|> b", "a<|startoftext|>!b", "x<|endoftext|>y <|endoftext|>", "<|startof",
    "</s>", "a </s> b", " </s>", "<pad><unk>x", "ΑΣ ΟΔΟΣ", "İstanbul IĞDIR", "ǅ ﬀ ß ẞ", "e\u0301\u0323 o\u0302\u0301",
    "한국어 각", "\u1100\u1161\u11a8", "'s's 'T it'S ''s 'll've", "1²₃½Ⅷ٣", "a\u200db\u200cc\ufeffd", "\u0000a\u0000", "\u0085a\u2028b\u3000c",
    "a\u0300\u0301\u0302", "क्षत्रिय श्री", "👩‍👩‍👧‍👦🇩🇪🇫🇷", "\r\n\r\n", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "ａｂｃ　ｄ", "ﷺ ㍿ ①", "x" * 300, "é" * 200, "!" * 100,
    "word " * 120, "a" * 3 + "\u0301" * 50, "▁a ▁▁ b▁", "a   b    c", "   ", "\t\n x",
]
ALPHABET = "ab AB'!<|>sdt1²éßσΣ\u0301\u0300\u3000 \u00a0\n한ㅎ한字かか゛😀👍🏽\u200d½ﬁǆ/-_▁"
TEXTS += ["".join(rng.choice(ALPHABET) for _ in range(rng.randint(1, 40))) for _ in range(400)]

pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + [(f"<0x{b:02X}>", -20.0) for b in range(256)]
pieces += [("▁", -2.0), ("▁a", -2.5), ("a", -3.0), ("b", -3.0), ("ab", -3.5), ("é", -6.0), ("▁ab", -4.0), ("s", -4.0)]
pieces += [("1", -4.5), ("字", -7.0), ("<x>", 0.0)]
t5 = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=True))
t5.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Strip(left=True, right=True),
                                      normalizers.Replace("-", "ab"), normalizers.Replace(Regex(r"\s+"), " "),
                                      normalizers.Lowercase()])
t5.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
t5.post_processor = processors.TemplateProcessing(single="<pad> $A </s>", special_tokens=[("</s>", 1), ("<pad>", 0)])
t5.add_special_tokens([AddedToken("<pad>"), AddedToken("</s>"), AddedToken("<x>", lstrip=True, rstrip=True)])
t5.add_tokens([AddedToken("bab", normalized=True, single_word=True)])
(data / "tokenizers/t5_bytes").mkdir(exist_ok=True)
t5.save(str(data / "tokenizers/t5_bytes/tokenizer.json"))
TEXTS += ["a <x>  b<x>", "bab ab bab! xbab BAB", "  lead", "a-b--", "<x><x> <x>"]

# What a wrong composition joins: a jamo past the vowels or the finals, scalars whose lower 16 bits are a letter's.
TEXTS += ["\u1108\u1176", "\u1100\u1161\u11a7", "\uac00\u11c3\u11a8", "\U000e0065\u0328", "\U000e01a0\u0300",
          "o\u031b\u0323\u0301", "q\u0323\u0307 q\u0307\u0323", "\u0958\u0344\u2126\u212b", "\U0001109b\U000110ba",
          "\u0385\u0328"]

rows = []
for folder, pad in (("sd3-medium-tiny/tokenizer", "<|endoftext|>"), ("sd3-medium-tiny/tokenizer_2", "!")):
    clip = CLIPTokenizer.from_pretrained(data / folder, model_max_length=77, pad_token=pad)
    special = {"bos": clip.bos_token_id, "eos": clip.eos_token_id, "pad": clip.pad_token_id}
    for text in TEXTS:
        ids = clip(text, padding="max_length", max_length=77, truncation=True).input_ids
        rows.append({"tokenizer": folder, "kind": "clip", **special, "text": text, "ids": ids})
for folder in ("sd3-medium-tiny/tokenizer_3", "tokenizers/t5", "tokenizers/t5_bytes"):
    t5 = Tokenizer.from_file(str(data / folder / "tokenizer.json"))
    for text in TEXTS:
        rows.append({"tokenizer": folder, "kind": "t5", "pad": 0, "text": text, "ids": t5.encode(text).ids})
(data / "tokenizers/edges.json").write_text(json.dumps(rows, ensure_ascii=False, separators=(",", ":")) + "\n")
print(len(rows), "rows")
