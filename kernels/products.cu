// products: sums of products of columns in double-double.
//
// A task is a chunk and a tile, the products of two panels of its columns; of responses alone only
// the squares (dealing.cuh). A thread holds the 16 sums of one lane in registers, those of another
// meanwhile in shared memory, where no other thread looks. There are 17 operations for each product
// and about 5 to shift and weigh its factors: what counts is arithmetic, so rows are read straight
// from global memory.
//
// Anchored sums (anchored.cuh) take 6 operations. A lane's rows are read twice: the squares come first.
//
// Macros: GPUOLS_REAL (float or double), GPUOLS_WEIGHTED, GPUOLS_ANCHORED (0 or 1). Launch: 128 threads.

#include "anchored.cuh"
#include "dealing.cuh"

constexpr int THREADS = 128;

// Panels of columns whose products are a tile. With a panel of columns of X goes each from it on,
// with one of responses itself.
struct Tile {
    int row, column;

    __device__ Tile(int number, int own) : row(number), column(0) {
        for (int above = 0; row > above; above = column < own ? column : own) {
            row -= above + 1;
            column++;
        }
        if (row >= own) row = column;
    }
    __device__ static int count(int own, int panels) {
        return own * (own + 1) / 2 + (panels - own) * (own + 1);
    }
};

// Moves a thread's sums to memory of its own, `aside`, and empties them.
__device__ __forceinline__ void put_aside(Pair (&sum)[PANEL][PANEL], double* aside) {
#pragma unroll
    for (int i = 0; i < PANEL; i++)
#pragma unroll
        for (int j = 0; j < PANEL; j++) {
            aside[2 * (i * PANEL + j) * THREADS] = sum[i][j].high;
            aside[(2 * (i * PANEL + j) + 1) * THREADS] = sum[i][j].low;
            sum[i][j] = {};
        }
}

// Adds those to its sums.
__device__ __forceinline__ void add_aside(Pair (&sum)[PANEL][PANEL], const double* aside) {
#pragma unroll
    for (int i = 0; i < PANEL; i++)
#pragma unroll
        for (int j = 0; j < PANEL; j++)
            sum[i][j] = add({aside[2 * (i * PANEL + j) * THREADS],
                             aside[(2 * (i * PANEL + j) + 1) * THREADS]},
                            sum[i][j]);
}

// Where a lane's sums are held: 2^a of the columns on either side.
struct Anchors {
    double left[PANEL] = {}, right[PANEL] = {};

    // Squares, at first.
    __device__ void take(double w, const Columns<GPUOLS_REAL>& rows, const Columns<GPUOLS_REAL>& columns,
                         long long row, long long lies) {
#pragma unroll
        for (int i = 0; i < PANEL; i++) {
            add_square(left[i], w, rows.shifted(i, rows.value(i, lies), row).high);
            add_square(right[i], w, columns.shifted(i, columns.value(i, lies), row).high);
        }
    }
    __device__ static void add_square(double& sum, double w, double z) {
        sum = __fma_rn(GPUOLS_WEIGHTED ? __dmul_rn(w, z) : z, z, sum);
    }
    __device__ void hold(Pair (&sum)[PANEL][PANEL]) {
#pragma unroll
        for (int i = 0; i < PANEL; i++) {
            left[i] = anchor_of(left[i]);
            right[i] = anchor_of(right[i]);
        }
#pragma unroll
        for (int i = 0; i < PANEL; i++)
#pragma unroll
            for (int j = 0; j < PANEL; j++) sum[i][j] = {__dmul_rn(left[i], right[j]), 0.0};
    }
    __device__ void release(Pair (&sum)[PANEL][PANEL]) const {
#pragma unroll
        for (int i = 0; i < PANEL; i++)
#pragma unroll
            for (int j = 0; j < PANEL; j++)
                sum[i][j] = released(sum[i][j], __dmul_rn(left[i], right[j]));
    }
};

