// masked: sums over the chunks of responses on one design, each with weights or missing rows of its
// own, by tensor cores.
//
// With z = x - a about one anchor of the design, u = y - b about one of the response, and w = 0
// where a row does not count, a response's sums are w' [1, z, z z'] and (w u)' [1, z]: two products
// with a table of the design's columns, which serves all responses. That is one reading of y and w
// where a batch would read X again for each.
//
// A block of 4 warps takes one chunk of CHUNK rows, 64 responses and one panel of at most 8 TILES
// columns of the table. A warp reads 16 responses straight from global memory; the table is formed
// from X on its way into shared memory, STAGE rows at a time, while the stage before is multiplied.
// A run of RUN rows goes into one accumulator, runs into a second, in shared memory: 128 + 32 additions
// at most. The sums lie as those of `gram` for one response, so that `fold` and `solve` do the rest.
//
// 0 times infinity is not 0. A row whose products are not finite is zero in the table, and a response
// that has it is summed again by itself, as is one whose weights are so large that they could hide
// an underflow of z z'. Only its own rows decide that: a response's bits depend on no other.
//
// Macros: GPUOLS_REAL (float or double), GPUOLS_TILES. Launch: 128 threads, no dynamic shared memory.

#include "masked.cuh"
#include "panels.cuh"

constexpr int THREADS = 128, EACH = 16, RESPONSES = EACH * THREADS / 32;
constexpr int WIDTH = Panel<GPUOLS_TILES>::WIDTH;
constexpr int STAGE = 16, STEPS = STAGE / 4;
// Doubles from one staged row to the next: four rows of eight columns lie in different banks.
constexpr int STRIDE = WIDTH + 4;
// Products that a thread forms for one stage, and rows between them; some threads may form none.
constexpr int APART = THREADS / WIDTH, CARRIED = STAGE / APART;
// From this weight on a sum over a chunk may reach 2^64, and an underflow of z z' count.
constexpr double HEAVY = 4503599627370496.0;

// The columns of the table: [1, z, z z'], the triangle row by row, for w, then [1, z] for w u, each
// part filled up to a tile of 8.
struct Columns {
    int k;

    __device__ int wide() const { return 1 + k + k * (k + 1) / 2; }
    __device__ int gram() const { return (wide() + 7) / 8; }
    __device__ int tiles() const { return gram() + (k + 8) / 8; }

    // Which of a response's sums column `place` gives; -1: none.
    __device__ int entry(int place) const {
        const Layout at = {k, 1};
        if (place >= 8 * gram()) {
            const int own = place - 8 * gram();
            return own > k ? -1 : own > 0 ? at.product(k, own - 1) : at.mean(k);
        }
        if (place > k) return place < wide() ? at.product(0, 0) + place - 1 - k : -1;
        return place > 0 ? at.mean(place - 1) : WEIGHT;
    }

    // The columns of [1, z] whose product it is.
    __device__ void factors(int place, int& i, int& j) const {
        i = place >= 8 * gram() ? place - 8 * gram() : place;
        j = 0;
        if (i <= k || place >= 8 * gram()) return;
        j = i - k;
        i = 1;
        while (j > i) j -= i++;
    }
};

// One column of [1, z], from where a chunk starts.
struct Factor {
    const GPUOLS_REAL* values;  // null: ones
    long long step;
    double shift;

    __device__ double operator()(int row) const {
        return values ? __dsub_rn(widened(values[row * step]), shift) : 1.0;
    }
};

// What a thread keeps in shared memory: products, and of each of two responses the sum of squares and
// that of logarithms of weights, and the anchor.
constexpr int SQUARE = 4 * GPUOLS_TILES, LOG = SQUARE + 2, LEVEL = LOG + 2, KEPT = LEVEL + 2;

