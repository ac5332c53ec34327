// solve_responses: sums of chunks to moments of responses that share a design, and to answers.
//
// A warp takes 16 responses: it adds the chunks, centres, writes the moments and solves
// (responses.cuh), a panel of 8 TILES columns at a time.
//
// Macros: GPUOLS_TILES, GPUOLS_PANELS (1: there is one panel only, else 2). Launch: 128 threads.

#include "responses.cuh"

constexpr int EACH = 16, RESPONSES = EACH * 4;

extern "C" __global__ void __launch_bounds__(128, BLOCKS)
    solve_responses(double* sums,  // (chunks, 2 + k, m)
                    const double* premise, unsigned flags, double tol, int k, long long m,
                    long long groups, long long chunks,
                    double* moments,      // (4 + k, room), anchors in the first row
                    double* answers,      // (p + 2, room)
                    signed char* status,  // (room,)
                    int* rejected,        // (1,)
                    double* spare,        // (k, m), or null
                    long long room) {
    const int lane = threadIdx.x % 32;
    const Premise design = {premise, k, flags};
    const Answers out = {moments, answers, status, rejected, spare, room, m};
    const long long apart = (2 + k) * m;
    const Rows<GPUOLS_TILES> rows = {sums + 2 * m, m, k, lane};

    for (long long group = blockIdx.x; group < groups; group += gridDim.x) {
        Response of[2];
#pragma unroll
        for (int h = 0; h < 2; h++) {
            of[h].place = group * RESPONSES + EACH * (threadIdx.x / 32) + lane / 4 + 8 * h;
            of[h].here = of[h].place < m;
            const double* const own = sums + (of[h].here ? of[h].place : 0);
            of[h].anchor = of[h].here ? moments[of[h].place] : 0.0;
            centre(of[h], sum_of(own, apart, chunks), sum_of(own + m, apart, chunks), design, out,
                   lane);
        }
        const auto products = [&](int panel) {
            Panel<GPUOLS_TILES> total;
            rows.each(panel, of, [&](int t, int e, const double* own) {
                total.value[t][e] = sum_of(own, apart, chunks);
            });
            centre(total, panel, of, design, out, lane);
            return total;
        };
        answer<GPUOLS_TILES, GPUOLS_PANELS == 1>(products, of, design, tol, out, lane);
    }
}
