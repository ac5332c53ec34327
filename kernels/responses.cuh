// responses.cuh: answers to responses that share a design, 16 of them by a warp.
//
// What follows from the design alone is known beforehand (gpuols.engines.premise). With its A = L L'
// in scaled units a response has L z = D sxy, L' b = z; its sum of squares is syy - z'z - λ‖b‖², its
// intercept ȳ - t'z with L t = D x̄. Bound and status are those of gpuols.engines.trust and solve.

#ifndef GPUOLS_RESPONSES_CUH
#define GPUOLS_RESPONSES_CUH
#include "chunks.cuh"
#include "premise.cuh"
#include "trust.cuh"

// The sums of a response about its anchor become moments, which are written.
__device__ __forceinline__ void centre(Response& of, double sum, double square, const Premise& design,
                                       const Answers& out, int lane) {
    const double weight = design[Premise::WEIGHT];
    of.mean = weight != 0.0 ? __ddiv_rn(sum, weight) : 0.0;
    of.raw = of.about_mean = square;
    if (design.is(Premise::INTERCEPT))
        of.about_mean = __fma_rn(-__dmul_rn(weight, of.mean), of.mean, square);
    if (lane % 4 > 0 || !of.here) return;
    const double found[3] = {of.mean, of.raw, of.about_mean};
    for (int e = 0; e < 3; e++) out.moments[(1 + e) * out.room + of.place] = found[e];
}

// The products of a panel with the responses become moments about the mean, and are written.
template <int TILES>
__device__ __forceinline__ void centre(Panel<TILES>& products, int panel, const Response (&of)[2],
                                       const Premise& design, const Answers& out, int lane) {
    over(products, design.at<TILES>(Premise::WEIGHTED, panel, lane),
         [&](double& entry, double weighted, int h) { entry = __fma_rn(-weighted, of[h].mean, entry); });
    Rows<TILES>{out.moments + 4 * out.room, out.room, design.k, lane}.write(panel, of, products);
}

// The largest over the four lanes that share a response.
__device__ __forceinline__ double largest(double value) {
    value = fmax(value, __shfl_xor_sync(FULL_WARP, value, 1));
    return fmax(value, __shfl_xor_sync(FULL_WARP, value, 2));
}

// What a lane adds up of its two responses over its columns, and then all four lanes of each.
struct Fit {
    double explained[2] = {}, level[2] = {}, shrunk[2] = {}, size[2] = {}, error[2] = {};
    double length[2] = {-infinite(), -infinite()};

    __device__ __forceinline__ void join() {
#pragma unroll
        for (int h = 0; h < 2; h++) {
            explained[h] = warp_sum<4>(explained[h]);
            level[h] = warp_sum<4>(level[h]);
            shrunk[h] = warp_sum<4>(shrunk[h]);
            size[h] = warp_sum<4>(size[h]);
            length[h] = largest(length[h]);
        }
    }
};

