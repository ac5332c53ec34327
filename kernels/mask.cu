// mask: which rows count, chunk by chunk, a warp a chunk.
//
// A row counts if its weight is positive and, with GPUOLS_DROP, no value in it is missing; then each
// row's weight, or zero where it does not count, is written, too.
//
// Macros: GPUOLS_REAL (float or double), GPUOLS_DROP. Launch: 256 threads.

#include "moments.cuh"

extern "C" __global__ void __launch_bounds__(256, 2)
    mask(const GPUOLS_REAL* x, long long x_step, long long x_row, long long x_column,  // (B, n, k)
         const GPUOLS_REAL* y, long long y_step, long long y_row, long long y_column,  // (B, n, m)
         const double* weights, long long weight_step, long long weight_row,  // (B, n) or null
         const long long* spans, const int* order,    // (2, B) and (N,), or null: a batch
         const int* owners, const long long* starts,  // (chunks,) and (B + 1,), or null
         int k, int m, long long rows, long long count, long long items,
         double* effective,  // (B, n) or, with spans, (N,); null without GPUOLS_DROP
         int* found          // (chunks,) rows that count
    ) {
    const Tables<GPUOLS_REAL> tables = {
        x, x_step, x_row, x_column, y, y_step, y_row, y_column, weights, weight_step, weight_row,
        nullptr, 0, spans, order, rows, count, k, m};
    const Chunks chunks = {owners, starts, count > 0 ? items / count : 0};
    const int lane = threadIdx.x % 32;
    for (long long item = blockIdx.x * 8LL + threadIdx.x / 32; item < items;
         item += gridDim.x * 8LL) {
        const long long b = chunks.owner(item), first = (item - chunks.start(b)) * CHUNK;
        const Table<GPUOLS_REAL> table = tables[b];
        const long long last = first + CHUNK < table.n ? first + CHUNK : table.n;
        int own = 0;
        for (long long row = first + lane; row < last; row += 32) {
            const double weight = weights ? table.weight[row * weight_row] : 1.0;
            bool counts = weight > 0.0;
#if GPUOLS_DROP
            const long long lies = table.lies(row);
            const GPUOLS_REAL *const of_x = table.x + lies * x_row, *const of_y = table.y + lies * y_row;
            for (int c = 0; c < k; c++) counts = counts && of_x[c * x_column] == of_x[c * x_column];
            for (int c = 0; c < m; c++) counts = counts && of_y[c * y_column] == of_y[c * y_column];
            effective[(spans ? spans[b] : b * rows) + row] = counts ? weight : 0.0;
#endif
            own += counts;
        }
#pragma unroll
        for (int step = 16; step > 0; step /= 2) own += __shfl_xor_sync(FULL_WARP, own, step);
        if (lane == 0) found[item] = own;
    }
}
