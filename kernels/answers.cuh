// answers.cuh: where the kernels leave answers.

#ifndef GPUOLS_ANSWERS_CUH
#define GPUOLS_ANSWERS_CUH
#include "common.cuh"

// Where the answers of one regression go: entry e to values[e * room], the status of response r to
// status[r * room]. Entries: params (p, m), variances (p,), ssr (m,), error_bound (m,), df_resid and
// rank.
struct Answers {
    double* values;
    signed char* status;
    int* rejected;  // how many regressions call for a closer look
    long long room;
    int p, m;

    __device__ double& param(int j, int r) const { return values[((long long)j * m + r) * room]; }
    __device__ double& variance(int j) const { return values[((long long)p * m + j) * room]; }
    __device__ double& ssr(int r) const { return values[((long long)p * (m + 1) + r) * room]; }
    __device__ double& bound(int r) const { return values[((long long)p * (m + 1) + m + r) * room]; }
    __device__ double& df() const { return values[((long long)p * (m + 1) + 2 * m) * room]; }
    __device__ double& rank() const { return values[((long long)p * (m + 1) + 2 * m + 1) * room]; }
};

#endif  // GPUOLS_ANSWERS_CUH
