// masked.cuh: responses on one design, each with weights or missing rows of its own.

#ifndef GPUOLS_MASKED_CUH
#define GPUOLS_MASKED_CUH
#include "moments.cuh"

// What a row of the design is to all responses: left out, with finite products of its values, or not.
constexpr double ABSENT = 0.0, TAME = 1.0, WILD = -1.0;

// One response and its weights; rows are counted from where they start.
template <class Real>
struct Response {
    const Real* y;
    long long y_row;
    const double* weight;  // or null: ones
    long long weight_row;
    bool drop;

    __device__ Real value(long long row) const { return y[row * y_row]; }
    __device__ double weigh(long long row) const { return weight ? weight[row * weight_row] : 1.0; }

    // Whether a row counts, given what it is in the design.
    __device__ bool counts(double kind, double w, Real own) const {
        return kind != ABSENT && w != 0.0 && !(drop && (w != w || own != own));
    }
};

#endif  // GPUOLS_MASKED_CUH
