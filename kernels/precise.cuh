// precise.cuh: designs in double-double, by a team of threads: gpuols.engines.design and what
// gpuols.engines.trust says of designs, to the bit.
//
// S, in double-double, is scaled by powers of two, D S D, and factored with its rank (pivots.cuh).
// Under a penalty λ the variances are the diagonal of L⁻' M L⁻¹, M = L⁻¹ D S D L⁻', of which a row at
// a time is formed.

#ifndef GPUOLS_PRECISE_CUH
#define GPUOLS_PRECISE_CUH
#include "moments.cuh"
#include "pivots.cuh"
#include "trust.cuh"

// Exponent of a scale beyond which variances under a penalty underflow.
constexpr int STEEPEST = 240;

// A regression, its moments as `settle` leaves them.
struct Regression {
    Numbers v;
    Layout at;
    double ridge;
    bool centered;

    __device__ double rows() const { return v.high[ROWS]; }
    __device__ double raw(int c) const { return v.high[at.raw(c)]; }
    __device__ Pair mean(int c) const {
        Pair mean;
        mean.high = two_sum(v.high[at.anchor(c)], v.high[at.mean(c)], mean.low);
        mean.high = two_sum(mean.high, __dadd_rn(mean.low, v.low[at.mean(c)]), mean.low);
        return mean;
    }
};

// What a team works with.
struct Room {
    Numbers lower;                     // k (k + 1) / 2
    Numbers center, half, right, b;    // k each: means of the columns, L⁻¹ times those, and room
    Numbers variance;                  // k + 1: of the slopes, and of the intercept
    double *scale, *spread;            // k each: D, and the diagonal of the inverse

    __device__ Room(double* start, int k) {
        const int lengths[] = {packed(k, 0), k, k, k, k, k + 1};
        Numbers* const all[] = {&lower, &center, &half, &right, &b, &variance};
#pragma unroll
        for (int i = 0; i < 6; i++) {
            *all[i] = {start, start + lengths[i]};
            start += 2 * lengths[i];
        }
        scale = start;
        spread = scale + k;
    }
    __device__ static int size(int k) { return 2 * packed(k, 0) + 12 * k + 2; }
};

// What every response needs to know of its design; the same in all threads.
struct Design {
    Kept kept;
    int slopes;
    bool sound, solved, penalised;
    double gamma, leverage, df;
    double of_variances;     // bound on their relative error
    double reach, variance;  // of the intercept: 1/W + ‖L⁻¹ D x̄‖², and that without shrinkage
};

// γ₂ = (4 + √min(n, 4096) + ν/4) 2⁻¹⁰⁴ as in gpuols.numerics.bound.
__device__ __forceinline__ double rounding_of_pairs(double rows) {
    rows = fmax(rows, 1.0);
    double longest = fmin(rows, 64.0);
    for (double more = rows / 64.0; more > 1.0; more /= 2.0) longest += 1.0;
    return (4.0 + __dsqrt_rn(fmin(rows, 4096.0)) + longest / 4.0) * (4.0 * UNIT * UNIT);
}

// A power of two near one over the root of a penalised diagonal entry.
__device__ __forceinline__ double scale_of(double diagonal, double ridge) {
    const int nothing = -(1 << 30);
    int top = diagonal > 0.0 ? exponent_of(diagonal) : nothing;
    if (ridge > 0.0) top = max(top, exponent_of(ridge));
    const int exponent = top > nothing ? -(top >> 1) : 0;
    return power_of_two(max(-STEEPEST, min(STEEPEST, exponent)));
}

// The penalty and a sum of squares in scaled units.
__device__ __forceinline__ double scaled(double number, double scale) {
    return __dmul_rn(number, __dmul_rn(scale, scale));
}

// How much larger than a variance it was before it shrank.
__device__ __forceinline__ double quotient(double before, double after) {
    return after > 0.0 ? sane(__ddiv_rn(before, after)) : infinite();
}

// Entry of D S D.
__device__ __forceinline__ Pair entry_of(const Regression& own, const double* scale, int i, int j) {
    const int e = i < j ? own.at.product(j, i) : own.at.product(i, j);
    const double both = __dmul_rn(scale[i], scale[j]);
    return {__dmul_rn(own.v.high[e], both), __dmul_rn(own.v.low[e], both)};
}

// Scales and factors D (S + λ I) D; which columns are in, those whose pivots are above their floor
// times `above`.
template <class Team>
__device__ __forceinline__ Kept factor_design(const Regression& own, double gamma, double above,
                                              const Room& room, int k, const Team& team) {
    const bool penalised = own.ridge > 0.0;
    double *const lowest = room.b.high, *const noise = room.b.low;
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE) {
        const double about_mean = own.v.high[own.at.product(j, j)];
        const double scale = scale_of(about_mean, own.ridge);
        const Pair center = own.mean(j);
        room.center.put(j, {__dmul_rn(center.high, scale), __dmul_rn(center.low, scale)});
        double about_zero = about_mean;
        if (own.centered) {
            const double near = __dadd_rn(own.v.high[own.at.anchor(j)], own.v.high[own.at.mean(j)]);
            const double mean = __dadd_rn(near, own.v.low[own.at.mean(j)]);
            const double square = __dmul_rn(__dmul_rn(own.v.high[WEIGHT], mean), mean);
            about_zero = __dadd_rn(about_mean, square);
        }
        const double floor = fmax(__dmul_rn(TOLERANCE * TOLERANCE, about_mean),
                                  __dmul_rn(DIGITS_OF_X * DIGITS_OF_X, about_zero));
        room.scale[j] = scale;
        lowest[j] = penalised ? 0.0 : __dmul_rn(above, scaled(floor, scale));
        noise[j] = penalised ? 0.0 : scaled(__dmul_rn(gamma, own.raw(j)), scale);
    }
    team.sync();
