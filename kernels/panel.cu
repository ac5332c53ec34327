// panel: sums over the chunks of regressions of any number of columns, with tensor cores.
//
// Columns form panels of 64. A block of 4 warps takes one chunk of CHUNK rows of one regression and
// one pair of panels, of which it needs the lower triangle if they are the same; panels of responses
// alone are paired with those of X and with themselves. Rows go through registers, where they are
// shifted by the anchor, into shared memory, STAGE at a time, while the stage before is multiplied; a
// warp owns a few tiles of 16 x 8 products. No two blocks and no two warps write the same sum.
//
// A run of RUN rows goes into one accumulator, runs into a second: 128 + 32 additions at most.
//
// Macros: GPUOLS_REAL (float or double), GPUOLS_PANELS (1: there is one panel only, else 2),
// GPUOLS_WEIGHTED. Launch: 128 threads, no dynamic shared memory.

#include "gram.cuh"

constexpr int PANEL = 64, WIDTH = PANEL * GPUOLS_PANELS, THREADS = 128;
// Rows staged at a time: with weights beside two panels more would not fit in registers.
constexpr int STAGE = GPUOLS_WEIGHTED && GPUOLS_PANELS == 2 ? 8 : 16;
// Doubles from one staged row to the next: four rows of eight columns lie in different banks.
constexpr int STRIDE = WIDTH + 4;
// Tiles of a warp: a quarter of 20, the lower triangle of one panel, or of 4 x 8.
constexpr int SLOTS = GPUOLS_PANELS == 1 ? 5 : 8;
// Values that a thread carries from global to shared memory for one stage, and rows between them.
constexpr int CARRIED = STAGE * WIDTH / THREADS, APART = THREADS / WIDTH;

// A warp's tiles: the first of them, how many, and where they are.
struct Tiles {
    int first, count;
    bool same;  // one panel with itself: tiles of rows i hold 2 i + 2 of columns

    __device__ Tiles(bool of_one, int rows, int columns, int warp) : same(of_one) {
        const int all = same ? (rows - 1) * rows + columns : rows * 8;
        const int each = (all + 3) / 4;
        first = warp * each;
        count = first >= all ? 0 : all - first < each ? all - first : each;
    }
    __device__ int row(int s) const {
        const int t = first + s;
        if (!same) return t / 8;
        return t < 2 ? 0 : t < 6 ? 1 : t < 12 ? 2 : 3;
    }
    __device__ int column(int s) const {
        const int i = row(s);
        return first + s - (same ? i * (i + 1) : 8 * i);
    }
};

struct Accumulator {
    double product[4] = {}, sum = 0.0;

    // Adds another one and empties it.
    __device__ void take(Accumulator& other) {
#pragma unroll
        for (int e = 0; e < 4; e++) product[e] = __dadd_rn(product[e], other.product[e]);
        sum = __dadd_rn(sum, other.sum);
        other = Accumulator();
    }
};

// How many rows of a chunk count, and their weights, by the whole block.
__device__ void count_rows(const double* weight, long long step, int rows, double* part,
                           const Moments& v) {
    Counts counts;
    for (int row = threadIdx.x; row < rows; row += THREADS) counts.add(weight[row * step]);
    const double found[3] = {warp_sum(counts.rows), warp_sum(counts.weight),
                             warp_sum(counts.log_weight)};
    if (threadIdx.x % 32 == 0)
        for (int e = 0; e < 3; e++) part[3 * (threadIdx.x / 32) + e] = found[e];
    __syncthreads();
    if (threadIdx.x < 3) {
        double total = part[threadIdx.x];
        for (int w = 1; w < THREADS / 32; w++) total = __dadd_rn(total, part[3 * w + threadIdx.x]);
        v[threadIdx.x] = total;
    }
    __syncthreads();
}

