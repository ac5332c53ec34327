// gram.cuh: sums and products of a regression's rows by warps, with tensor cores.
//
// With z = row - anchor a warp forms Σ w z and Σ w z z' of four rows at a time. For a Gram matrix
// the two factors of D += A B are the same numbers: lane (column c, row r) loads z[it + r][8 j + c]
// straight from global memory, and that is both the half of A for columns 8 j ... 8 j + 7 and B for
// them. No shared memory, any strides, 8-byte alignment.
//
// A run of RUN rows goes into one accumulator, runs into a second; the warps of a regression, a
// stretch of rows each, are added in order. The longest run of additions into one accumulator:
// 128 (rows) + 4 (runs of 512 rows) + 8 (warps) = 140 for a chunk of 4096 rows.

#ifndef GPUOLS_GRAM_CUH
#define GPUOLS_GRAM_CUH
#include "moments.cuh"

// The pairs of a tile of 16 columns and one of 8 that a lower triangle of TILES x 8 columns needs.
template <int TILES>
struct Pairs {
    static constexpr int rows = (TILES + 1) / 2;
    __device__ static constexpr int before(int i) { return i * (i + 1); }
    static constexpr int count = before(rows) - (TILES % 2);
};

// A warp's sums, as the lanes hold them.
template <int TILES>
struct Sums {
    static constexpr int PAIRS = Pairs<TILES>::count;
    double product[PAIRS][4] = {};
    double sum[TILES] = {};

    __device__ void add(const Sums& other) {
#pragma unroll
        for (int p = 0; p < PAIRS; p++)
#pragma unroll
            for (int e = 0; e < 4; e++) product[p][e] = __dadd_rn(product[p][e], other.product[p][e]);
#pragma unroll
        for (int j = 0; j < TILES; j++) sum[j] = __dadd_rn(sum[j], other.sum[j]);
    }
};

// How many rows count, and their weights, as the lanes hold them.
struct Counts {
    double rows = 0.0, weight = 0.0, log_weight = 0.0;

    __device__ void add(double w) {
        if (w > 0.0) {
            rows += 1.0;
            log_weight = __dadd_rn(log_weight, log(w));
        }
        weight = __dadd_rn(weight, w);
    }
};

template <class Real, int TILES, bool WEIGHTED>
struct Reader {
    // Steps of four rows that are loaded before any is used.
    static constexpr int AHEAD =
        FEW_REGISTERS ? (TILES == 1 ? 4 : 2) : TILES == 1 ? 8 : TILES == 2 ? 4 : 2;
    // Lanes that count the rows and add up their weights.
    static constexpr int COUNTING = TILES == 1 ? 32 : TILES == 2 ? 16 : 8;

    const Real* column[TILES];
    long long step[TILES];
    double shift[TILES];
    bool here[TILES];
    const double* weight;
    long long weight_step;
    const int* order;
    int lane;

    __device__ Reader(const Table<Real>& table, bool centered, int own) {
        lane = own;
        weight = table.weight;
        weight_step = table.weight_row;
        order = table.order;
#pragma unroll
        for (int j = 0; j < TILES; j++) {
            const int c = 8 * j + lane / 4;
            here[j] = c < table.k + table.m;
            column[j] = here[j] ? table.column(c) : table.x;
            step[j] = here[j] ? table.row(c) : 0;
            shift[j] = here[j] && centered ? table.anchor(c) : 0.0;
        }
    }

    // Sums over rows first ... last - 1.
    __device__ void sum(long long first, long long last, Sums<TILES>& total, Counts& counts) const {
        for (long long start = first; start < last; start += RUN) {
            const long long end = start + RUN < last ? start + RUN : last;
            Sums<TILES> run;
            for (long long it = start; it < end; it += 4 * AHEAD) step_over(it, end, run);
            total.add(run);
            if (WEIGHTED && lane < COUNTING)
                for (long long row = start + lane; row < end; row += COUNTING)
                    counts.add(weight[row * weight_step]);
        }
    }

