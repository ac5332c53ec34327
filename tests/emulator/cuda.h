// What kernel code sees in place of a CUDA compiler's own declarations.
//
// __shared__ is not here on purpose: plain shared variables could not be watched, so a kernel that
// has one does not compile. SHARED_ARRAY and DYNAMIC_SHARED of common.cuh take its place.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <type_traits>
#include <utility>

#define GPUOLS_EMULATED 1

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

struct uint3 {
    unsigned x, y, z;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) int2 {
    int x, y;
};
struct alignas(16) double2 {
    double x, y;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline double2 make_double2(double x, double y) { return {x, y}; }

// Where in the kernel's source a call stands; a default argument fills it in.
struct emu_site {
    const char* file;
    int line;
};
#define EMU_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

enum emu_vote { EMU_COUNT, EMU_AND, EMU_OR };
enum emu_warp_call { EMU_SYNC, EMU_SHUFFLE, EMU_BALLOT, EMU_SUM };

// As a thread sees them these never change; the runtime alone sets them.
#ifndef EMU_BUILTIN
#define EMU_BUILTIN const
#endif

// The runtime, a shared object of its own.
#define EMU_API extern "C" __attribute__((visibility("default")))
#pragma GCC visibility push(default)
extern "C" {
extern EMU_BUILTIN int emu_left_out;  // number of the barrier that is left out; none has 0
extern EMU_BUILTIN uint3 emu_thread, emu_block, emu_block_size, emu_grid_size;
int emu_barrier(emu_vote vote, int predicate, emu_site site);
void emu_warp(emu_warp_call call, unsigned mask, int source, const void* in, void* out, int bytes,
              emu_site site);
unsigned emu_active_lanes();
void* emu_shared_static(const void* key, size_t bytes, size_t item, emu_site site);
void* emu_shared_dynamic(size_t offset, size_t bytes, size_t item, emu_site site);
void emu_copy(void* to, const void* from, int bytes, emu_site site);
void emu_copy_commit();
void emu_copy_wait(int pending);
void emu_atomic(void* where, size_t bytes, const void* pc);
[[noreturn]] void emu_trap(emu_site site);
int emu_run(void (*body)(void*), void* argument, const unsigned* grid, const unsigned* block,
            size_t shared_bytes);
}
#pragma GCC visibility pop

#define threadIdx emu_thread
#define blockIdx emu_block
#define blockDim emu_block_size
#define gridDim emu_grid_size
constexpr int warpSize = 32;

inline void __syncthreads(EMU_SITE) { emu_barrier(EMU_COUNT, 0, {file, line}); }
inline int __syncthreads_count(int predicate, EMU_SITE) {
    return emu_barrier(EMU_COUNT, predicate, {file, line});
}
inline int __syncthreads_and(int predicate, EMU_SITE) {
    return emu_barrier(EMU_AND, predicate, {file, line});
}
inline int __syncthreads_or(int predicate, EMU_SITE) {
    return emu_barrier(EMU_OR, predicate, {file, line});
}
inline void __syncwarp(unsigned mask = 0xffffffffu, EMU_SITE) {
    emu_warp(EMU_SYNC, mask, 0, nullptr, nullptr, 0, {file, line});
}
inline void __threadfence() {}
inline void __threadfence_block() {}
[[noreturn]] inline void __trap(EMU_SITE) { emu_trap({file, line}); }

#include "arithmetic.h"
#include "warp.h"
