// pivots.cuh: a Gram matrix factored in double-double, its rank decided from left to right, and what
// follows from the factor, by a team of threads: gpuols.numerics.pivots, to the bit.
//
// Matrices lie packed, row by row. A dropped column leaves a row and a column of the identity in the
// factor, so that one code serves all ranks.

#ifndef GPUOLS_PIVOTS_CUH
#define GPUOLS_PIVOTS_CUH
#include "cholesky.cuh"
#include "doubledouble.cuh"

// Columns that are in, a bit each.
typedef unsigned long long Kept;

__device__ __forceinline__ bool is_in(Kept kept, int j) { return kept >> j & 1; }

// Rounding error of the pivot of column j, a combination of those before it; `terms` and `solved`
// are room for k numbers each.
template <class Team>
__device__ __forceinline__ double hidden(const double* lower, const double* noise, int j,
                                         double* terms, double* solved, const Team& team) {
#pragma unroll 1
    for (int i = team.lane; i < j; i += Team::SIZE) terms[i] = lower[packed(j, i)];
    team.sync();
#pragma unroll 1
    for (int i = j - 1; i >= 0; i--) {
        const double own = __ddiv_rn(terms[i], lower[packed(i, i)]);
        if (team.lane == 0) solved[i] = own;
#pragma unroll 1
        for (int h = team.lane; h < i; h += Team::SIZE)
            terms[h] = __dsub_rn(terms[h], __dmul_rn(lower[packed(i, h)], own));
        team.sync();
    }
    double sum = 0.0;
#pragma unroll 1
    for (int i = 0; i < j; i++)
        sum = __dadd_rn(sum, __dmul_rn(noise[i], __dmul_rn(solved[i], solved[i])));
    return __dadd_rn(sum, noise[j]);
}

// A = L L' in place of A, without the columns whose pivot is not above `lowest` or hidden by `noise`,
// and without those beyond `room`; the others.
template <class Team>
__device__ __forceinline__ Kept factor(const Numbers& a, const double* lowest, const double* noise,
                                       double room, double* terms, double* solved, int k,
                                       const Team& team) {
    Kept kept = 0;
    int number = 0;
#pragma unroll 1
    for (int j = 0; j < k; j++) {
        const Pair pivot = a[packed(j, j)];
        const double lost = hidden(a.high, noise, j, terms, solved, team);
        const bool in = pivot.high > lowest[j] && number < room && pivot.high > lost;
        const Pair root = in ? square_root(pivot) : Pair{1.0, 0.0};
        if (in) kept |= Kept(1) << j;
        number += in;
        if (team.lane == 0) a.put(packed(j, j), root);
#pragma unroll 1
        for (int i = team.lane; i < k; i += Team::SIZE) {
            if (i > j) a.put(packed(i, j), in ? divide(a[packed(i, j)], root) : Pair{});
            if (i < j && !in) a.put(packed(j, i), {});
        }
        team.sync();
#pragma unroll 1
        for (int i = j + 1 + team.lane; i < k; i += Team::SIZE) {
            const Pair own = a[packed(i, j)];
#pragma unroll 1
            for (int h = j + 1; h <= i; h++)
                a.put(packed(i, h), subtract(a[packed(i, h)], multiply(own, a[packed(h, j)])));
        }
        team.sync();
    }
    return kept;
}

// z with L z = c in place of c.
template <class Team>
__device__ __forceinline__ void substitute(const Numbers& lower, const Numbers& z, int k,
                                           const Team& team) {
#pragma unroll 1
    for (int i = 0; i < k; i++) {
        const Pair own = divide(z[i], lower[packed(i, i)]);
#pragma unroll 1
        for (int h = i + 1 + team.lane; h < k; h += Team::SIZE)
            z.put(h, subtract(z[h], multiply(lower[packed(h, i)], own)));
        team.sync();
        if (team.lane == 0) z.put(i, own);
    }
    team.sync();
}

// L⁻¹ in place of L, zero where a column was dropped; without a barrier, entry i of the diagonal is
// for lane i alone to read.
template <class Team>
__device__ __forceinline__ void invert(const Numbers& lower, Kept kept, int k, const Team& team) {
#pragma unroll 1
    for (int i = 0; i < k; i++) {
        const Pair root = lower[packed(i, i)];
        team.sync();
#pragma unroll 1
        for (int j = team.lane; j <= i; j += Team::SIZE)
            lower.put(packed(i, j), divide(j < i ? lower[packed(i, j)] : Pair{1.0, 0.0}, root));
        team.sync();
#pragma unroll 1
        for (int h = i + 1 + team.lane; h < k; h += Team::SIZE) {
            const Pair factor = lower[packed(h, i)];
#pragma unroll 1
            for (int j = 0; j <= i; j++) {
                const Pair rest = j < i ? lower[packed(h, j)] : Pair{};
                lower.put(packed(h, j), subtract(rest, multiply(factor, lower[packed(i, j)])));
            }
        }
    }
#pragma unroll 1
    for (int i = team.lane; i < k; i += Team::SIZE)
        if (!is_in(kept, i)) lower.put(packed(i, i), {});
}

// Σ aᵢⱼ xᵢ, a column of a lower triangular matrix times a vector.
__device__ __forceinline__ Pair times_column(const Numbers& lower, int j, const Numbers& x, int k) {
    Pair sum;
#pragma unroll 1
    for (int i = j; i < k; i++) sum = add(sum, multiply(lower[packed(i, j)], x[i]));
    return sum;
}

// Σ aᵢⱼ xⱼ, a row of it times a vector.
__device__ __forceinline__ Pair times_row(const Numbers& lower, int i, const Numbers& x) {
    Pair sum;
#pragma unroll 1
    for (int j = 0; j <= i; j++) sum = add(sum, multiply(lower[packed(i, j)], x[j]));
    return sum;
}

#endif  // GPUOLS_PIVOTS_CUH
