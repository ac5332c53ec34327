// projection.cuh: from one of many solutions to the shortest, in double-double, by a team of threads:
// gpuols.numerics.projection, to the bit but for logarithms.
//
// Rows of columns that were dropped are zero throughout and left out. Columns that need no units differ
// by less than 2^497 in size, so that no entry here, 2^-998 at least, is lost.

#ifndef GPUOLS_PROJECTION_CUH
#define GPUOLS_PROJECTION_CUH
#include "dealing.cuh"
#include "precise.cuh"

// What a projection is worked out with, and what it leaves.
struct Space {
    Numbers rows;     // (k, k) of [I, T] in units of each, then orthonormal; at last L⁻¹P'
    Numbers lower;    // k (k + 1) / 2: their factor, then its inverse
    Numbers onto;     // (k, k) P, what turns a solution on the kept columns into the shortest
    Numbers turned;   // k
    double *reach, *longest, *doubt, *deviation;  // k each

    __device__ Space(double* start, int k) {
        const int lengths[] = {k * k, packed(k, 0), k * k, k};
        Numbers* const all[] = {&rows, &lower, &onto, &turned};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            *all[i] = {start, start + lengths[i]};
            start += 2 * lengths[i];
        }
        reach = start;
        longest = reach + k;
        doubt = longest + k;
        deviation = doubt + k;
    }
    __device__ static int size(int k) { return 4 * k * k + 2 * packed(k, 0) + 6 * k; }
};

__device__ __forceinline__ Pair raised(const Pair& a, int exponent) {
    return {ldexp(a.high, exponent), ldexp(a.low, exponent)};
}

// T = A⁻¹ times the dropped columns, without what is below its rounding, in units in which each row's
// longest entry is near one; for each row the error of the choice that this leads to.
template <class Team>
__device__ __forceinline__ void combine(const Regression& own, const Design& design, const Room& room,
                                        const Space& space, int k, const Team& team) {
    const Kept kept = design.kept;
#pragma unroll 1
    for (int j = 0; j < k; j++) {
        if (is_in(kept, j)) continue;
#pragma unroll 1
        for (int i = team.lane; i < k; i += Team::SIZE)
            room.right.put(i, is_in(kept, i) ? entry_of(own, room.scale, i, j) : Pair());
        team.sync();
#pragma unroll 1
        for (int i = team.lane; i < k; i += Team::SIZE)
            room.b.put(i, times_row(room.lower, i, room.right));
        team.sync();
#pragma unroll 1
        for (int i = team.lane; i < k; i += Team::SIZE)
            if (is_in(kept, i)) space.rows.put(i * k + j, times_column(room.lower, i, room.b, k));
    }
    team.sync();
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE) {
        double length = 0.0;
        if (is_in(kept, j)) continue;
#pragma unroll 1
        for (int i = 0; i < k; i++) {
            if (!is_in(kept, i)) continue;
            const double entry = space.rows.high[i * k + j];
            const double raw = scaled(own.raw(i), room.scale[i]);
            length = __dadd_rn(length, __dmul_rn(raw, __dmul_rn(entry, entry)));
        }
        length = __dadd_rn(length, scaled(own.raw(j), room.scale[j]));
        space.reach[j] = __dsqrt_rn(__dmul_rn(design.leverage, length));
    }
    team.sync();
    constexpr double LAST = 7.888609052210118e-31;  // 2^-100
