// fit_batch: rows to answers in one launch, for regressions of at most 4096 rows and 32 columns.
//
// A block of 8 warps takes `round` regressions at a time: `share` warps sum the rows of one
// (gram.cuh), which leaves its sums in shared memory; then TEAM lanes centre and solve each. Blocks
// go on with further rounds until none is left.
//
// Macros: GPUOLS_REAL (float or double), GPUOLS_TILES (columns over 8, 1 to 4), GPUOLS_WEIGHTED.
// Launch: 256 threads; dynamic shared memory of round * Layout::size and round * Room::size doubles.

#include "gram.cuh"
#include "solve.cuh"

constexpr int WARPS = 8, TEAM = GPUOLS_TILES == 1 ? 8 : GPUOLS_TILES == 2 ? 16 : 32;

extern "C" __global__ void __launch_bounds__(256, GPUOLS_TILES <= 2 ? 2 : 1)
    fit_batch(const GPUOLS_REAL* x, long long x_step, long long x_row, long long x_column,  // (B, n, k)
              const GPUOLS_REAL* y, long long y_step, long long y_row, long long y_column,  // (B, n, m)
              const double* weights, long long weight_step, long long weight_row,           // (B, n)
              const long long* places, long long place_step,  // (3, B) rows for the anchors, or null
              const long long* spans, const int* order,       // (2, B) and (N,), or null: a batch
              const double* ridge,      // (B,) or null
              double tol, int centered, int k, int m, long long rows, long long count, int share,
              int round,
              double* moments,      // (entries, room)
              double* answers,      // (entries, room)
              signed char* status,  // (m, room)
              int* rejected,        // (1,)
              long long room) {
    const Layout at = {k, m};
    const int group = threadIdx.x / 32 / share, part = threadIdx.x / 32 % share;
    DYNAMIC_SHARED(memory);
    double* const slots = memory.take<double>(round * at.size());
    const Lanes<TEAM> team(threadIdx.x);
    const int own = threadIdx.x / TEAM;
    const Room work(memory.take<double>(round * Room::size(k)) + own * Room::size(k), k);

    const Tables<GPUOLS_REAL> tables = {
        x, x_step, x_row, x_column, y, y_step, y_row, y_column, weights, weight_step, weight_row,
        places, place_step, spans, order, rows, count, k, m};
    for (long long base = (long long)blockIdx.x * round; base < count;
         base += (long long)gridDim.x * round) {
        const int here = count - base < round ? int(count - base) : round;
        for (int first = 0; first < here; first += WARPS / share) {
            const int slot = first + group;
            const Table<GPUOLS_REAL> table = tables[base + (slot < here ? slot : 0)];
            sum_rows<GPUOLS_REAL, GPUOLS_TILES, GPUOLS_WEIGHTED>(
                table, centered, 0, table.n, Moments{slots + slot, round}, at, share, part,
                slot < here);
        }
        __syncthreads();
        const Moments v = {slots + own, round};
        if (own < here) centre(v, at, centered, team);
        __syncthreads();
        write_moments(slots, round, here, at, moments + base, room, threadIdx.x, 256);
        if (own < here) {
            const double penalty = ridge ? ridge[base + own] : 0.0;
            const Answers out = {answers + base + own, status + base + own, rejected, room,
                                 k + centered, m};
            const bool solved = factor_design(v, at, penalty, work, k, team);
            solve_one(v, at, penalty, solved, centered, tol, work, out, k, team);
        }
        __syncthreads();
    }
}
