// trust.cuh: what the numbers of a regression are worth: gpuols.engines.trust in double.
//
// With g² the sums of squares about the anchor, V² = Σ g²ⱼ (A⁻¹)ⱼⱼ and T² = Σ g²ⱼ b²ⱼ + g²_y,
// rounding in the sums moves b by γ V T in units of the root of (A⁻¹)ⱼⱼ.

#ifndef GPUOLS_TRUST_CUH
#define GPUOLS_TRUST_CUH
#include "common.cuh"

enum Status { OK = 0, UNTRUSTED = 1, RANK_DEFICIENT = 2, TOO_FEW_ROWS = 3, NONFINITE = 4 };

constexpr double UNIT = 1.1102230246251565e-16;
// Sums of squares beyond 2^±900 are too near to overflow or underflow to be trusted.
constexpr double LARGEST = 8.452712498170644e270;
// Pivots up to these count as zero (gpuols.numerics.pivots); one within NEAR times is too close.
constexpr double TOLERANCE = 1e-10, DIGITS_OF_X = 8.0 * UNIT, NEAR = 4.0;

__device__ __forceinline__ double infinite() { return __longlong_as_double(0x7ff0000000000000); }
__device__ __forceinline__ double unknown() { return __longlong_as_double(0x7ff8000000000000); }
__device__ __forceinline__ bool in_range(double sum) { return sum > 1.0 / LARGEST && sum < LARGEST; }

// What is not a number is as bad as infinity.
__device__ __forceinline__ double sane(double error) { return error == error ? error : infinite(); }

// An error in units of max(|number|, standard error); a zero known to be zero is exact.
__device__ __forceinline__ double relative(double error, double number, double se) {
    const double size = fmax(fabs(number), se);
    if (size == 0.0) return se == 0.0 ? 0.0 : infinite();
    return sane(__ddiv_rn(error, size));
}

// Logarithm of error over size; a size of zero is known to be.
__device__ __forceinline__ double beside(double error, double size) {
    return size == -infinite() ? size : sane(error - size);
}

// γ = (4 + √min(n, 4096) + ν/4) 2⁻⁵³ as in gpuols.numerics.bound, whose ν is no less than ours.
__device__ __forceinline__ double rounding(double rows) {
    rows = fmax(rows, 1.0);
    double longest = fmin(rows, 256.0);
    for (double more = rows / 256.0; more > 1.0; more /= 2.0) longest += 1.0;
    return (4.0 + __dsqrt_rn(fmin(rows, 4096.0)) + longest / 4.0) * UNIT;
}

// Whether a pivot is close to what counts as zero, beside the column's squares about the mean and
// about zero.
__device__ __forceinline__ bool near_zero(double pivot, double about_mean, double about_zero) {
    const double of_mean = TOLERANCE * TOLERANCE * about_mean;
    const double of_zero = DIGITS_OF_X * DIGITS_OF_X * about_zero;
    return !(pivot > NEAR * fmax(of_mean, of_zero));
}

#endif  // GPUOLS_TRUST_CUH
