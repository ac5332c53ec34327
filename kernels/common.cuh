// common.cuh: the ground that every gpuols kernel stands on.
//
// This is the only file that knows the compiler. Every other file in kernels/
// uses the names below in place of compiler keywords and intrinsics, so that a
// change of compiler is a change of this file alone.
//
// Rules:
//   - Macros start with GPUOLS_, types and functions with gpuols_.
//   - No #include: a kernel is compiled at run time from the text of this file
//     followed by the text of its own, where no header can be counted on.
//   - Arithmetic that a result depends on goes through the functions below, each
//     of which rounds once, to nearest even. The compiler never contracts them:
//     a * b + c may become one rounding or stay two, as the compiler and its
//     flags please; gpuols_fma is always one and gpuols_add(gpuols_mul) always
//     two. So a result never depends on contraction, nor on fast-math flags.

#ifndef GPUOLS_COMMON_CUH
#define GPUOLS_COMMON_CUH

#if !defined(__CUDACC__)
#error "gpuols kernels are CUDA C++: compile them with nvcc or NVRTC"
#endif

// A function that kernels call.
#define GPUOLS_DEVICE __device__ __forceinline__

// A kernel. Its name is not mangled: it is looked up by the name in the source.
#define GPUOLS_GLOBAL extern "C" __global__ void

// A pointer through which alone its memory is reached while the kernel runs.
#define GPUOLS_RESTRICT __restrict__

// The type of every number that is not an index or a flag.
typedef double gpuols_real;

// a + b
GPUOLS_DEVICE gpuols_real gpuols_add(gpuols_real a, gpuols_real b) { return __dadd_rn(a, b); }

// a - b
GPUOLS_DEVICE gpuols_real gpuols_sub(gpuols_real a, gpuols_real b) { return __dsub_rn(a, b); }

// a * b
GPUOLS_DEVICE gpuols_real gpuols_mul(gpuols_real a, gpuols_real b) { return __dmul_rn(a, b); }

// a / b
GPUOLS_DEVICE gpuols_real gpuols_div(gpuols_real a, gpuols_real b) { return __ddiv_rn(a, b); }

// The square root of a.
GPUOLS_DEVICE gpuols_real gpuols_sqrt(gpuols_real a) { return __dsqrt_rn(a); }

// a * b + c, rounded once.
GPUOLS_DEVICE gpuols_real gpuols_fma(gpuols_real a, gpuols_real b, gpuols_real c) {
    return __fma_rn(a, b, c);
}

#endif  // GPUOLS_COMMON_CUH