extern "C" __global__ void __launch_bounds__(128, 2)
    products(const GPUOLS_REAL* x, long long x_step, long long x_row, long long x_column,  // (B, n, k)
             const GPUOLS_REAL* y, long long y_step, long long y_row, long long y_column,  // (B, n, m)
             const double* weights, long long weight_step, long long weight_row,           // (B, n)
             const long long* places, long long place_step,  // (3, B) rows for the anchors, or null
             const long long* spans, const int* order,       // (2, B) and (N,), or null: a batch
             const int* owners, const long long* starts,     // (chunks,) and (B + 1,), or null
             const double* anchors,     // (B, k + m)
             const double* residuals, const long long* firsts,  // as in Residuals, or null
             const signed char* found,  // (B,) Finding of the first look, in a second one, or null
             int lanes, int k, int m, long long rows, long long count, long long items,
             double* sums  // (chunks, stride)
    ) {
    const Layout at = {k, m};
    const Team team(lanes);
    const Tables<GPUOLS_REAL> tables = {
        x, x_step, x_row, x_column, y, y_step, y_row, y_column, weights, weight_step, weight_row,
        places, place_step, spans, order, rows, count, k, m};
    const Chunks chunks = {owners, starts, items / count};
    const Residuals rest = {residuals, firsts};
    SHARED_ARRAY(double, room, 2 * PANEL * PANEL * THREADS);
    double* const aside = room + threadIdx.x;
    const int own = (k + PANEL - 1) / PANEL, teams = THREADS / team.size;
    const int tiles = Tile::count(own, (at.columns() + PANEL - 1) / PANEL);
    for (long long base = blockIdx.x * (long long)teams; base < items * tiles;
         base += gridDim.x * (long long)teams) {
        const bool there = base + team.number < items * tiles;
        const long long task = there ? base + team.number : 0, item = task / tiles;
        const long long b = chunks.owner(item), first = (item - chunks.start(b)) * CHUNK;
        const Tile tile(int(task % tiles), own);
        const Table<GPUOLS_REAL> table = tables[b];
        const long long last = first + CHUNK < table.n ? first + CHUNK : table.n;
        // With residuals the products of columns of X are left out.
        const bool wanted = !residuals || (tile.column + 1) * PANEL > k;
        const bool busy = there && wanted && (!found || found[b] & FAR);
        Pair sum[PANEL][PANEL];
        if (busy) {
            const double* const points = anchors + b * at.columns();
            // Of residuals there are no anchored sums.
            const double* const own_rest = GPUOLS_ANCHORED ? nullptr : rest.of(b, m);
            const Columns<GPUOLS_REAL> left(table, points, own_rest, tile.row * PANEL);
            const Columns<GPUOLS_REAL> right(table, points, own_rest, tile.column * PANEL);
            for (int lane = team.lane; lane < lanes; lane += 32) {
                if (lane != team.lane) put_aside(sum, aside);
                const auto each_row = [&](const auto& visit) {
#pragma unroll 1
                    for (long long row = first + lane; row < last; row += lanes) {
                        const double w = GPUOLS_WEIGHTED ? table.weight[row * weight_row] : 1.0;
                        if (w != 0.0) visit(w, row, table.lies(row));
                    }
                };
                Anchors near;
                if (GPUOLS_ANCHORED) {
                    each_row([&](double w, long long row, long long lies) {
                        near.take(w, left, right, row, lies);
                    });
                    near.hold(sum);
                }
                each_row([&](double w, long long row, long long lies) {
                    Pair z[PANEL];
#pragma unroll
                    for (int j = 0; j < PANEL; j++)
                        z[j] = right.shifted(j, right.value(j, lies), row);
#pragma unroll
                    for (int i = 0; i < PANEL; i++) {
                        Pair factor = left.shifted(i, left.value(i, lies), row);
                        if (GPUOLS_WEIGHTED) factor = weighted(w, factor);
#pragma unroll
                        for (int j = 0; j < PANEL; j++) {
                            if (GPUOLS_ANCHORED)
                                add_anchored(sum[i][j], factor, z[j]);
                            else
                                add_product(sum[i][j], factor, z[j]);
                        }
                    }
                });
                if (GPUOLS_ANCHORED) near.release(sum);
            }
            if (lanes > 32) add_aside(sum, aside);
        }
        double* const high = sums + item * stride(at);
        double* const low = high + at.size();
#pragma unroll
        for (int i = 0; i < PANEL; i++)
#pragma unroll
            for (int j = 0; j < PANEL; j++) {
                const Pair found_here = team.fold(sum[i][j]);
                const int r = tile.column * PANEL + j, c = tile.row * PANEL + i;
                if (!busy || team.lane != 0 || !at.keeps(r, c) || (residuals && r < k)) continue;
                high[at.product(r, c)] = found_here.high;
                low[at.product(r, c)] = found_here.low;
            }
    }
}
