// tame: which rows of a design are there, and which of them have finite values, or, given anchors,
// finite squares about them; a warp a chunk.
//
// Macro: GPUOLS_REAL (float or double). Launch: 256 threads.

#include "masked.cuh"

extern "C" __global__ void __launch_bounds__(256, 2)
    tame(const GPUOLS_REAL* x, long long x_row, long long x_column,  // (n, k)
         const double* anchors,                                      // (k,) or null
         int drop, int k, long long n, long long items,
         double* kinds,  // (n,) ABSENT, TAME or WILD
         int* found      // (chunks,) rows that are tame
    ) {
    const int lane = threadIdx.x % 32;
    for (long long item = blockIdx.x * 8LL + threadIdx.x / 32; item < items;
         item += gridDim.x * 8LL) {
        const long long first = item * CHUNK, last = first + CHUNK < n ? first + CHUNK : n;
        int own = 0;
        for (long long row = first + lane; row < last; row += 32) {
            bool there = true, finite = true;
            for (int c = 0; c < k; c++) {
                const double value = widened(x[row * x_row + c * x_column]);
                double size = value;
                if (anchors) {
                    const double z = __dsub_rn(value, anchors[c]);
                    size = __dmul_rn(z, z);
                }
                there = there && value == value;
                finite = finite && size - size == 0.0;
            }
            kinds[row] = drop && !there ? ABSENT : finite ? TAME : WILD;
            own += finite;
        }
#pragma unroll
        for (int step = 16; step > 0; step /= 2) own += __shfl_xor_sync(FULL_WARP, own, step);
        if (lane == 0) found[item] = own;
    }
}
