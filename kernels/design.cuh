// design.cuh: the scaled and factored Gram matrix of a regression and what follows from it alone, by
// a team of threads: gpuols.engines.design in double.
//
// S is the Gram matrix about the mean, λ the penalty, D powers of two that bring the diagonal of
// A = D (S + λ I) D near one, exactly; A = L L'. The variances of the slopes over the residual variance
// are the diagonal of D A⁻¹ D S D A⁻¹ D, without a penalty that of D A⁻¹ D; that of the intercept is
// 1/W + u'Su with A u = D x̄.
//
// Source: Björck (1996), Numerical Methods for Least Squares Problems, 2.2; Hoerl & Kennard (1970)
// for the covariance under a penalty.

#ifndef GPUOLS_DESIGN_CUH
#define GPUOLS_DESIGN_CUH
#include "cholesky.cuh"
#include "moments.cuh"
#include "trust.cuh"

// What a team works with: k numbers each, but k (k + 1) / 2 of `lower`.
struct Room {
    double *lower, *root, *scale, *right, *half, *spread, *variance;

    __device__ Room(double* start, int k)
        : lower(start),
          root(start + packed(k, 0)),
          scale(root + k),
          right(scale + k),
          half(right + k),
          spread(half + k),
          variance(spread + k) {}
    __device__ static int size(int k) { return packed(k, 0) + 6 * k; }
};

// What every response of a regression needs to know of its design; the same in all threads.
struct Design {
    bool solved, penalised;
    unsigned flaws;
    double penalty, gamma, leverage, df, of_variances;
    double reach, variance;  // of the intercept: 1/W + ‖L⁻¹ D x̄‖², and that without shrinkage
};
enum Flaw { STRANGE = 1, LOST = 2, OUT_OF_RANGE = 4, DEPENDENT = 8 };

// A power of two near one over the root of a diagonal entry.
__device__ __forceinline__ double scale_of(double diagonal) {
    if (!(diagonal > 0.0)) return 1.0;
    const int exponent = int(__double_as_longlong(diagonal) >> 52) - 1022;
    return power_of_two(-(exponent >> 1));
}

// u' D S D u.
template <class Team>
__device__ __forceinline__ double quadratic(const Moments& v, const Layout& at, const double* scale,
                                            const double* u, int k, const Team& team) {
    double part = 0.0;
#pragma unroll 1
    for (int i = team.lane; i < k; i += Team::SIZE) {
        double row = 0.0;
#pragma unroll 1
        for (int j = 0; j < k; j++) {
            const double entry = v[i < j ? at.product(j, i) : at.product(i, j)];
            row = __fma_rn(__dmul_rn(entry, scale[j]), u[j], row);
        }
        part = __fma_rn(__dmul_rn(u[i], scale[i]), row, part);
    }
    return team.sum(part);
}

// The powers of two that bring the diagonal of A near one.
template <class Team>
__device__ __forceinline__ void scale_design(const Moments& v, const Layout& at, double penalty,
                                             double* scale, int k, const Team& team) {
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE)
        scale[j] = scale_of(__dadd_rn(v[at.product(j, j)], penalty));
    team.sync();
}

// Entry of A, j <= i.
__device__ __forceinline__ double entry_of(const Moments& v, const Layout& at, double penalty,
                                           const double* scale, int i, int j) {
    const double entry = v[at.product(i, j)], own = i == j ? penalty : 0.0;
    return __dmul_rn(__dadd_rn(entry, own), __dmul_rn(scale[i], scale[j]));
}

// Scales and factors A; whether it is positive definite.
template <class Team>
__device__ __forceinline__ bool factor_design(const Moments& v, const Layout& at, double penalty,
                                              const Room& room, int k, const Team& team) {
    scale_design(v, at, penalty, room.scale, k, team);
#pragma unroll 1
    for (int i = team.lane; i < k; i += Team::SIZE)
#pragma unroll 1
        for (int j = 0; j <= i; j++)
            room.lower[packed(i, j)] = entry_of(v, at, penalty, room.scale, i, j);
    team.sync();
    return factor(room.lower, room.root, k, team);
}