   private:
    __device__ void step_over(long long it, long long end, Sums<TILES>& run) const {
        double z[AHEAD][TILES], w[AHEAD];
#pragma unroll
        for (int u = 0; u < AHEAD; u++) {
            const long long row = it + 4 * u + lane % 4;
            w[u] = row < end ? 1.0 : 0.0;
            if (WEIGHTED && row < end) w[u] = weight[row * weight_step];
            const long long lies = order && row < end ? order[row] : row;
#pragma unroll
            for (int j = 0; j < TILES; j++) {
                z[u][j] = 0.0;
                if (here[j] && w[u] != 0.0)
                    z[u][j] = __dsub_rn(widened(column[j][lies * step[j]]), shift[j]);
            }
        }
#pragma unroll
        for (int u = 0; u < AHEAD; u++)
            if (it + 4 * u < end) multiply(z[u], w[u], run);
    }

    __device__ void multiply(const double (&z)[TILES], double w, Sums<TILES>& run) const {
        double weighted[TILES];
#pragma unroll
        for (int j = 0; j < TILES; j++) {
            weighted[j] = WEIGHTED ? __dmul_rn(w, z[j]) : z[j];
            run.sum[j] = __dadd_rn(run.sum[j], weighted[j]);
        }
#pragma unroll
        for (int i = 0; i < Pairs<TILES>::rows; i++) {
            const double both[2] = {z[2 * i], 2 * i + 1 < TILES ? z[2 * i + 1] : 0.0};
#pragma unroll
            for (int j = 0; j < TILES && j < 2 * i + 2; j++)
                mma_f64_16x8x4(run.product[Pairs<TILES>::before(i) + j], both, weighted[j]);
        }
    }
};

// Puts what a warp has summed into a regression's numbers; `more`: adds it to them.
template <int TILES>
__device__ void store(const Sums<TILES>& sums, const Counts& counts, const Moments& v,
                      const Layout& at, bool weighted, bool more, int lane) {
    const int row = lane / 4, column = 2 * (lane % 4);
#pragma unroll
    for (int half = 0; half < 2 * Pairs<TILES>::rows; half++) {
        const int i = half / 2, r = 8 * half + row, start = at.product(r, 0);
#pragma unroll
        for (int j = 0; j < TILES && j < 2 * i + 2; j++)
#pragma unroll
            for (int e = 0; e < 2; e++) {
                const int c = 8 * j + column + e;
                if (!at.keeps(r, c)) continue;
                double& entry = v[start + (c < at.k ? c : at.k)];
                const double found = sums.product[Pairs<TILES>::before(i) + j][half % 2 * 2 + e];
                entry = more ? __dadd_rn(entry, found) : found;
            }
    }
#pragma unroll
    for (int j = 0; j < TILES; j++) {
        const double found = warp_sum<4>(sums.sum[j]);
        const int c = 8 * j + row;
        if (lane % 4 == 0 && c < at.columns()) {
            double& entry = v[at.mean(c)];
            entry = more ? __dadd_rn(entry, found) : found;
        }
    }
    if (!weighted) return;
    const double found[3] = {warp_sum(counts.rows), warp_sum(counts.weight),
                             warp_sum(counts.log_weight)};
    if (lane == 0)
        for (int e = 0; e < 3; e++) v[e] = more ? __dadd_rn(v[e], found[e]) : found[e];
}

// The sums of rows first ... last - 1 of a regression by `share` warps of a block, of which this is
// number `part`; WARPS = share times the regressions that the block works on at once. All threads
// of the block call it; `busy` says whether this warp has a regression.
template <class Real, int TILES, bool WEIGHTED>
__device__ void sum_rows(const Table<Real>& table, bool centered, long long first, long long last,
                         const Moments& v, const Layout& at, int share, int part, bool busy) {
    const int lane = threadIdx.x % 32;
    Sums<TILES> total;
    Counts counts;
    if (busy) {
        const Reader<Real, TILES, WEIGHTED> reader(table, centered, lane);
        const long long stretch = ((last - first + share - 1) / share + 3) / 4 * 4;
        const long long start = first + part * stretch, end = start + stretch;
        if (start < last) reader.sum(start, end < last ? end : last, total, counts);
        if (part == 0) {
#pragma unroll
            for (int j = 0; j < TILES; j++)
                if (lane % 4 == 0 && reader.here[j]) v[at.anchor(8 * j + lane / 4)] = reader.shift[j];
            if (!WEIGHTED && lane < 3) v[lane] = lane == LOG_WEIGHT ? 0.0 : double(last - first);
        }
    }
    for (int turn = 0; turn < share; turn++) {
        if (busy && part == turn) store<TILES>(total, counts, v, at, WEIGHTED, turn > 0, lane);
        if (turn + 1 < share) __syncthreads();
    }
}

#endif  // GPUOLS_GRAM_CUH
