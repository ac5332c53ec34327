// gram: sums over the chunks of long regressions of at most 32 columns.
//
// A block of 8 warps takes one chunk of CHUNK rows of one regression at a time (gram.cuh) and leaves
// its sums at sums[(b * chunks + chunk) * Layout::size]; `solve` adds the chunks in order.
//
// Macros: GPUOLS_REAL (float or double), GPUOLS_TILES (columns over 8, 1 to 4), GPUOLS_WEIGHTED.
// Launch: 256 threads, no dynamic shared memory.

#include "gram.cuh"

extern "C" __global__ void __launch_bounds__(256, GPUOLS_TILES <= 2 ? 2 : 1)
    gram(const GPUOLS_REAL* x, long long x_step, long long x_row, long long x_column,  // (B, n, k)
         const GPUOLS_REAL* y, long long y_step, long long y_row, long long y_column,  // (B, n, m)
         const double* weights, long long weight_step, long long weight_row,           // (B, n)
         const long long* places, long long place_step,  // (3, B) rows for the anchors, or null
         int centered, int k, int m, long long rows, long long count,
         double* sums  // (B * chunks, entries)
    ) {
    const Layout at = {k, m};
    const long long chunks = (rows + CHUNK - 1) / CHUNK;
    for (long long item = blockIdx.x; item < count * chunks; item += gridDim.x) {
        const long long b = item / chunks, first = item % chunks * CHUNK;
        const Table<GPUOLS_REAL> table = {x + b * x_step, y + b * y_step, of(weights, weight_step, b),
                                          of(places, 1, b), place_step, x_row, x_column, y_row, y_column,
                                          weight_row, rows, k, m};
        sum_rows<GPUOLS_REAL, GPUOLS_TILES, GPUOLS_WEIGHTED>(
            table, centered, first, first + CHUNK < rows ? first + CHUNK : rows,
            Moments{sums + item * at.size(), 1}, at, 8, threadIdx.x / 32, true);
    }
}