// The intercept's reach and variance.
template <class Team>
__device__ __forceinline__ void reach_mean(const Moments& v, const Layout& at, const Room& room,
                                           int k, Design& design, const Team& team) {
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE)
        room.right[j] = __dmul_rn(__dadd_rn(v[at.anchor(j)], v[at.mean(j)]), room.scale[j]);
    team.sync();
    substitute(room.lower, room.root, room.right, room.half, k, team);
    double part = 0.0;
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE) part = __fma_rn(room.half[j], room.half[j], part);
    const double own = __ddiv_rn(1.0, v[WEIGHT]);
    design.reach = design.variance = __dadd_rn(own, team.sum(part));
    if (design.penalised) {
        substitute_back(room.lower, room.root, room.half, room.right, k, team);
        design.variance = __dadd_rn(own, quadratic(v, at, room.scale, room.right, k, team));
    }
}

// Variances of the slopes, in scaled units: L becomes its inverse.
template <class Team>
__device__ __forceinline__ void find_variances(const Moments& v, const Layout& at, const Room& room,
                                               int k, bool penalised, const Team& team) {
    invert(room.lower, room.root, room.right, k, team);
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE)
        room.spread[j] = room.variance[j] = inverse_entry(room.lower, room.root, j, j, k);
    if (!penalised) return;
#pragma unroll 1
    for (int j = 0; j < k; j++) {
#pragma unroll 1
        for (int h = team.lane; h < k; h += Team::SIZE)
            room.right[h] = inverse_entry(room.lower, room.root, h, j, k);
        team.sync();
        const double own = quadratic(v, at, room.scale, room.right, k, team);
        if (team.lane == 0) room.variance[j] = own;
        team.sync();
    }
}

// What the bound needs of the design.
template <class Team>
__device__ __forceinline__ void examine(const Moments& v, const Layout& at, const Room& room, int k,
                                        bool centered, Design& design, const Team& team) {
    const double weight = v[WEIGHT];
    double leverage = 0.0, freed = 0.0, inflation = 1.0;
    unsigned flaws = (is_finite(weight) ? 0 : STRANGE) | (in_range(weight) ? 0 : OUT_OF_RANGE);
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE) {
        const double square = __dmul_rn(room.scale[j], room.scale[j]);
        const double spread = room.spread[j], variance = room.variance[j];
        const double raw = v[at.raw(j)], about_mean = v[at.product(j, j)];
        leverage = __fma_rn(__dmul_rn(raw, square), spread, leverage);
        if (design.penalised) freed = __fma_rn(__dmul_rn(design.penalty, square), spread, freed);
        if (raw > 0.0 && spread > 0.0)
            inflation = fmax(inflation, variance > 0.0 ? spread / variance : infinite());
        const double mean = __dadd_rn(v[at.anchor(j)], v[at.mean(j)]);
        const double about_zero = centered ? about_mean + weight * mean * mean : about_mean;
        if (!is_finite(v[at.mean(j)]) || raw != raw) flaws |= STRANGE;
        if (raw != raw) flaws |= LOST;
        if (!in_range(about_mean) || !in_range(raw)) flaws |= OUT_OF_RANGE;
        if (!design.penalised && near_zero(1.0 / (spread * square), about_mean, about_zero))
            flaws |= DEPENDENT;
    }
    design.leverage = team.sum(leverage);
    freed = team.sum(freed);
    design.flaws = team.either(flaws);
    if (centered) {
        const double own = design.variance > 0.0 ? design.reach / design.variance : infinite();
        inflation = fmax(inflation, own);
    }
    inflation = team.max(inflation);
    const double rows = v[ROWS] - centered;
    design.df = rows - k + freed;
    if (design.penalised && rows <= 0.0) design.df = v[ROWS] - 1.0;
    else if (design.penalised && design.df <= 0.0) design.df = unknown();
    const double df = design.df > 0.0 ? design.df : unknown();
    design.of_variances = design.gamma * design.leverage * (inflation + freed / df);
}

#endif  // GPUOLS_DESIGN_CUH