#pragma unroll 1
    for (int i = team.lane; i < k; i += Team::SIZE)
#pragma unroll 1
        for (int j = 0; j <= i; j++) {
            const double added = i == j ? scaled(own.ridge, room.scale[j]) : 0.0;
            const Pair entry = entry_of(own, room.scale, i, j);
            room.lower.put(packed(i, j), i == j ? add(entry, {added, 0.0}) : entry);
        }
    team.sync();
    const double most = penalised ? infinite() : __dsub_rn(own.rows(), own.centered);
    return factor(room.lower, lowest, noise, most, room.right.high, room.right.low, k, team);
}

// Variances under a penalty, in scaled units, the intercept's without that of the mean; tr M.
template <class Team>
__device__ __forceinline__ Pair shrink(const Regression& own, const Room& room, int k,
                                       const Team& team) {
    Pair trace;
    const Numbers &turned = room.right, &inner = room.b;
#pragma unroll 1
    for (int c = team.lane; c <= k; c += Team::SIZE) room.variance.put(c, {});
#pragma unroll 1
    for (int i = 0; i < k; i++) {
#pragma unroll 1
        for (int h = team.lane; h < k; h += Team::SIZE) {
            Pair sum;
#pragma unroll 1
            for (int g = 0; g <= i; g++)
                sum = add(sum, multiply(room.lower[packed(i, g)], entry_of(own, room.scale, g, h)));
            turned.put(h, sum);
        }
        team.sync();
#pragma unroll 1
        for (int j = team.lane; j < k; j += Team::SIZE)
            inner.put(j, times_row(room.lower, j, turned));
        team.sync();
        trace = add(trace, inner[i]);
#pragma unroll 1
        for (int c = team.lane; c <= k; c += Team::SIZE) {
            if (i < c && c < k) continue;
            Pair sum;
            if (c < k)
                sum = times_column(room.lower, c, inner, k);
            else
#pragma unroll 1
                for (int h = 0; h < k; h++) sum = add(sum, multiply(inner[h], room.half[h]));
            const Pair left = c < k ? room.lower[packed(i, c)] : room.half[i];
            room.variance.put(c, add(room.variance[c], multiply(left, sum)));
        }
    }
    team.sync();
    return trace;
}

// All that follows from the design alone; L becomes its inverse.
template <class Team>
__device__ __forceinline__ Design examine(const Regression& own, Kept kept, double gamma,
                                          const Room& room, int k, const Team& team) {
    invert(room.lower, kept, k, team);
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE) {
        double spread = 0.0;
#pragma unroll 1
        for (int i = j; i < k; i++) {
            const double half = room.lower.high[packed(i, j)];
            spread = __dadd_rn(spread, __dmul_rn(half, half));
        }
        room.spread[j] = room.variance.high[j] = spread;
        room.half.put(j, times_row(room.lower, j, room.center));
    }
    team.sync();

    Design design;
    design.gamma = gamma;
    design.sound = is_finite(own.v.high[WEIGHT]);
    design.penalised = false;
    design.slopes = 0;
    bool steep = false;
    double length = 0.0, freed = 0.0, leverage = 0.0;
#pragma unroll 1
    for (int j = 0; j < k; j++) {
        const double scale = room.scale[j];
        const double penalty = own.ridge > 0.0 ? scaled(own.ridge, scale) : 0.0;
        const double half = room.half.high[j], spread = room.spread[j], mean = own.v.high[own.at.mean(j)];
        const double steepest = power_of_two(STEEPEST);
        design.sound = design.sound && is_finite(mean) && own.raw(j) == own.raw(j);
        design.penalised = design.penalised || penalty > 0.0;
        design.slopes += is_in(kept, j);
        steep = steep || scale >= steepest || scale <= 1.0 / steepest;
        length = __dadd_rn(length, __dmul_rn(half, half));
        if (penalty > 0.0) freed = __dadd_rn(freed, __dmul_rn(penalty, spread));
        leverage = __dadd_rn(leverage, __dmul_rn(scaled(own.raw(j), scale), spread));
    }
    design.solved = !(own.ridge > 0.0 && (steep || design.slopes < k));
    design.kept = design.solved ? kept : ~Kept(0);
    if (!design.solved) design.slopes = k;
    design.leverage = leverage;
    const double level = __ddiv_rn(1.0, own.v.high[WEIGHT]);
    design.reach = design.variance = __dadd_rn(level, length);

    const double rows = __dsub_rn(own.rows(), own.centered);
    design.df = __dadd_rn(__dsub_rn(rows, design.slopes), freed);
    if (design.penalised) {
        const Pair trace = shrink(own, room, k, team);
        design.variance = __dadd_rn(level, room.variance.high[k]);
        if (rows <= k) design.df = subtract({rows, 0.0}, trace).high;
        if (rows > 0.0 && design.df <= 0.0) design.df = unknown();
    }

    double inflation = own.centered ? fmax(1.0, quotient(design.reach, design.variance)) : 1.0;
#pragma unroll 1
    for (int j = 0; j < k; j++) {
        const double spread = room.spread[j];
        if (own.raw(j) > 0.0 && spread > 0.0)
            inflation = fmax(inflation, quotient(spread, room.variance.high[j]));
    }
    const double shrinkage = __ddiv_rn(freed, design.df > 0.0 ? design.df : unknown());
    design.of_variances = __dmul_rn(__dmul_rn(gamma, leverage), __dadd_rn(inflation, shrinkage));
    return design;
}

#endif  // GPUOLS_PRECISE_CUH