extern "C" __global__ void __launch_bounds__(128, 2)
    panel(const GPUOLS_REAL* x, long long x_step, long long x_row, long long x_column,  // (B, n, k)
          const GPUOLS_REAL* y, long long y_step, long long y_row, long long y_column,  // (B, n, m)
          const double* weights, long long weight_step, long long weight_row,           // (B, n)
          const long long* places, long long place_step,  // (3, B) rows for the anchors, or null
          const long long* spans, const int* order,       // (2, B) and (N,), or null: a batch
          const int* owners, const long long* starts,     // (chunks,) and (B + 1,), or null
          int centered, int k, int m, long long rows, long long count, long long items,
          double* sums  // (chunks, entries)
    ) {
    SHARED_ARRAY(double, staged, 2 * STAGE * STRIDE);
    SHARED_ARRAY(double, weighing, 2 * STAGE);
    const Layout at = {k, m};
    const int lane = threadIdx.x % 32, q = k + m;
    const int panels = (q + PANEL - 1) / PANEL, own_panels = (k + PANEL - 1) / PANEL;
    const int triangle = own_panels * (own_panels + 1) / 2;
    const int pairs = triangle + (panels - own_panels) * (own_panels + 1);
    const Tables<GPUOLS_REAL> tables = {
        x, x_step, x_row, x_column, y, y_step, y_row, y_column, weights, weight_step, weight_row,
        places, place_step, spans, order, rows, count, k, m};
    const Chunks chunks = {owners, starts, items / count};

    for (long long task = blockIdx.x; task < items * pairs; task += gridDim.x) {
        const long long item = task / pairs, b = chunks.owner(item);
        const long long start = (item - chunks.start(b)) * CHUNK;
        const Table<GPUOLS_REAL> table = tables[b];
        const int length = table.n - start < CHUNK ? int(table.n - start) : CHUNK;
        const int pair = int(task % pairs), beyond = pair - triangle;
        int upper = 0, lower = pair;
        if (beyond < 0) {
            while (lower > upper) lower -= ++upper;
        } else {
            upper = own_panels + beyond / (own_panels + 1);
            lower = beyond % (own_panels + 1) < own_panels ? beyond % (own_panels + 1) : upper;
        }
        const bool same = upper == lower;
        const Moments v = {sums + item * at.size(), 1};

        // The column that this thread stages: those of the lower panel, then of the upper.
        const int place = threadIdx.x % WIDTH, own = PANEL * (place < PANEL ? lower : upper - 1) + place;
        const bool here = own < q && (place < PANEL || !same);
        const int* const order = table.order ? table.order + start : nullptr;
        const GPUOLS_REAL* const column =
            here ? table.column(own) + (order ? 0 : start * table.row(own)) : x;
        const long long step = here ? table.row(own) : 0;
        const double shift = here && centered ? table.anchor(own) : 0.0;
        if (same && here && threadIdx.x < PANEL) v[at.anchor(own)] = shift;
        const double* const weight =
            GPUOLS_WEIGHTED ? table.weight + start * weight_row : nullptr;

        const int high = q - PANEL * upper < PANEL ? q - PANEL * upper : PANEL;
        const int wide = q - PANEL * lower < PANEL ? q - PANEL * lower : PANEL;
        const Tiles tiles(same, (high + 15) / 16, (wide + 7) / 8, threadIdx.x / 32);
        Accumulator run[SLOTS], total[SLOTS];

        double carried[CARRIED], heavy = 0.0;
        const auto fetch = [&](int first) {
#pragma unroll
            for (int e = 0; e < CARRIED; e++) {
                const int row = first + threadIdx.x / WIDTH + e * APART;
                bool counts = here && row < length;
                if (GPUOLS_WEIGHTED && counts) counts = weight[row * weight_row] != 0.0;
                const int lies = counts && order ? order[row] : row;
                carried[e] = counts ? __dsub_rn(widened(column[lies * step]), shift) : 0.0;
            }
            if (GPUOLS_WEIGHTED && threadIdx.x < STAGE) {
                const int row = first + threadIdx.x;
                heavy = row < length ? weight[row * weight_row] : 0.0;
            }
        };
        const auto stage = [&](int side) {
#pragma unroll
            for (int e = 0; e < CARRIED; e++)
                staged[(side * STAGE + threadIdx.x / WIDTH + e * APART) * STRIDE + place] = carried[e];
            if (GPUOLS_WEIGHTED && threadIdx.x < STAGE) weighing[side * STAGE + threadIdx.x] = heavy;
        };
        const auto multiply = [&](int side) {
#pragma unroll
            for (int u = 0; u < STAGE; u += 4) {
                const int row = side * STAGE + u + lane % 4;
                const double* const z = staged + row * STRIDE + lane / 4;
                const double w = GPUOLS_WEIGHTED ? weighing[row] : 1.0;
                double a[2];
#pragma unroll
                for (int s = 0; s < SLOTS; s++) {
                    if (s >= tiles.count) break;
                    const int i = tiles.row(s), j = tiles.column(s);
                    if (s == 0 || i != tiles.row(s - 1)) {
                        a[0] = z[(same ? 0 : PANEL) + 16 * i];
                        a[1] = z[(same ? 0 : PANEL) + 16 * i + 8];
                    }
                    const double right = GPUOLS_WEIGHTED ? __dmul_rn(w, z[8 * j]) : z[8 * j];
                    mma_f64_16x8x4(run[s].product, a, right);
                    run[s].sum = __dadd_rn(run[s].sum, right);
                }
            }
        };

        if (length > 0) {
            fetch(0);
            stage(0);
        }
        __syncthreads();
        for (int first = 0, side = 0; first < length; first += STAGE, side ^= 1) {
            const bool more = first + STAGE < length;
            if (more) fetch(first + STAGE);
            multiply(side);
            if (more) stage(side ^ 1);
            if (!more || (first + STAGE) % RUN == 0)
#pragma unroll
                for (int s = 0; s < SLOTS; s++) total[s].take(run[s]);
            __syncthreads();
        }

#pragma unroll
        for (int s = 0; s < SLOTS; s++) {
            if (s >= tiles.count) break;
            const int i = tiles.row(s), j = tiles.column(s);
#pragma unroll
            for (int e = 0; e < 4; e++) {
                const int r = PANEL * upper + 16 * i + lane / 4 + 8 * (e / 2);
                const int c = PANEL * lower + 8 * j + 2 * (lane % 4) + e % 2;
                if (at.keeps(r, c)) v[at.product(r, c)] = total[s].product[e];
            }
            const int c = PANEL * lower + 8 * j + lane / 4;
            const double sum = warp_sum<4>(total[s].sum);
            if (same && j / 2 == i && lane % 4 == 0 && c < q) v[at.mean(c)] = sum;
        }
        if (upper > 0) continue;
        if (GPUOLS_WEIGHTED)
            count_rows(weight, weight_row, length, staged, v);
        else if (threadIdx.x < 3)
            v[threadIdx.x] = threadIdx.x == LOG_WEIGHT ? 0.0 : double(length);
    }
}
