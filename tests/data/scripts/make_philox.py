"""Record Philox4x32-10 blocks and the normals that Tintype draws from them.

Usage: python make_philox.py OUT.json

Written from the definition (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11), in
Python's integers, and refused unless it gives the answers that others published:
- Random123's tests/kat_vectors, the three lines "philox4x32 10";
- what PyTorch printed for `torch.manual_seed(0); torch.randn(8, 8, device="cuda")` (four decimals).

{"blocks": [[counter, key, words]], "printed": [...], "normals": [{"seed", "draw", "values": float64}]}
"""

import json
import math
import random
import sys

MASK = 2**32 - 1
PUBLISHED = """
00000000 00000000 00000000 00000000 00000000 00000000 6627e8d5 e169c58d bc57ac4c 9b00dbd8
ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff 408f276d 41c83b0e a20bc7c6 6d5451fd
243f6a88 85a308d3 13198a2e 03707344 a4093822 299f31d0 d16cfe09 94fdcceb 5001e420 24126ea1
"""
PRINTED = """
-0.9247 -0.4253 -2.6438  0.1452 -0.1209 -0.5797 -0.6229 -0.3284
-1.0745 -0.3631 -1.6711  2.2655  0.3117 -0.1842  1.2866  1.1820
-0.1271  1.2169  1.4353  1.0605 -0.4941 -1.4244 -0.7244 -1.2973
 0.0697 -0.0074  1.8969  0.6878 -0.0779 -0.8373  1.3506 -0.2879
-0.5965 -0.3283 -0.9086 -0.8059 -0.7407 -0.0504  0.5435  1.5150
 0.0141  0.4532  1.6349  0.7124 -0.1806  1.0252 -1.4622 -0.7554
-0.1836  0.3824  0.3918 -0.0830  0.8971 -1.1123  0.1116  0.4863
-0.5499 -0.3231 -0.5469  0.9049  0.2837  0.1210  0.4730 -1.0823
"""


def block(counter: list[int], key: list[int]) -> list[int]:
    """Ten rounds: two multiplications, whose high words are mixed with the counter and the key."""
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for _ in range(10):
        first, second = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (second >> 32) ^ c1 ^ k0, second & MASK, (first >> 32) ^ c3 ^ k1, first & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return [c0, c1, c2, c3]


def normals(seed: int, draw: int, count: int) -> list[float]:
    """As cuRAND maps words to normals: Box and Muller's sine of the first two words, in float64 here."""
    values = []
    for index in range(count):
        words = block([draw, 0, index, 0], [seed & MASK, seed >> 32])
        radius = math.sqrt(-2 * math.log((words[0] + 0.5) * 2.0**-32))
        values.append(radius * math.sin((words[1] + 0.5) * 2.0**-32 * 2 * math.pi))
    return values


def main(output: str) -> None:
    blocks = []
    for line in PUBLISHED.strip().splitlines():
        words = [int(word, 16) for word in line.split()]
        assert block(words[:4], words[4:6]) == words[6:], line
        blocks.append([words[:4], words[4:6], words[6:]])
    printed = [float(word) for word in PRINTED.split()]
    for ours, theirs in zip(normals(0, 0, len(printed)), printed, strict=True):
        assert abs(ours - theirs) <= 5.1e-5, (ours, theirs)
    source = random.Random(0)
    for _ in range(64):
        counter, key = ([source.getrandbits(32) for _ in range(n)] for n in (4, 2))
        blocks.append([counter, key, block(counter, key)])
    draws = [
        {"seed": seed, "draw": draw, "values": normals(seed, draw, 64)}
        for seed in (0, 1, 42, 2**31 - 1, 2**32 - 1)
        for draw in (0, 1)
    ]
    with open(output, "w") as file:
        json.dump({"blocks": blocks, "printed": printed, "normals": draws}, file)
        file.write("\n")


main(sys.argv[1])
