// common.cuh: the ground that every gpuols kernel stands on.
//
// This is the only file that knows the compiler. Kernels are plain CUDA C++; what one compiler or
// one device has and another has not is wrapped here.
//
// Rules:
//   - No #include: a kernel is compiled at run time from the text of this file followed by the text
//     of its own, where no header can be counted on.
//   - What a kernel is specialised by are macros that start with GPUOLS_.
//   - Shared memory is declared by SHARED_ARRAY or taken from DYNAMIC_SHARED, never by __shared__.
//   - Arithmetic that a result depends on is written with __dadd_rn, __dmul_rn, __fma_rn and their
//     like, each of which rounds once. a * b + c may be one rounding or two, as the compiler and
//     its flags please.

#ifndef GPUOLS_COMMON_CUH
#define GPUOLS_COMMON_CUH

#if !defined(__CUDACC__) && !defined(GPUOLS_EMULATED)
#error "gpuols kernels are CUDA C++: compile them with nvcc or NVRTC"
#endif

// Whether inline PTX that needs this compute capability, times 100, can be used.
#if defined(__CUDA_ARCH__)
#define GPUOLS_PTX(capability) (__CUDA_ARCH__ >= (capability))
#else
#define GPUOLS_PTX(capability) 0
#endif

constexpr unsigned FULL_WARP = 0xffffffffu;

// From compute capability 10.0 on the compiler takes more registers for the same text.
constexpr bool FEW_REGISTERS = GPUOLS_PTX(1000);

// SHARED_ARRAY(double, partial, 32): 32 doubles that the threads of a block share, not initialised.
//
// DYNAMIC_SHARED(memory) hands out the bytes that the launch gave, piece by piece, each on a
// boundary of 16 bytes: double* tile = memory.take<double>(n). Every thread takes the same pieces.
#if defined(GPUOLS_EMULATED)

// A static of the place, or of the template's instance, tells one array from another.
#define SHARED_ARRAY(T, name, n)                         \
    T* const name = static_cast<T*>(emu_shared_static(   \
        [] {                                             \
            static char key;                             \
            return &key;                                 \
        }(),                                             \
        sizeof(T) * (n), sizeof(T), {__FILE__, __LINE__}))

struct DynamicShared {
    unsigned used;
    template <class T>
    T* take(int n, EMU_SITE) {
        const unsigned start = used, bytes = unsigned(sizeof(T)) * n;
        used += (bytes + 15) / 16 * 16;
        return static_cast<T*>(emu_shared_dynamic(start, bytes, sizeof(T), {file, line}));
    }
};
#define DYNAMIC_SHARED(name) DynamicShared name{0}

#else

#define SHARED_ARRAY(T, name, n) __shared__ T name[n]