extern "C" __global__ void __launch_bounds__(128, 3)
    masked(const GPUOLS_REAL* x, long long x_row, long long x_column,           // (n, k)
           const GPUOLS_REAL* y, long long y_step, long long y_row,             // (B, n)
           const double* weights, long long weight_step, long long weight_row,  // (B, n) or null
           const double* kinds,                                                 // (n,) from `tame`
           const double* anchors, const double* levels,  // (k,), and (B,) of y, or null: zeros
           int drop, int k, long long n, long long count, long long groups, long long chunks,
           int panels, int each,  // panels of the table, and tiles of one
           double* sums           // (B * chunks, entries)
    ) {
    SHARED_ARRAY(double, staged, 2 * STAGE * STRIDE);
    SHARED_ARRAY(double, kind_of, 2 * STAGE);
    SHARED_ARRAY(double, totals, THREADS * KEPT);
    const Layout at = {k, 1};
    const Columns columns = {k};
    const int lane = threadIdx.x % 32, gram = columns.gram();
    double* const total = totals + threadIdx.x;  // entry e of a thread's own at THREADS e

    for (long long task = blockIdx.x; task < groups * chunks * panels; task += gridDim.x) {
        const int panel = int(task % panels), tile = each * panel;
        const int tiles = columns.tiles() - tile < each ? columns.tiles() - tile : each;
        const long long chunk = task / panels % chunks, start = chunk * CHUNK;
        const int length = n - start < CHUNK ? int(n - start) : CHUNK;
        const long long own_first = task / panels / chunks * RESPONSES + EACH * (threadIdx.x / 32);
        const double* const kind = kinds + start;

        const auto response = [&](long long b) -> Response<GPUOLS_REAL> {
            return {y + b * y_step + start * y_row, y_row,
                    weights ? weights + b * weight_step + start * weight_row : nullptr, weight_row,
                    drop != 0};
        };
        const auto factor = [&](int i) -> Factor {
            if (i == 0) return {nullptr, x_row, 0.0};
            return {x + (i - 1) * x_column + start * x_row, x_row, anchors[i - 1]};
        };

        Response<GPUOLS_REAL> of[2];
        bool here[2], awkward[2] = {};
        int rows[2] = {};
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const long long b = own_first + lane / 4 + 8 * h;
            here[h] = b < count;
            of[h] = response(here[h] ? b : 0);
            total[THREADS * (LEVEL + h)] = here[h] && levels ? levels[b] : 0.0;
        }

        // The column of the table that this thread forms.
        const int place = threadIdx.x % WIDTH;
        const bool forms = threadIdx.x < WIDTH * APART;
        const bool mine = forms && place < 8 * tiles && columns.entry(8 * tile + place) >= 0;
        int i = 0, j = 0;
        if (mine) columns.factors(8 * tile + place, i, j);
        const Factor left = factor(i), right = factor(j);

        double carried[CARRIED], weight[STEPS][2];
        GPUOLS_REAL ahead[STEPS][2];
        const auto fetch_responses = [&](int first, int s) {
            const int row = first + 4 * s + lane % 4;
#pragma unroll
            for (int h = 0; h < 2; h++) {
                const bool there = here[h] && row < length;
                ahead[s][h] = there ? of[h].value(row) : GPUOLS_REAL(0);
                weight[s][h] = there ? of[h].weigh(row) : 0.0;
            }
        };
        const auto form_columns = [&](int first) {
#pragma unroll
            for (int e = 0; e < CARRIED; e++) {
                const int row = first + threadIdx.x / WIDTH + e * APART;
                carried[e] = 0.0;
                if (!mine || row >= length) continue;
                const double product = __dmul_rn(left(row), right(row));
                if (kind[row] == TAME) carried[e] = product;
            }
        };
        const auto stage = [&](int side, int first) {
#pragma unroll
            for (int e = 0; e < CARRIED && forms; e++)
                staged[(side * STAGE + threadIdx.x / WIDTH + e * APART) * STRIDE + place] = carried[e];
            const int row = first + threadIdx.x;
            if (threadIdx.x < STAGE)
                kind_of[side * STAGE + threadIdx.x] = row < length ? kind[row] : ABSENT;
        };
        Panel<GPUOLS_TILES> run;
        double squares[2] = {};
#pragma unroll
        for (int e = 0; e < LEVEL; e++) total[THREADS * e] = 0.0;
        const auto level = [&](int h) { return total[THREADS * (LEVEL + h)]; };
        const auto add = [&](int e, double value) {
            total[THREADS * e] = __dadd_rn(total[THREADS * e], value);
        };
        // Multiplies a stage, while the responses of the next, from row `next` on, are on their way.
        const auto multiply_stage = [&](int side, int next) {
#pragma unroll
            for (int s = 0; s < STEPS; s++) {
                const int row = side * STAGE + 4 * s + lane % 4;
                const double own = kind_of[row];
                double w[2], wu[2];
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    const bool counts = of[h].counts(own, weight[s][h], ahead[s][h]);
                    w[h] = counts ? weight[s][h] : 0.0;
                    const double u = counts ? __dsub_rn(widened(ahead[s][h]), level(h)) : 0.0;
                    wu[h] = __dmul_rn(w[h], u);
                    awkward[h] = awkward[h] || (counts && (own == WILD || !(w[h] < HEAVY)));
                    squares[h] = __fma_rn(wu[h], u, squares[h]);
                    if (!(w[h] > 0.0)) continue;
                    rows[h]++;
                    if (weights && panel == 0) add(LOG + h, log(w[h]));
                }
                fetch_responses(next, s);
#pragma unroll
                for (int t = 0; t < GPUOLS_TILES; t++) {
                    if (t >= tiles) break;
                    const bool own_gram = tile + t < gram;
                    const double both[2] = {own_gram ? w[0] : wu[0], own_gram ? w[1] : wu[1]};
                    mma_f64_16x8x4(run.value[t], both, staged[row * STRIDE + 8 * t + lane / 4]);
                }
            }
        };

