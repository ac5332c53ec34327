// gram: sums over the chunks of long regressions of at most 32 columns.
//
// A block of 8 warps takes one chunk of CHUNK rows of one regression at a time (gram.cuh) and leaves
// its sums at sums[chunk * Layout::size]; `solve` adds the chunks in order.
//
// Macros: GPUOLS_REAL (float or double), GPUOLS_TILES (columns over 8, 1 to 4), GPUOLS_WEIGHTED.
// Launch: 256 threads, no dynamic shared memory.

#include "gram.cuh"

extern "C" __global__ void __launch_bounds__(256, GPUOLS_TILES <= 2 ? 2 : 1)
    gram(const GPUOLS_REAL* x, long long x_step, long long x_row, long long x_column,  // (B, n, k)
         const GPUOLS_REAL* y, long long y_step, long long y_row, long long y_column,  // (B, n, m)
         const double* weights, long long weight_step, long long weight_row,           // (B, n)
         const long long* places, long long place_step,  // (3, B) rows for the anchors, or null
         const long long* spans, const int* order,       // (2, B) and (N,), or null: a batch
         const int* owners, const long long* starts,     // (chunks,) and (B + 1,), or null
         int centered, int k, int m, long long rows, long long count, long long items,
         double* sums  // (chunks, entries)
    ) {
    const Layout at = {k, m};
    const Tables<GPUOLS_REAL> tables = {
        x, x_step, x_row, x_column, y, y_step, y_row, y_column, weights, weight_step, weight_row,
        places, place_step, spans, order, rows, count, k, m};
    const Chunks chunks = {owners, starts, items / count};
    for (long long item = blockIdx.x; item < items; item += gridDim.x) {
        const long long b = chunks.owner(item), first = (item - chunks.start(b)) * CHUNK;
        const Table<GPUOLS_REAL> table = tables[b];
        sum_rows<GPUOLS_REAL, GPUOLS_TILES, GPUOLS_WEIGHTED>(
            table, centered, first, first + CHUNK < table.n ? first + CHUNK : table.n,
            Moments{sums + item * at.size(), 1}, at, 8, threadIdx.x / 32, true);
    }
}
