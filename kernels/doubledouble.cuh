// doubledouble.cuh: unevaluated sums high + low of about 106 bits: gpuols.numerics.doubledouble, to
// the bit.
//
// Source: Knuth, The Art of Computer Programming 2, 4.2.2; Dekker (1971); Hida, Li & Bailey (2001),
// Algorithms for quad-double precision floating point arithmetic.

#ifndef GPUOLS_DOUBLEDOUBLE_CUH
#define GPUOLS_DOUBLEDOUBLE_CUH
#include "common.cuh"

struct Pair {
    double high = 0.0, low = 0.0;
};

// Many of them.
struct Numbers {
    double *high, *low;

    __device__ Pair operator[](int e) const { return {high[e], low[e]}; }
    __device__ void put(int e, const Pair& number) const {
        high[e] = number.high;
        low[e] = number.low;
    }
};

// a + b = sum + rest, exactly.
__device__ __forceinline__ double two_sum(double a, double b, double& rest) {
    const double sum = __dadd_rn(a, b), other = __dsub_rn(sum, a);
    rest = __dadd_rn(__dsub_rn(a, __dsub_rn(sum, other)), __dsub_rn(b, other));
    return sum;
}

// The same where |a| >= |b|.
__device__ __forceinline__ Pair fast_two_sum(double a, double b) {
    const double sum = __dadd_rn(a, b);
    return {sum, __dsub_rn(b, __dsub_rn(sum, a))};
}

__device__ __forceinline__ Pair two_product(double a, double b) {
    const double product = __dmul_rn(a, b);
    return {product, __fma_rn(a, b, -product)};
}

// Accurate also where the two cancel.
__device__ __forceinline__ Pair add(const Pair& a, const Pair& b) {
    double high_error, low_error;
    const double high = two_sum(a.high, b.high, high_error);
    const double low = two_sum(a.low, b.low, low_error);
    const Pair near = fast_two_sum(high, __dadd_rn(high_error, low));
    return fast_two_sum(near.high, __dadd_rn(near.low, low_error));
}

__device__ __forceinline__ Pair subtract(const Pair& a, const Pair& b) {
    return add(a, {-b.high, -b.low});
}

__device__ __forceinline__ Pair multiply(const Pair& a, const Pair& b) {
    const Pair product = two_product(a.high, b.high);
    const double rest = __dadd_rn(__dmul_rn(a.high, b.low), __dmul_rn(a.low, b.high));
    return fast_two_sum(product.high, __dadd_rn(product.low, rest));
}

// Long division in three steps.
__device__ __forceinline__ Pair divide(const Pair& a, const Pair& b) {
    const double first = __ddiv_rn(a.high, b.high);
    Pair rest = subtract(a, multiply(b, {first, 0.0}));
    const double second = __ddiv_rn(rest.high, b.high);
    rest = subtract(rest, multiply(b, {second, 0.0}));
    return add(fast_two_sum(first, second), {__ddiv_rn(rest.high, b.high), 0.0});
}

// One Newton step from the root of the high part (Karp & Markstein, 1997).
__device__ __forceinline__ Pair square_root(const Pair& a) {
    const double root = __dsqrt_rn(a.high);
    const Pair rest = subtract(a, two_product(root, root));
    return fast_two_sum(root, __ddiv_rn(rest.high, __dmul_rn(2.0, root)));
}

// Adds a product, both low parts counted, as gpuols.numerics.compensated does.
__device__ __forceinline__ void add_product(Pair& sum, const Pair& a, const Pair& b) {
    const Pair product = two_product(a.high, b.high);
    double error = __dadd_rn(product.low, __dmul_rn(a.high, b.low)), rest;
    error = __dadd_rn(__dadd_rn(error, __dmul_rn(a.low, b.high)), sum.low);
    const double total = two_sum(sum.high, product.high, rest);
    sum = fast_two_sum(total, __dadd_rn(error, rest));
}

#endif  // GPUOLS_DOUBLEDOUBLE_CUH
