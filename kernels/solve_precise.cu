// solve_precise: moments in double-double, where `settle` leaves them, to answers, a team of
// GPUOLS_TEAM threads a regression: gpuols.engines.answers and trust, to the bit.
//
// L⁻¹ X'y takes the place of X'y. Those that had to be divided by powers of two first are left out;
// where a column is redundant, that is noted.
//
// Macro: GPUOLS_TEAM (8, 32 or 128). Launch: 128 threads; dynamic shared memory of 128 / GPUOLS_TEAM *
// Room::size doubles. k is 64 at most.

#include "answers.cuh"
#include "dealing.cuh"
#include "precise.cuh"

constexpr int THREADS = 128, TEAMS = THREADS / GPUOLS_TEAM;
// Error of the inverse up to which what can't be told from zero is zero.
constexpr double CLEAR = 1e-10;
// A sum of squared residuals that is too small to be seen, though the fit is not exact.
constexpr double NOTHING = 2.2250738585072014e-308;

// What is asked of all regressions.
struct Wanted {
    double tol;
    bool whole;  // whether a coefficient is given only where all are
};

// A number, or zero where that can't be told.
__device__ __forceinline__ double settled(double number, bool blank, double error) {
    return blank && fabs(number) <= error ? 0.0 : number;
}

// L⁻¹ X'y of all responses in place of X'y.
template <class Team>
__device__ __forceinline__ void substitute_responses(const Regression& own, Kept kept, const Room& room,
                                                     int k, const Team& team) {
#pragma unroll 1
    for (int r = 0; r < own.at.m; r++) {
        const int first = own.at.product(k + r, 0);
#pragma unroll 1
        for (int j = team.lane; j < k; j += Team::SIZE) {
            const Pair entry = own.v[first + j];
            const double scale = is_in(kept, j) ? room.scale[j] : 0.0;
            room.right.put(j, {__dmul_rn(entry.high, scale), __dmul_rn(entry.low, scale)});
        }
        team.sync();
        substitute(room.lower, room.right, k, team);
#pragma unroll 1
        for (int j = team.lane; j < k; j += Team::SIZE) own.v.put(first + j, room.right[j]);
    }
}

// Answers to response r.
template <class Team>
__device__ __forceinline__ void answer(const Regression& own, int r, const Design& design,
                                       const Wanted& wanted, const Room& room, const Answers& out,
                                       int k, const Team& team) {
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
    Pair explained, shrunk, fitted;
    double size = 0.0;
#pragma unroll 1
    for (int j = 0; j < k; j++) {
        const Pair b = room.b[j], z = room.right[j];
        const double scale = room.scale[j], square = __dmul_rn(b.high, b.high);
        explained = add(explained, multiply(z, z));
        shrunk = add(shrunk, multiply({scaled(own.ridge, scale), 0.0}, multiply(b, b)));
        fitted = add(fitted, multiply(b, room.center[j]));
        size = __dadd_rn(size, __dmul_rn(scaled(own.raw(j), scale), square));
    }
    size = __dadd_rn(size, raw);
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
    double error = 0.0;
    bool doubtful = false;
    const auto look = [&](double number, double reach, double deviation, double by) {
        const double se = __dmul_rn(deviation, spread);
        error = fmax(error, relative(__dmul_rn(reach, by), number, se));
        error = fmax(error, relative(__dmul_rn(deviation, lost), number, se));
    };
#pragma unroll 1
    for (int j = 0; j < k; j++) {
        const double reach = __dsqrt_rn(room.spread[j]);
        const double b = settled(room.b.high[j], blank, __dmul_rn(reach, step));
        look(b, reach, __dsqrt_rn(room.variance.high[j]), step);
        doubtful = doubtful || (b == 0.0 && is_in(design.kept, j));
    }
    double intercept = 0.0;
    if (own.centered) {
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
    if (doubtful && lost > 0.0) error = infinite();
    error = __dadd_rn(error, __dadd_rn(8.0 * UNIT, __dmul_rn(0.5 * k, UNIT)));

    const bool finite = design.sound && is_finite(own.v.high[own.at.mean(k + r)]) && raw == raw;
    const bool deficient = design.slopes < k, given = !(wanted.whole && deficient);
    const bool known = finite && design.solved && !(df < 0.0) && own.rows() > 0.0;
    const bool trusted = design.solved && error <= wanted.tol;
    const int status = !finite     ? NONFINITE
                       : few       ? TOO_FEW_ROWS
                       : deficient ? RANK_DEFICIENT
                       : trusted   ? OK
                                   : UNTRUSTED;
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE) {
        const double reach = __dmul_rn(__dsqrt_rn(room.spread[j]), step);
        const double b = __dmul_rn(settled(room.b.high[j], blank, reach), room.scale[j]);
        out.param(own.centered + j, r) = known && given && is_in(design.kept, j) ? b : unknown();
    }
    if (team.lane == 0) {
        if (own.centered) out.param(0, r) = known && given ? intercept : unknown();
        out.ssr(r) = known ? ssr : unknown();
        out.bound(r) = known && !few ? error : infinite();
        out.status[r * out.room] = (signed char)status;
    }
}