#pragma unroll 1
    for (int i = team.lane; i < k; i += Team::SIZE) {
        space.doubt[i] = -infinite();
        if (!is_in(kept, i)) continue;
        const double step = __dmul_rn(design.gamma, __dsqrt_rn(room.spread[i]));
        const int exponent = exponent_of(room.scale[i]);
        double doubt = -100.0;
        int longest = 1;
#pragma unroll 1
        for (int j = 0; j < k; j++) {
            const int e = i * k + j, shift = exponent - exponent_of(room.scale[j]);
            if (is_in(kept, j)) {
                space.rows.put(e, {i == j ? 1.0 : 0.0, 0.0});
                continue;
            }
            const double error = __dmul_rn(step, space.reach[j]), size = fabs(space.rows.high[e]);
            if (!(size > error)) space.rows.put(e, {});
            const double entry = space.rows.high[e];
            doubt = larger(doubt, log2(__dadd_rn(error, __dmul_rn(LAST, fabs(entry)))) + shift);
            if (entry != 0.0) longest = max(longest, exponent_of(fabs(entry)) + shift);
        }
#pragma unroll 1
        for (int j = 0; j < k; j++) {
            const int e = i * k + j, shift = exponent - exponent_of(room.scale[j]);
            space.rows.put(e, raised(space.rows[e], shift - longest));
        }
        space.longest[i] = longest;
        space.doubt[i] = doubt;
    }
    team.sync();
}

// Rows R = L Q, those of Q orthonormal and in place of R, by modified Gram-Schmidt.
template <class Team>
__device__ __forceinline__ void orthogonalize(Kept kept, const Space& space, int k, const Team& team) {
    const Numbers &rows = space.rows, &lower = space.lower;
#pragma unroll 1
    for (int i = 0; i < k; i++) {
        if (!is_in(kept, i)) {
#pragma unroll 1
            for (int h = team.lane; h < k; h += Team::SIZE)
                lower.put(h < i ? packed(i, h) : packed(h, i), {h == i ? 1.0 : 0.0, 0.0});
            team.sync();
            continue;
        }
        double most = 0.0;
#pragma unroll 1
        for (int h = 0; h < k; h++) most = fmax(most, fabs(rows.high[i * k + h]));
        const int exponent = exponent_of(most);
        Pair square;
#pragma unroll 1
        for (int h = 0; h < k; h++) {
            const Pair entry = raised(rows[i * k + h], -exponent);
            square = add(square, multiply(entry, entry));
        }
        const Pair size = square_root(square);
        team.sync();
#pragma unroll 1
        for (int h = team.lane; h < k; h += Team::SIZE)
            rows.put(i * k + h, divide(raised(rows[i * k + h], -exponent), size));
        if (team.lane == 0) lower.put(packed(i, i), raised(size, exponent));
        team.sync();
#pragma unroll 1
        for (int l = i + 1 + team.lane; l < k; l += Team::SIZE) {
            if (!is_in(kept, l)) continue;
            Pair along;
#pragma unroll 1
            for (int h = 0; h < k; h++) along = add(along, multiply(rows[l * k + h], rows[i * k + h]));
#pragma unroll 1
            for (int h = 0; h < k; h++)
                rows.put(l * k + h, subtract(rows[l * k + h], multiply(along, rows[i * k + h])));
            lower.put(packed(l, i), along);
        }
        team.sync();
    }
}

// P, and the binary logarithm of the error of the choice, relative to a solution's length.
template <class Team>
__device__ __forceinline__ double project(const Regression& own, const Design& design, const Room& room,
                                          const Space& space, int k, const Team& team) {
    const Kept kept = design.kept;
    combine(own, design, room, space, k, team);
    orthogonalize(kept, space, k, team);
    invert(space.lower, kept, k, team);
#pragma unroll 1
    for (int h = team.lane; h < k; h += Team::SIZE) {
        const int exponent = exponent_of(room.scale[h]);
#pragma unroll 1
        for (int j = 0; j < k; j++) {
            Pair found, given;
            if (is_in(kept, j)) {
#pragma unroll 1
                for (int i = j; i < k; i++)
                    if (is_in(kept, i))
                        found = add(found, multiply(space.rows[i * k + h], space.lower[packed(i, j)]));
                given = raised(found, exponent_of(room.scale[j]) - exponent - int(space.longest[j]));
            }
            space.onto.put(h * k + j, given);
        }
    }
    double doubt = -infinite();
#pragma unroll 1
    for (int i = 0; i < k; i++) doubt = larger(doubt, space.doubt[i]);
    return doubt + log2(2.0 * k);
}

#endif  // GPUOLS_PROJECTION_CUH
