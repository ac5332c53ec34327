// residuals: rows minus what a fit makes of them, in double-double: gpuols.engines.residuals.
//
// The fit is about the anchor, y - anchor_y = level + Σ slope (x - anchor_x). A residual below the
// rounding of its own terms, about the anchor and as they stand, is zero. A block takes a chunk at a
// time, a thread one response of a row.
//
// Macros: GPUOLS_REAL (float or double), GPUOLS_WEIGHTED. Launch: 128 threads.

#include "dealing.cuh"

constexpr double ROUNDING = 9.860761315262648e-32;  // 2^-103

// A fit of one response: level, high and low, the intercept, slopes, high and low.
struct Fit {
    const double* numbers;

    __device__ static int size(int k) { return 3 + 2 * k; }
    __device__ Pair level() const { return {numbers[0], numbers[1]}; }
    __device__ double intercept() const { return numbers[2]; }
    __device__ Pair slope(int j) const { return {numbers[3 + 2 * j], numbers[4 + 2 * j]}; }
};

__device__ Pair residual(const Table<GPUOLS_REAL>& table, const double* anchors, const Fit& fit,
                         long long lies, int response) {
    const auto shifted = [&](int c) {
        Pair z;
        z.high = two_sum(widened(table.column(c)[lies * table.row(c)]), -anchors[c], z.low);
        return z;
    };
    const int k = table.k;
    const Pair y = shifted(k + response);
    Pair rest = subtract(y, fit.level());
    double terms = __dadd_rn(fabs(y.high), fabs(fit.level().high));
    double own = __dadd_rn(fabs(__dadd_rn(y.high, anchors[k + response])), fabs(fit.intercept()));
    for (int j = 0; j < k; j++) {
        const Pair x = shifted(j), slope = fit.slope(j), part = multiply(x, slope);
        rest = subtract(rest, part);
        terms = __dadd_rn(terms, fabs(part.high));
        own = __dadd_rn(own, fabs(__dmul_rn(__dadd_rn(x.high, anchors[j]), slope.high)));
    }
    const double least = __dmul_rn(__dmul_rn(ROUNDING, double(k + 4)), fmin(terms, own));
    return fabs(rest.high) > least ? rest : Pair();
}

extern "C" __global__ void __launch_bounds__(128, 4)
    residuals(const GPUOLS_REAL* x, long long x_step, long long x_row, long long x_column,  // (B, n, k)
              const GPUOLS_REAL* y, long long y_step, long long y_row, long long y_column,  // (B, n, m)
              const double* weights, long long weight_step, long long weight_row,           // (B, n)
              const long long* places, long long place_step,  // (3, B) rows for the anchors, or null
              const long long* spans, const int* order,       // (2, B) and (N,), or null: a batch
              const int* owners, const long long* starts,     // (chunks,) and (B + 1,), or null
              const double* anchors,    // (B, k + m)
              const double* fits,       // (B, m, 3 + 2 k)
              const long long* firsts,  // (B,) as in Residuals
              int k, int m, long long rows, long long count, long long items,
              double* residuals  // (rows of all, m, 2)
    ) {
    const Tables<GPUOLS_REAL> tables = {
        x, x_step, x_row, x_column, y, y_step, y_row, y_column, weights, weight_step, weight_row,
        places, place_step, spans, order, rows, count, k, m};
    const Chunks chunks = {owners, starts, items / count};
    for (long long item = blockIdx.x; item < items; item += gridDim.x) {
        const long long b = chunks.owner(item), first = (item - chunks.start(b)) * CHUNK;
        const Table<GPUOLS_REAL> table = tables[b];
        const long long last = first + CHUNK < table.n ? first + CHUNK : table.n;
        for (long long e = first * m + threadIdx.x; e < last * m; e += 128) {
            const long long row = e / m;
            if (GPUOLS_WEIGHTED && table.weight[row * weight_row] == 0.0) continue;
            const int response = int(e % m);
            const Fit fit = {fits + (b * m + response) * Fit::size(k)};
            const Pair found = residual(table, anchors + b * (k + m), fit, table.lies(row), response);
            double* const own = residuals + 2 * (firsts[b] * m + e);
            own[0] = found.high;
            own[1] = found.low;
        }
    }
}