extern "C" __global__ void __launch_bounds__(128, FEW_REGISTERS ? 3 : 4)
    solve_precise(double* sums,             // (chunks, stride), as `settle` leaves them; changed
                  const double* ridge,      // (B,) or null
                  const long long* starts,  // (B + 1,) first chunk of each, or null: `each` of each
                  double tol, int whole, int centered, int k, int m, long long each, long long count,
                  signed char* found,   // (B,) Finding
                  double* answers,      // (entries, room)
                  signed char* status,  // (m, room)
                  long long room) {
    const Layout at = {k, m};
    const Chunks chunks = {nullptr, starts, each};
    DYNAMIC_SHARED(memory);
    const int number = threadIdx.x / GPUOLS_TEAM;
    const Room work(memory.take<double>(TEAMS * Room::size(k)) + number * Room::size(k), k);
#if GPUOLS_TEAM == 128
    const Block<THREADS> team = {int(threadIdx.x), nullptr};
#else
    const Lanes<GPUOLS_TEAM> team(threadIdx.x);
#endif
    for (long long b = blockIdx.x * (long long)TEAMS + number; b < count;
         b += (long long)gridDim.x * TEAMS) {
        if (found[b] & EXTREME) continue;
        double* const first = sums + chunks.start(b) * stride(at);
        const Regression own = {{first, first + at.size()}, at, ridge ? ridge[b] : 0.0, centered != 0};
        const Answers out = {answers + b, status + b, nullptr, room, k + centered, m};
        const double gamma = rounding_of_pairs(own.rows());
        const Kept kept = factor_design(own, gamma, work, k, team);
        substitute_responses(own, kept, work, k, team);
        const Design design = examine(own, kept, gamma, work, k, team);
        for (int r = 0; r < m; r++) answer(own, r, design, {tol, whole != 0}, work, out, k, team);

        const bool some = own.rows() > 0.0, enough = design.solved && !(design.df < 0.0) && some;
        const bool given = enough && !(whole && design.slopes < k);
        for (int j = team.lane; j < k; j += GPUOLS_TEAM) {
            const double variance = scaled(work.variance.high[j], work.scale[j]);
            out.variance(centered + j) = given && is_in(design.kept, j) ? variance : unknown();
        }
        if (team.lane == 0) {
            if (centered) out.variance(0) = given ? design.variance : unknown();
            out.df() = enough ? design.df : unknown();
            out.rank() = design.sound ? design.slopes + (centered && some) : -1.0;
            if (design.slopes < k) found[b] |= REDUNDANT;
        }
        team.sync();
    }
}
