// cholesky.cuh: A = L L' and what follows from it, by a team of threads.
//
// L lies packed, row by row, its diagonal apart in `root`. Divisions and roots are rounded
// correctly; no reciprocal roots.

#ifndef GPUOLS_CHOLESKY_CUH
#define GPUOLS_CHOLESKY_CUH
#include "team.cuh"

__device__ __forceinline__ int packed(int i, int j) { return i * (i + 1) / 2 + j; }

// A = L L' in place of A; whether all pivots are positive and finite. A is packed, too.
template <class Team>
__device__ __forceinline__ bool factor(double* a, double* root, int k, const Team& team) {
    bool solved = true;
#pragma unroll 1
    for (int j = 0; j < k; j++) {
        const double pivot = a[packed(j, j)], own = __dsqrt_rn(pivot);
        solved = solved && pivot > 0.0 && is_finite(pivot);
        if (team.lane == 0) root[j] = own;
#pragma unroll 1
        for (int i = j + 1 + team.lane; i < k; i += Team::SIZE)
            a[packed(i, j)] = __ddiv_rn(a[packed(i, j)], own);
        team.sync();
#pragma unroll 1
        for (int i = j + 1 + team.lane; i < k; i += Team::SIZE) {
            const double own_row = a[packed(i, j)];
#pragma unroll 1
            for (int h = j + 1; h <= i; h++)
                a[packed(i, h)] = __fma_rn(-own_row, a[packed(h, j)], a[packed(i, h)]);
        }
        team.sync();
    }
    return solved;
}

// x with L x = c; c is lost.
template <class Team>
__device__ __forceinline__ void substitute(const double* lower, const double* root, double* c,
                                           double* x, int k, const Team& team) {
#pragma unroll 1
    for (int j = 0; j < k; j++) {
        const double own = __ddiv_rn(c[j], root[j]);
        if (team.lane == 0) x[j] = own;
#pragma unroll 1
        for (int i = j + 1 + team.lane; i < k; i += Team::SIZE)
            c[i] = __fma_rn(-lower[packed(i, j)], own, c[i]);
        team.sync();
    }
}

// x with L' x = z; z is lost.
template <class Team>
__device__ __forceinline__ void substitute_back(const double* lower, const double* root, double* z,
                                                double* x, int k, const Team& team) {
#pragma unroll 1
    for (int j = k - 1; j >= 0; j--) {
        const double own = __ddiv_rn(z[j], root[j]);
        if (team.lane == 0) x[j] = own;
#pragma unroll 1
        for (int i = team.lane; i < j; i += Team::SIZE)
            z[i] = __fma_rn(-lower[packed(j, i)], own, z[i]);
        team.sync();
    }
}

// L⁻¹ in place of L, its diagonal in place of root; `column` is room for k numbers.
template <class Team>
__device__ __forceinline__ void invert(double* lower, double* root, double* column, int k,
                                       const Team& team) {
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE) root[j] = __ddiv_rn(1.0, root[j]);
    team.sync();
#pragma unroll 1
    for (int j = k - 2; j >= 0; j--) {
#pragma unroll 1
        for (int i = j + 1 + team.lane; i < k; i += Team::SIZE) column[i] = lower[packed(i, j)];
        team.sync();
#pragma unroll 1
        for (int i = j + 1 + team.lane; i < k; i += Team::SIZE) {
            double total = __dmul_rn(root[i], column[i]);
#pragma unroll 1
            for (int h = j + 1; h < i; h++)
                total = __fma_rn(lower[packed(i, h)], column[h], total);
            lower[packed(i, j)] = -__dmul_rn(total, root[j]);
        }
        team.sync();
    }
}

// Entry h of column j of (L L')⁻¹, from L⁻¹.
__device__ __forceinline__ double inverse_entry(const double* lower, const double* root, int h, int j,
                                                int k) {
    double total = 0.0;
#pragma unroll 1
    for (int i = 0; i < k; i++)
        if (i >= h && i >= j) {
            const double left = i == h ? root[i] : lower[packed(i, h)];
            const double right = i == j ? root[i] : lower[packed(i, j)];
            total = __fma_rn(left, right, total);
        }
    return total;
}

#endif  // GPUOLS_CHOLESKY_CUH
