// panels.cuh: numbers of 16 responses by 8 TILES columns of a design, as a warp's lanes hold them.
//
// With r = lane / 4 and c = lane % 4 a lane has, of tile t, columns 8 t + 2 c and 8 t + 2 c + 1 of the
// responses r (entries 0, 1) and r + 8 (entries 2, 3): what mma_f64_16x8x4 leaves. Read as the left
// factor of another product the same registers are four columns at a time, 8 t + 2 c + e for e = 0,
// 1: no lane needs to know what another has.

#ifndef GPUOLS_PANELS_CUH
#define GPUOLS_PANELS_CUH
#include "common.cuh"

template <int TILES>
struct Panel {
    static constexpr int WIDTH = 8 * TILES;
    double value[TILES][4] = {};

    __device__ void add(const Panel& other) {
#pragma unroll
        for (int t = 0; t < TILES; t++)
#pragma unroll
            for (int e = 0; e < 4; e++) value[t][e] = __dadd_rn(value[t][e], other.value[t][e]);
    }
};

// A panel in shared memory, where a loop can count through it: entry e of tile t at place
// 32 (4 t + e) of a lane's own, which no other lane reads.
template <int TILES>
__device__ __forceinline__ void keep(const Panel<TILES>& panel, double* kept) {
#pragma unroll
    for (int e = 0; e < 4 * TILES; e++) kept[32 * e] = panel.value[e / 4][e % 4];
}
template <int TILES>
__device__ __forceinline__ Panel<TILES> recall(const double* kept) {
    Panel<TILES> panel;
#pragma unroll
    for (int e = 0; e < 4 * TILES; e++) panel.value[e / 4][e % 4] = kept[32 * e];
    return panel;
}

// Adds to each response of `out` a block M (8 TILES, 8 TILES) times what is kept. The block lies as
// the lanes read it: entry (8 t + r, 8 f + 2 c + h) at place ((2 f + h) TILES + t) 32 + 4 r + c.
template <int TILES>
__device__ __forceinline__ void multiply(Panel<TILES>& out, const double* kept, const double* block,
                                         int lane) {
#pragma unroll 1
    for (int f = 0; f < TILES; f++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const double left[2] = {kept[32 * (4 * f + h)], kept[32 * (4 * f + 2 + h)]};
            const double* const right = block + 32 * TILES * (2 * f + h) + lane;
#pragma unroll
            for (int t = 0; t < TILES; t++) mma_f64_16x8x4(out.value[t], left, right[32 * t]);
        }
}

// Keeps the x with T x = c in place of a kept c, given -T, a triangular block, and its inverse; refined
// once, so that the residual is as small as substitution's.
template <int TILES>
__device__ __forceinline__ Panel<TILES> substitute(double* kept, double* spare, const double* block,
                                                   const double* inverse, int lane) {
    Panel<TILES> x;
    multiply(x, kept, inverse, lane);
    keep(x, spare);
    Panel<TILES> left = recall<TILES>(kept);
    multiply(left, spare, block, lane);
    keep(left, spare);
    multiply(x, spare, inverse, lane);
    keep(x, kept);
    return x;
}

#endif  // GPUOLS_PANELS_CUH
