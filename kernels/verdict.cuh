// verdict.cuh: answers from designs in double-double and L⁻¹ X'y, and what they are worth, by a team
// of threads: gpuols.engines.answers and trust, to the bit.
//
// What becomes of redundant columns, `Rest`, is known to the kernel: which coefficients are given, what
// turns those of the kept columns into them, and the error of that.

#ifndef GPUOLS_VERDICT_CUH
#define GPUOLS_VERDICT_CUH
#include "answers.cuh"
#include "precise.cuh"

// Error of the inverse up to which what can't be told from zero is zero.
constexpr double CLEAR = 1e-10;
// A sum of squared residuals that is too small to be seen, though the fit is not exact.
constexpr double NOTHING = 2.2250738585072014e-308;

// A number, or zero where that can't be told.
__device__ __forceinline__ double settled(double number, bool blank, double error) {
    return blank && fabs(number) <= error ? 0.0 : number;
}

// Answers to response r; their error but for the rounding of solving, infinite if they are not OK or the
// fit is exact.
template <class Rest, class Team>
__device__ __forceinline__ double answer(const Regression& own, int r, const Design& design,
                                         const Rest& rest, double tol, const Room& room,
                                         const Answers& out, int k, const Team& team) {
    const int first = own.at.product(k + r, 0);
    team.sync();
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE) room.right.put(j, own.v[first + j]);
    team.sync();
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE)
        room.b.put(j, times_column(room.lower, j, room.right, k));
    team.sync();

    const double raw = own.raw(k + r), df = design.df;
    Pair explained, shrunk;
    double size = 0.0;
#pragma unroll 1
    for (int j = 0; j < k; j++) {
        const Pair b = room.b[j], z = room.right[j];
        const double scale = room.scale[j], square = __dmul_rn(b.high, b.high);
        explained = add(explained, multiply(z, z));
        if (own.ridge > 0.0)
            shrunk = add(shrunk, multiply({scaled(own.ridge, scale), 0.0}, multiply(b, b)));
        size = __dadd_rn(size, __dmul_rn(scaled(own.raw(j), scale), square));
    }
    size = __dadd_rn(size, raw);
    rest.turn(room, k, team);
    const double step = __dmul_rn(design.gamma, __dsqrt_rn(__dmul_rn(design.leverage, size)));
    const double above = __dadd_rn(step, __dmul_rn(design.gamma, __dsqrt_rn(raw)));
    const double unseen = __dmul_rn(design.gamma, size);
    double ssr = subtract(own.v[own.at.product(k + r, k + r)], add(explained, shrunk)).high;
    const bool hidden = ssr <= unseen, few = df <= 0.0;
    const bool exact = (hidden && (!design.penalised || size == 0.0)) || few;
    ssr = exact ? 0.0 : hidden ? NOTHING : ssr;
    const bool blank = exact && __dmul_rn(design.gamma, design.leverage) <= CLEAR;

    const double spread = __dsqrt_rn(__ddiv_rn(ssr, df > 0.0 ? df : unknown()));
    const double lost = ssr == 0.0 ? __dsqrt_rn(__ddiv_rn(__dmul_rn(2.0, unseen), df)) : 0.0;
    const auto slope = [&](int j) {
        return settled(room.b.high[j], blank, __dmul_rn(__dsqrt_rn(room.spread[j]), step));
    };
    double error = 0.0;
    bool doubtful = false;
    const auto look = [&](double number, double reach, double deviation, double by) {
        const double se = __dmul_rn(deviation, spread);
        error = fmax(error, relative(__dmul_rn(reach, by), number, se));
        error = fmax(error, relative(__dmul_rn(deviation, lost), number, se));
    };
#pragma unroll 1
    for (int j = 0; j < k; j++) {
        const double reach = __dsqrt_rn(room.spread[j]), b = slope(j);
        look(b, reach, __dsqrt_rn(room.variance.high[j]), step);
        doubtful = doubtful || (b == 0.0 && is_in(design.kept, j));
    }
    double intercept = 0.0;
    if (own.centered) {
        Pair fitted;
#pragma unroll 1
        for (int j = 0; j < k; j++) fitted = add(fitted, multiply(room.b[j], room.center[j]));
        const double reach = __dsqrt_rn(design.reach);
        intercept = subtract(own.mean(k + r), fitted).high;
        intercept = settled(intercept, blank, __dmul_rn(reach, above));
        look(intercept, reach, __dsqrt_rn(design.variance), above);
        doubtful = doubtful || intercept == 0.0;
    }
    const double moved = __dmul_rn(2.0, __dmul_rn(step, __dsqrt_rn(shrunk.high)));
    const double of_ssr = ssr == 0.0 ? 0.0 : __ddiv_rn(__dadd_rn(unseen, moved), ssr);
    if (!(ssr == 0.0 && size == 0.0 && !design.penalised))
        error = fmax(error, sane(__dmul_rn(0.5, __dadd_rn(design.of_variances, of_ssr))));
    error = fmax(error, rest.error(slope, intercept, __ddiv_rn(ssr, df > 0.0 ? df : unknown()), k));
    if (doubtful && lost > 0.0) error = infinite();
    const double of_sums = error;
    error = __dadd_rn(error, __dadd_rn(8.0 * UNIT, __dmul_rn(0.5 * k, UNIT)));

    const bool finite = design.sound && is_finite(own.v.high[own.at.mean(k + r)]) && raw == raw;
    const bool deficient = design.slopes < k;
    const bool known = finite && design.solved && !(df < 0.0) && own.rows() > 0.0;
    const bool trusted = design.solved && error <= tol;
    const int status = !finite     ? NONFINITE
                       : few       ? TOO_FEW_ROWS
                       : deficient ? RANK_DEFICIENT
                       : trusted   ? OK
                                   : UNTRUSTED;
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE) {
        const double b = __dmul_rn(slope(j), room.scale[j]);
        out.param(own.centered + j, r) = known && rest.gives(design, j, k) ? b : unknown();
    }
    if (team.lane == 0) {
        if (own.centered)
            out.param(0, r) = known && rest.gives_intercept(design, k) ? intercept : unknown();
        out.ssr(r) = known ? ssr : unknown();
        out.bound(r) = known && !few ? error : infinite();
        out.status[r * out.room] = (signed char)status;
    }
    return status == OK && !exact ? of_sums : infinite();
}

// What does not depend on the responses.
template <class Rest, class Team>
__device__ __forceinline__ void answer_design(const Regression& own, const Design& design,
                                              const Rest& rest, const Room& room, const Answers& out,
                                              int k, const Team& team) {
    const bool some = own.rows() > 0.0, sound = design.sound;
    const bool enough = sound && some && design.solved && !(design.df < 0.0);
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE) {
        const double variance = scaled(room.variance.high[j], room.scale[j]);
        out.variance(own.centered + j) = enough && rest.gives(design, j, k) ? variance : unknown();
    }
    if (team.lane != 0) return;
    if (own.centered)
        out.variance(0) = enough && rest.gives_intercept(design, k) ? design.variance : unknown();
    out.df() = enough ? design.df : unknown();
    out.rank() = sound ? design.slopes + (own.centered && some) : -1.0;
}

#endif  // GPUOLS_VERDICT_CUH
