// team.cuh: the threads that work on one regression: some lanes of a warp, or a block.

#ifndef GPUOLS_TEAM_CUH
#define GPUOLS_TEAM_CUH
#include "common.cuh"

// COUNT neighbouring lanes, a power of two; others of the warp may do something else meanwhile.
template <int COUNT>
struct Lanes {
    static constexpr int SIZE = COUNT;
    int lane;
    unsigned mask;

    __device__ explicit Lanes(int thread)
        : lane(thread % COUNT), mask(FULL_WARP >> (32 - COUNT) << thread % 32 / COUNT * COUNT) {}

    __device__ void sync() const { __syncwarp(mask); }
    __device__ double sum(double value) const {
#pragma unroll
        for (int step = COUNT / 2; step > 0; step /= 2)
            value = __dadd_rn(value, __shfl_xor_sync(mask, value, step));
        return value;
    }
    __device__ double max(double value) const {
#pragma unroll
        for (int step = COUNT / 2; step > 0; step /= 2)
            value = fmax(value, __shfl_xor_sync(mask, value, step));
        return value;
    }
    __device__ unsigned either(unsigned bits) const {
#pragma unroll
        for (int step = COUNT / 2; step > 0; step /= 2) bits |= __shfl_xor_sync(mask, bits, step);
        return bits;
    }
};

// A block of THREADS threads; `part` is shared memory, a double for each warp.
template <int THREADS>
struct Block {
    static constexpr int SIZE = THREADS;
    static constexpr int WARPS = THREADS / 32;
    int lane;
    double* part;

    __device__ void sync() const { __syncthreads(); }
    __device__ double sum(double value) const {
        return over_warps(Lanes<32>(lane).sum(value), [](double a, double b) { return __dadd_rn(a, b); });
    }
    __device__ double max(double value) const {
        return over_warps(Lanes<32>(lane).max(value), [](double a, double b) { return fmax(a, b); });
    }
    __device__ unsigned either(unsigned bits) const {
        const double all = over_warps(double(Lanes<32>(lane).either(bits)), [](double a, double b) {
            return double(unsigned(a) | unsigned(b));
        });
        return unsigned(all);
    }

   private:
    template <class Join>
    __device__ double over_warps(double value, Join join) const {
        if (lane % 32 == 0) part[lane / 32] = value;
        __syncthreads();
        double all = part[0];
#pragma unroll
        for (int w = 1; w < WARPS; w++) all = join(all, part[w]);
        __syncthreads();
        return all;
    }
};

#endif  // GPUOLS_TEAM_CUH
