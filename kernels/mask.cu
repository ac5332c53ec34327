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
         int k, int m, long long rows, long long count,
         double* effective,  // (B, n), or null without GPUOLS_DROP
         int* found          // (B, chunks) rows that count
    ) {
    const long long chunks = (rows + CHUNK - 1) / CHUNK, warp = threadIdx.x / 32;
    const int lane = threadIdx.x % 32;
    for (long long item = blockIdx.x * 8LL + warp; item < count * chunks; item += gridDim.x * 8LL) {
        const long long b = item / chunks, first = item % chunks * CHUNK;
        const long long last = first + CHUNK < rows ? first + CHUNK : rows;
        int own = 0;
        for (long long row = first + lane; row < last; row += 32) {
            const double weight = weights ? weights[b * weight_step + row * weight_row] : 1.0;
            bool counts = weight > 0.0;
#if GPUOLS_DROP
            const GPUOLS_REAL *const of_x = x + b * x_step + row * x_row,
                              *const of_y = y + b * y_step + row * y_row;
            for (int c = 0; c < k; c++) counts = counts && of_x[c * x_column] == of_x[c * x_column];
            for (int c = 0; c < m; c++) counts = counts && of_y[c * y_column] == of_y[c * y_column];
            effective[b * rows + row] = counts ? weight : 0.0;
#endif
            own += counts;
        }
#pragma unroll
        for (int step = 16; step > 0; step /= 2) own += __shfl_xor_sync(FULL_WARP, own, step);
        if (lane == 0) found[item] = own;
    }
}