#pragma unroll
        for (int s = 0; s < STEPS; s++) fetch_responses(0, s);
        form_columns(0);
        stage(0, 0);
        __syncthreads();
        for (int first = 0, side = 0; first < length; first += STAGE, side ^= 1) {
            const bool more = first + STAGE < length;
            if (more) form_columns(first + STAGE);
            // A warp may have no responses.
            if (__ballot_sync(FULL_WARP, here[0])) multiply_stage(side, first + STAGE);
            if (more) stage(side ^ 1, first + STAGE);
            if (!more || (first + STAGE) % RUN == 0) {
#pragma unroll
                for (int e = 0; e < SQUARE; e++) add(e, run.value[e / 4][e % 4]);
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    add(SQUARE + h, squares[h]);
                    squares[h] = 0.0;
                }
                run = Panel<GPUOLS_TILES>();
            }
            __syncthreads();
        }

        // The sum of column `place` for one response by the whole warp, each product weighed by itself.
        const auto sum_again = [&](const Response<GPUOLS_REAL>& one, double anchor, int place) {
            int i, j;
            columns.factors(place, i, j);
            const Factor left = factor(i), right = factor(j);
            double sum = 0.0;
            for (int row = lane; row < length; row += 32) {
                const GPUOLS_REAL own = one.value(row);
                double w = one.weigh(row);
                if (!one.counts(kind[row], w, own)) continue;
                if (place >= 8 * gram) w = __dmul_rn(w, __dsub_rn(widened(own), anchor));
                sum = __dadd_rn(sum, __dmul_rn(__dmul_rn(w, left(row)), right(row)));
            }
            return warp_sum(sum);
        };
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const unsigned found = __ballot_sync(FULL_WARP, awkward[h]);
            awkward[h] = found >> (lane & ~3) & 15;
            const long long b = own_first + lane / 4 + 8 * h;
            double* const v = sums + (b * chunks + chunk) * at.size();
            const double square = warp_sum<4>(total[THREADS * (SQUARE + h)]);
            const double log_weight = warp_sum<4>(total[THREADS * (LOG + h)]);
            const double counted = warp_sum<4>(double(rows[h]));
            if (here[h] && panel == 0) {
                for (int c = lane % 4; c <= k; c += 4) v[at.anchor(c)] = c < k ? anchors[c] : level(h);
                if (lane % 4 == 0) {
                    v[ROWS] = counted;
                    v[LOG_WEIGHT] = log_weight;
                    v[at.product(k, k)] = square;
                }
            }
#pragma unroll
            for (int t = 0; t < GPUOLS_TILES; t++)
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    const int entry = columns.entry(8 * (tile + t) + 2 * (lane % 4) + e);
                    if (t < tiles && here[h] && !awkward[h] && entry >= 0)
                        v[entry] = total[THREADS * (4 * t + 2 * h + e)];
                }
            // Those whose first of four lanes has a bit.
            unsigned left = __ballot_sync(FULL_WARP, awkward[h] && lane % 4 == 0);
            for (; left; left &= left - 1) {
                const long long one = own_first + (__ffs(left) - 1) / 4 + 8 * h;
                for (int place = 8 * tile; place < 8 * (tile + tiles); place++) {
                    const int entry = columns.entry(place);
                    if (entry < 0) continue;
                    const double sum = sum_again(response(one), levels ? levels[one] : 0.0, place);
                    if (lane == 0) sums[(one * chunks + chunk) * at.size() + entry] = sum;
                }
            }
        }
    }
}
