"""A set of small integers as bits in int32 words, and the rank of each member, in Triton."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# (Triton's kernels take blocks, for which there is no type.)
from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

BITS = tl.constexpr(32)
WORDS_PER_PROGRAM = 4096


def count_members_before(words: Tensor) -> tuple[Tensor, Tensor]:
    """Count the members before each word, (W,) int32, and in all, (1,) int32, without waiting for that."""
    before, total = words.new_empty(len(words)), words.new_empty(1)
    num_programs = triton.cdiv(len(words), WORDS_PER_PROGRAM)
    sums = words.new_empty(num_programs)
    if num_programs > 1:
        _sum_words[(num_programs,)](words, sums, len(words), BLOCK=WORDS_PER_PROGRAM)
    _count_before_words[(num_programs,)](
        words,
        sums,
        before,
        total,
        len(words),
        NUM_SUMS=triton.next_power_of_2(num_programs),
        BLOCK=WORDS_PER_PROGRAM,
        num_warps=8,
    )
    return before, total


@triton.jit
def insert_members(words, member, inside):
    """Insert members into the set.

    Args:
        words: pointer to the set, int32.
        member: block of integers.
        inside: block of bool, which of them to insert.
    """
    bit = (1 << (member % BITS)).to(tl.int32)
    tl.atomic_or(words + member // BITS, bit, mask=inside, sem="relaxed")


@triton.jit
def rank_member(words, before, member, inside):
    """Count the members that are smaller than `member`.

    Args:
        words: pointer to the set, int32.
        before: pointer to the members before each word, int32.
        member: block of integers.
        inside: block of bool, which of them to rank.

    Returns:
        Block of int64.
    """
    word = tl.load(words + member // BITS, mask=inside, other=0)
    lower_bits = ((1 << (member % BITS)) - 1).to(tl.int32)
    return tl.load(before + member // BITS, mask=inside, other=0).to(tl.int64) + count_bits(word & lower_bits)


@triton.jit
def count_bits(word):
    """Count the bits set in an int32."""
    bits = word.to(tl.uint32, bitcast=True)
    bits = bits - ((bits >> 1) & 0x55555555)
    bits = (bits & 0x33333333) + ((bits >> 2) & 0x33333333)
    bits = (bits + (bits >> 4)) & 0x0F0F0F0F
    return ((bits * 0x01010101) >> 24).to(tl.int32)


@triton.jit
def _sum_words(words, sums, num_words, BLOCK: tl.constexpr):
    word = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    bits = count_bits(tl.load(words + word, mask=word < num_words, other=0))
    tl.store(sums + tl.program_id(0), tl.sum(bits, axis=0))


@triton.jit
def _count_before_words(words, sums, before, total, num_words, NUM_SUMS: tl.constexpr, BLOCK: tl.constexpr):
    program = tl.program_id(0)
    earlier = tl.arange(0, NUM_SUMS)
    offset = tl.sum(tl.load(sums + earlier, mask=earlier < program, other=0), axis=0)
    word = program * BLOCK + tl.arange(0, BLOCK)
    bits = count_bits(tl.load(words + word, mask=word < num_words, other=0))
    up_to = offset + tl.cumsum(bits, axis=0)
    tl.store(before + word, up_to - bits, mask=word < num_words)
    tl.store(total + tl.zeros_like(word), up_to, mask=word == num_words - 1)
