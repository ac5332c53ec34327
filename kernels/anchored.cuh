// anchored.cuh: sums of products of double-doubles, each held near a power of two that is nearly four
// times as large, or more: what a product loses there is exact after one subtraction, and takes 6
// operations with the low parts instead of 17.
//
// A sum starts at C = 2^(a + b), a and b such that 2^2a and 2^2b are four to sixteen times the sums of
// squares of its two columns, which are known but for their rounding. So it stays between C/2 and 2C,
// and over a run of ν rows its error is at most 16 (1.5 ν² + 5.5 ν) 2⁻¹⁰⁶ times the root of the product
// of those two.
//
// Source: Rump, Ogita & Oishi (2008), Accurate floating-point summation part I, for the extraction.

#ifndef GPUOLS_ANCHORED_CUH
#define GPUOLS_ANCHORED_CUH
#include "doubledouble.cuh"
#include "trust.cuh"

// Error of what anchored sums give, in coefficients and standard errors, up to which it can't be seen.
constexpr double UNSEEN = 2.0 * UNIT;

// What anchored sums over so many rows, at most 64 of them on one lane, add to γ₂.
__device__ __forceinline__ double rounding_of_anchored(double rows) {
    const double run = fmin(rows, 64.0);
    return (6.0 * run + 22.0) * run * (4.0 * UNIT * UNIT);
}

// 2^a, given the sum of squares as it was computed.
__device__ __forceinline__ double anchor_of(double squares) {
    const int exponent = squares > 0.0 ? exponent_of(squares) : 0;
    return power_of_two(max(-500, min(500, (exponent + 3) >> 1)));
}

__device__ __forceinline__ void add_anchored(Pair& sum, const Pair& a, const Pair& b) {
    const double total = __fma_rn(a.high, b.high, sum.high);
    const double lost = __fma_rn(a.high, b.high, __dsub_rn(sum.high, total));
    sum.low = __fma_rn(a.high, b.low, __fma_rn(a.low, b.high, __dadd_rn(sum.low, lost)));
    sum.high = total;
}

// The sum itself.
__device__ __forceinline__ Pair released(const Pair& sum, double anchor) {
    Pair found;
    found.high = two_sum(__dsub_rn(sum.high, anchor), sum.low, found.low);
    return found;
}

#endif  // GPUOLS_ANCHORED_CUH