// Solutions in scaled units, from panels of sxy that `products` gives once each, in their order. They
// are kept if there is ONE panel, else they are in `rows`, or, the shortest, in `spare`.
template <int TILES, bool ONE, class Source>
__device__ __forceinline__ void solve(const Source& products, const Response (&of)[2],
                                      const Premise& design, int panels, const Rows<TILES>& rows,
                                      const Rows<TILES>& spare, double* kept, double* other, Fit& fit) {
    const int lane = rows.lane;
    const auto square = [&](Premise::Square which, int p, int q) {
        return design.block<TILES>(which, p, q, panels);
    };
    const auto take = [&](Panel<TILES>& rest, Premise::Square which, int p, int q) {
        if (!ONE) keep(rows.read(q, of), other);
        multiply(rest, ONE ? kept : other, square(which, p, q), lane);
    };
#pragma unroll 1
    for (int p = 0; p < panels; p++) {
        Panel<TILES> rest = products(p);
        over(rest, design.at<TILES>(Premise::TAKEN, p, lane),
             [&](double& entry, double scale, int) { entry = __dmul_rn(entry, scale); });
        for (int q = 0; !ONE && q < p; q++) take(rest, Premise::LOWER, p, q);
        keep(rest, kept);
        Panel<TILES> z = substitute<TILES>(kept, other, square(Premise::LOWER, p, p),
                                           square(Premise::INVERSE, p, p), lane);
        over(z, design.at<TILES>(Premise::CENTER, p, lane), [&](double entry, double center, int h) {
            fit.explained[h] = __fma_rn(entry, entry, fit.explained[h]);
            fit.level[h] = __fma_rn(entry, center, fit.level[h]);
        });
        if (!ONE) rows.write(p, of, z);
    }
#pragma unroll 1
    for (int p = panels - 1; p >= 0; p--) {
        if (!ONE) {
            Panel<TILES> rest = rows.read(p, of);
            for (int q = panels - 1; q > p; q--) take(rest, Premise::UPPER, p, q);
            keep(rest, kept);
        }
        Panel<TILES> b = substitute<TILES>(kept, other, square(Premise::UPPER, p, p),
                                           square(Premise::TURNED, p, p), lane);
        over(b, design.at<TILES>(Premise::PENALTY, p, lane), [&](double entry, double penalty, int h) {
            fit.shrunk[h] = __fma_rn(penalty * entry, entry, fit.shrunk[h]);
        });
        over(b, design.at<TILES>(Premise::RAW, p, lane), [&](double entry, double raw, int h) {
            fit.size[h] = __fma_rn(raw * entry, entry, fit.size[h]);
        });
        if (!ONE) rows.write(p, of, b);
    }
    if (!design.is(Premise::SHORTEST)) return;
#pragma unroll 1
    for (int p = 0; p < panels; p++) {
        Panel<TILES> shortest;
        for (int q = 0; q < panels; q++) take(shortest, Premise::PROJECTION, p, q);
        over(shortest, design.at<TILES>(Premise::EXPONENT, p, lane),
             [&](double entry, double exponent, int h) {
                 const double own = log2(fabs(entry)) + exponent;
                 fit.length[h] = fmax(fit.length[h], own == own ? own : infinite());
             });
        if (ONE)
            keep(shortest, kept);
        else
            spare.write(p, of, shortest);
    }
}

