// places: the first, the middle and the last row that counts of each regression, a warp each; -1
// where none does. From their values come the anchors.
//
// Launch: 256 threads.

#include "moments.cuh"

// The row of the target-th row that counts, from zero, given how many count in each chunk.
__device__ long long find(const double* weight, long long step, const int* found, long long rows,
                          long long target, int lane) {
    long long first = 0;
    while (target >= *found) {
        target -= *found++;
        first += CHUNK;
    }
    for (;; first += 32) {
        const long long row = first + lane;
        unsigned counting = __ballot_sync(FULL_WARP, row < rows && weight[row * step] > 0.0);
        const int here = __popc(counting);
        if (target >= here) {
            target -= here;
            continue;
        }
        for (; target > 0; target--) counting &= counting - 1;
        return first + __ffs(counting) - 1;
    }
}

extern "C" __global__ void __launch_bounds__(256, 2)
    places(const double* weights, long long weight_step, long long weight_row,  // (B, n), or (N,)
           const int* found,  // (chunks,), from `mask`
           const long long* spans, const long long* starts,  // (2, B) and (B + 1,), or null: a batch
           long long rows, long long count, long long items,
           long long* places,  // (3, room)
           long long room) {
    const Chunks chunks = {nullptr, starts, count > 0 ? items / count : 0};
    const int lane = threadIdx.x % 32;
    for (long long b = blockIdx.x * 8LL + threadIdx.x / 32; b < count; b += gridDim.x * 8LL) {
        const int* const own = found + chunks.start(b);
        const double* const weight = weights + b * weight_step + (spans ? spans[b] * weight_row : 0);
        long long number = 0;
        for (long long c = 0; c < chunks.number(b); c++) number += own[c];
        const long long targets[3] = {0, number / 2, number - 1};
        for (int i = 0; i < 3; i++) {
            long long row = -1;
            if (number > 0)
                row = find(weight, weight_row, own, spans ? spans[count + b] : rows, targets[i], lane);
            if (lane == 0) places[i * room + b] = row;
        }
    }
}
