// anchors: the points about which rows are first shifted to be summed in double-double.
//
// Macro: GPUOLS_REAL (float or double). Launch: 256 threads, one for each column of each regression.

#include "moments.cuh"

extern "C" __global__ void __launch_bounds__(256, 2)
    anchors(const GPUOLS_REAL* x, long long x_step, long long x_row, long long x_column,  // (B, n, k)
            const GPUOLS_REAL* y, long long y_step, long long y_row, long long y_column,  // (B, n, m)
            const double* weights, long long weight_step, long long weight_row,           // (B, n)
            const long long* places, long long place_step,  // (3, B) rows for the anchors, or null
            const long long* spans, const int* order,       // (2, B) and (N,), or null: a batch
            int centered, int k, int m, long long rows, long long count,
            double* anchors  // (B, k + m)
    ) {
    const Tables<GPUOLS_REAL> tables = {
        x, x_step, x_row, x_column, y, y_step, y_row, y_column, weights, weight_step, weight_row,
        places, place_step, spans, order, rows, count, k, m};
    const int q = k + m;
    for (long long e = blockIdx.x * 256LL + threadIdx.x; e < count * q; e += gridDim.x * 256LL)
        anchors[e] = centered ? tables[e / q].anchor(int(e % q)) : 0.0;
}