// Answers to 16 responses.
template <int TILES, bool ONE, class Source>
__device__ __forceinline__ void answer(const Source& products, const Response (&of)[2],
                                       const Premise& design, double tol, const Answers& out, int lane) {
    SHARED_ARRAY(double, room, 2 * THREADS * 4 * TILES);
    double* const kept = room + threadIdx.x / 32 * (2 * 128 * TILES) + lane;
    const int k = design.k, panels = ONE ? 1 : (k + 8 * TILES - 1) / (8 * TILES);
    const bool centered = design.is(Premise::INTERCEPT), choice = design.is(Premise::SHORTEST);
    double* const params = out.answers + centered * out.room;
    const Rows<TILES> rows = {params, out.room, k, lane}, spare = {out.spare, out.count, k, lane};
    const Rows<TILES> found = choice ? spare : rows;
    Fit fit;
    solve<TILES, ONE>(products, of, design, panels, rows, spare, kept, kept + 128 * TILES, fit);
    fit.join();

    double ssr[2], deviation[2], step[2], intercept[2];
    bool known[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const double df = design[Premise::DF], gamma = design[Premise::GAMMA];
        const double size = __dadd_rn(fit.size[h], of[h].raw);
        ssr[h] = __dsub_rn(__dsub_rn(of[h].about_mean, fit.explained[h]), fit.shrunk[h]);
        if (ssr[h] < 0.0 || df == 0.0) ssr[h] = 0.0;
        const double noise = __ddiv_rn(ssr[h], df > 0.0 ? df : unknown());
        deviation[h] = __dsqrt_rn(noise);
        step[h] = gamma * __dsqrt_rn(design[Premise::LEVERAGE] * size);
        double rest;
        const double mean = two_sum(of[h].anchor, of[h].mean, rest);
        intercept[h] = __dadd_rn(__dsub_rn(mean, fit.level[h]), rest);
        const double se = __dsqrt_rn(design[Premise::OF_INTERCEPT]) * deviation[h];
        if (centered) {
            const double own = step[h] + gamma * __dsqrt_rn(of[h].raw);
            fit.error[h] = relative(__dsqrt_rn(design[Premise::REACH]) * own, intercept[h], se);
        }
        const double of_ssr = (gamma * size + 2.0 * step[h] * __dsqrt_rn(fit.shrunk[h])) / ssr[h];
        fit.error[h] = fmax(fit.error[h], sane(0.5 * (design[Premise::OF_VARIANCE] + of_ssr)));
        if (choice && centered) {
            const double own = fmax(log2(fabs(intercept[h])), log2(se));
            const double error = beside(design[Premise::OF_LEVEL] + fit.length[h], own);
            fit.error[h] = fmax(fit.error[h], exp2(error));
        }
        if (choice && noise > 0.0) fit.error[h] = fmax(fit.error[h], exp2(design[Premise::OF_ERRORS]));
        known[h] = design.is(Premise::SOUND) && is_finite(of[h].mean) && of[h].raw == of[h].raw;
    }

#pragma unroll 1
    for (int p = 0; p < panels; p++) {
        if (!ONE) keep(found.read(p, of), kept);
        const double* const vectors = design.at<TILES>(Premise::ANCHOR, p, lane);
#pragma unroll 1
        for (int t = 0; t < TILES; t++)
#pragma unroll
            for (int e = 0; e < 4; e++) {
                const int h = e / 2, j = 8 * TILES * p + 8 * t + 2 * (lane % 4) + e % 2;
                const double* const of_column = vectors + 8 * t + e % 2;
                const auto number = [&](Premise::Vector which) { return of_column[8 * TILES * which]; };
                const double value = kept[32 * (4 * t + e)];
                const double se = number(Premise::DEVIATION) * deviation[h];
                double error = relative(number(Premise::SPREAD) * step[h], value, se);
                if (choice) {
                    const double size = log2(fmax(fabs(value), se)) + number(Premise::EXPONENT);
                    error = fmax(error, exp2(beside(design[Premise::OF_CHOICE] + fit.length[h], size)));
                }
                fit.error[h] = fmax(fit.error[h], error);
                const bool told = known[h] && design.is(Premise::KNOWN) && number(Premise::GIVEN) != 0.0;
                if (of[h].here && j < k)
                    params[j * out.room + of[h].place] =
                        told ? __dmul_rn(value, number(Premise::SCALE)) : unknown();
            }
    }

#pragma unroll
    for (int h = 0; h < 2; h++) {
        double bound = largest(fit.error[h]) + (8.0 + 0.5 * k) * UNIT;
        if (!in_range(of[h].raw)) bound = infinite();
        const bool few = design.is(Premise::FEW), deficient = design.is(Premise::DEFICIENT);
        const bool trusted = design.is(Premise::TRUSTED) && bound <= tol;
        const int judged = few ? TOO_FEW_ROWS : deficient ? RANK_DEFICIENT : trusted ? OK : UNTRUSTED;
        const int status = known[h] ? judged : NONFINITE;
        const bool told = known[h] && design.is(Premise::KNOWN);
        if (lane % 4 > 0 || !of[h].here) continue;
        double* const own = out.answers + of[h].place;
        if (centered) own[0] = told && !design.is(Premise::WITHHELD) ? intercept[h] : unknown();
        own[(centered + k) * out.room] = told ? ssr[h] : unknown();
        own[(centered + k + 1) * out.room] = told && !few ? bound : infinite();
        out.status[of[h].place] = (signed char)status;
        const bool fine = (status == OK || status == RANK_DEFICIENT) && bound <= tol;
        const bool lost = design.is(Premise::LOST) || of[h].raw != of[h].raw;
        if (!fine && !lost) atomicAdd(out.rejected, 1);
    }
}

#endif  // GPUOLS_RESPONSES_CUH