struct DynamicShared {
    unsigned char* next;
    template <class T>
    __device__ __forceinline__ T* take(int n) {
        T* const piece = reinterpret_cast<T*>(next);
        next += (unsigned(sizeof(T)) * n + 15) / 16 * 16;
        return piece;
    }
};
#define DYNAMIC_SHARED(name)                                  \
    extern __shared__ __align__(16) unsigned char name##_[];  \
    DynamicShared name { name##_ }

#endif

// Copies of 4, 8 or 16 bytes from global to shared memory that go on while the thread does. A group
// is what a thread issued between two commits; cp_async_wait<N> waits for all of its groups but the
// last N, and a barrier then shows the copies to others. Below compute capability 8.0 a copy is done
// at once.
#if defined(GPUOLS_EMULATED)

template <int BYTES>
void cp_async(void* to, const void* from, EMU_SITE) {
    emu_copy(to, from, BYTES, {file, line});
}
inline void cp_async_commit() { emu_copy_commit(); }
template <int PENDING>
void cp_async_wait() {
    emu_copy_wait(PENDING);
}

#elif GPUOLS_PTX(800)

template <int BYTES>
__device__ __forceinline__ void cp_async(void* to, const void* from) {
    const unsigned target = static_cast<unsigned>(__cvta_generic_to_shared(to));
    if (BYTES == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(target), "l"(from) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(target), "l"(from), "n"(BYTES)
                     : "memory");
}
__device__ __forceinline__ void cp_async_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int PENDING>
__device__ __forceinline__ void cp_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

#else

template <int BYTES>
__device__ __forceinline__ void cp_async(void* to, const void* from) {
#pragma unroll
    for (int i = 0; i < BYTES / 4; i++) static_cast<int*>(to)[i] = static_cast<const int*>(from)[i];
}
__device__ __forceinline__ void cp_async_commit() {}
template <int PENDING>
__device__ __forceinline__ void cp_async_wait() {}

#endif

// A value as a double, exactly. CuPy has the compiler take tiny floats for zero; PTX of its own does
// not.
__device__ __forceinline__ double widened(double value) { return value; }
__device__ __forceinline__ double widened(float value) {
#if GPUOLS_PTX(0)
    double wide;
    asm("cvt.f64.f32 %0, %1;" : "=d"(wide) : "f"(value));
    return wide;
#else
    return value;
#endif
}

__device__ __forceinline__ bool is_finite(double value) { return value - value == 0.0; }

// e with 2^(e-1) <= number < 2^e.
__device__ __forceinline__ int exponent_of(double number) {
    const bool tiny = number < 2.2250738585072014e-308;
    const double normal = tiny ? __dmul_rn(number, 18446744073709551616.0) : number;
    return int(__double_as_longlong(normal) >> 52) - 1022 - (tiny ? 64 : 0);
}

__device__ __forceinline__ double power_of_two(int exponent) {
    return __longlong_as_double((1023LL + exponent) << 52);
}

// The sum over groups of WIDTH lanes, in every lane, by the same tree whatever the values.
template <int WIDTH = 32>
__device__ __forceinline__ double warp_sum(double value) {
#pragma unroll
    for (int step = WIDTH / 2; step > 0; step /= 2)
        value = __dadd_rn(value, __shfl_xor_sync(FULL_WARP, value, step));
    return value;
}

// D += A B by one whole warp: A 16 x 4, B 4 x 8, D 16 x 8. With r = lane / 4 and c = lane % 4 a
// lane holds
//     a[0], a[1]              A[r][c], A[r + 8][c]
//     b                       B[c][r]
//     d[0], d[1]              D[r][2 c], D[r][2 c + 1]
//     d[2], d[3]              D[r + 8][2 c], D[r + 8][2 c + 1]
__device__ __forceinline__ void mma_f64_16x8x4(double (&d)[4], const double (&a)[2], double b) {
#if GPUOLS_PTX(900)
    asm volatile(
        "mma.sync.aligned.m16n8k4.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, {%4, %5}, {%6}, "
        "{%0, %1, %2, %3};"
        : "+d"(d[0]), "+d"(d[1]), "+d"(d[2]), "+d"(d[3])
        : "d"(a[0]), "d"(a[1]), "d"(b));
#elif GPUOLS_PTX(800)
#pragma unroll
    for (int half = 0; half < 2; half++)
        asm volatile(
            "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
            : "+d"(d[2 * half]), "+d"(d[2 * half + 1])
            : "d"(a[half]), "d"(b));
#else
    const int lane = threadIdx.x % 32, row = lane / 4, column = 2 * (lane % 4);
#pragma unroll
    for (int k = 0; k < 4; k++) {
        const double left = __shfl_sync(FULL_WARP, b, 4 * column + k);
        const double right = __shfl_sync(FULL_WARP, b, 4 * column + 4 + k);
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const double factor = __shfl_sync(FULL_WARP, a[half], 4 * row + k);
            d[2 * half] = __fma_rn(factor, left, d[2 * half]);
            d[2 * half + 1] = __fma_rn(factor, right, d[2 * half + 1]);
        }
    }
#endif
}

#endif  // GPUOLS_COMMON_CUH
