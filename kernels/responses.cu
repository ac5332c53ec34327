// responses: sums of products of responses with the design they share, by tensor cores, and, where
// those are all, answers.
//
// A block of 4 warps takes one chunk of CHUNK rows, 64 responses and one panel of 8 TILES columns. A
// warp reads 16 responses straight from global memory, each value once, whatever their strides; the
// columns of X, shifted and weighted, go through shared memory, STAGE rows at a time, while the
// stage before is multiplied. If there is one chunk and one panel a warp has all it needs
// (responses.cuh); else sums are left for `solve_responses`.
//
// A run of RUN rows goes into one accumulator, runs into a second: 32 + 32 additions at most. A
// response's bits depend on no other.
//
// Macros: GPUOLS_REAL (float or double), GPUOLS_TILES. Launch: 128 threads, no dynamic shared memory.

#include "responses.cuh"

constexpr int EACH = 16, RESPONSES = EACH * THREADS / 32;
constexpr int WIDTH = Panel<GPUOLS_TILES>::WIDTH;
constexpr int STAGE = 16, STEPS = STAGE / 4;
// Doubles from one staged row to the next: four rows of eight columns lie in different banks.
constexpr int STRIDE = WIDTH + 4;
// Values of X that a thread carries from global to shared memory for one stage, and rows between.
constexpr int CARRIED = STAGE * WIDTH / THREADS, APART = THREADS / WIDTH;

// What a warp sums, as the lanes hold it.
struct Sums {
    Panel<GPUOLS_TILES> products;
    double sum[2] = {}, square[2] = {};

    __device__ void take(Sums& other) {
        products.add(other.products);
#pragma unroll
        for (int h = 0; h < 2; h++) {
            sum[h] = __dadd_rn(sum[h], other.sum[h]);
            square[h] = __dadd_rn(square[h], other.square[h]);
        }
        other = Sums();
    }
};

extern "C" __global__ void __launch_bounds__(128, BLOCKS)
    responses(const GPUOLS_REAL* x, long long x_row, long long x_column,  // (n, k)
              const GPUOLS_REAL* y, long long y_row, long long y_column,  // (n, m)
              const double* weights, long long weight_row,                // (n,) or null
              const long long* places,  // (3,) rows for the anchors, or null: first, middle and last
              const double* premise, unsigned flags, double tol, int k, long long n, long long m,
              long long groups, long long chunks, int panels,
              double* sums,         // (chunks, 2 + k, m), or null where answers are found
              double* moments,      // (4 + k, room)
              double* answers,      // (p + 2, room)
              signed char* status,  // (room,)
              int* rejected,        // (1,)
              double* spare,        // (k, m), or null
              long long room) {
    SHARED_ARRAY(double, staged, 2 * STAGE * STRIDE);
    SHARED_ARRAY(double, weighing, 2 * STAGE);
    const int lane = threadIdx.x % 32;
    const Premise design = {premise, k, flags};
    const bool centered = design.is(Premise::INTERCEPT);
    const Answers out = {moments, answers, status, rejected, spare, room, m};

    for (long long task = blockIdx.x; task < groups * chunks * panels; task += gridDim.x) {
        const int panel = int(task % panels);
        const long long chunk = task / panels % chunks, start = chunk * CHUNK;
        const int length = n - start < CHUNK ? int(n - start) : CHUNK;
        const double* const weight = weights ? weights + start * weight_row : nullptr;

        Response of[2];
        const GPUOLS_REAL* response[2];
        const Table<GPUOLS_REAL> table = {nullptr, y,     nullptr,  places, 1, 0, 0, y_row,
                                          y_column, 0, nullptr, n,      0, 1};
#pragma unroll
        for (int h = 0; h < 2; h++) {
            of[h].place = task / panels / chunks * RESPONSES + EACH * (threadIdx.x / 32) + lane / 4 + 8 * h;
            of[h].here = of[h].place < m;
            Table<GPUOLS_REAL> own = table;
            own.y += (of[h].here ? of[h].place : 0) * y_column;
            of[h].anchor = centered && of[h].here ? own.anchor(0) : 0.0;
            response[h] = own.y + start * y_row;
        }

        // The column of X that this thread stages.
        const int place = threadIdx.x % WIDTH, column = WIDTH * panel + place;
        const bool mine = column < k;
        const GPUOLS_REAL* const values = x + (mine ? column : 0) * x_column + start * x_row;
        const double shift = design.at<GPUOLS_TILES>(Premise::ANCHOR, panel, 0)[place];

        double carried[CARRIED], heavy = 0.0;
        GPUOLS_REAL ahead[STEPS][2];
        const auto fetch_responses = [&](int first, int s) {
            const int row = first + 4 * s + lane % 4;
#pragma unroll
            for (int h = 0; h < 2; h++)
                ahead[s][h] = of[h].here && row < length ? response[h][row * y_row] : GPUOLS_REAL(0);
        };
        const auto fetch_columns = [&](int first) {
#pragma unroll
            for (int e = 0; e < CARRIED; e++) {
                const int row = first + threadIdx.x / WIDTH + e * APART;
                double w = row < length ? 1.0 : 0.0;
                if (weight && row < length) w = weight[row * weight_row];
                carried[e] = 0.0;
                if (mine && w != 0.0)
                    carried[e] = __dmul_rn(w, __dsub_rn(widened(values[row * x_row]), shift));
            }
            if (threadIdx.x < STAGE) {
                const int row = first + threadIdx.x;
                heavy = row < length ? 1.0 : 0.0;
                if (weight && row < length) heavy = weight[row * weight_row];
            }
        };
        const auto stage = [&](int side) {
#pragma unroll
            for (int e = 0; e < CARRIED; e++)
                staged[(side * STAGE + threadIdx.x / WIDTH + e * APART) * STRIDE + place] = carried[e];
            if (threadIdx.x < STAGE) weighing[side * STAGE + threadIdx.x] = heavy;
        };
        Sums run, total;
        // Multiplies a stage, while the responses of the next, from row `next` on, are on their way.
        const auto multiply_stage = [&](int side, int next) {
#pragma unroll
            for (int s = 0; s < STEPS; s++) {
                const int row = side * STAGE + 4 * s + lane % 4;
                const double w = weighing[row];
                double u[2];
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    u[h] = w != 0.0 ? __dsub_rn(widened(ahead[s][h]), of[h].anchor) : 0.0;
                    const double weighted = __dmul_rn(w, u[h]);
                    run.sum[h] = __dadd_rn(run.sum[h], weighted);
                    run.square[h] = __fma_rn(weighted, u[h], run.square[h]);
                }
                fetch_responses(next, s);
#pragma unroll
                for (int t = 0; t < GPUOLS_TILES; t++)
                    mma_f64_16x8x4(run.products.value[t], u, staged[row * STRIDE + 8 * t + lane / 4]);
            }
        };

#pragma unroll
        for (int s = 0; s < STEPS; s++) fetch_responses(0, s);
        fetch_columns(0);
        stage(0);
        __syncthreads();
        for (int first = 0, side = 0; first < length; first += STAGE, side ^= 1) {
            const bool more = first + STAGE < length;
            if (more) fetch_columns(first + STAGE);
            multiply_stage(side, first + STAGE);
            if (more) stage(side ^ 1);
            if (!more || (first + STAGE) % RUN == 0) total.take(run);
            __syncthreads();
        }

#pragma unroll
        for (int h = 0; h < 2; h++) {
            total.sum[h] = warp_sum<4>(total.sum[h]);
            total.square[h] = warp_sum<4>(total.square[h]);
            const bool first = chunk == 0 && panel == 0 && lane % 4 == 0;
            if (first && of[h].here) moments[of[h].place] = of[h].anchor;
        }
        if (sums) {
            double* const found = sums + chunk * (2 + k) * m;
            Rows<GPUOLS_TILES>{found + 2 * m, m, k, lane}.write(panel, of, total.products);
#pragma unroll
            for (int h = 0; h < 2; h++) {
                if (panel > 0 || lane % 4 > 0 || !of[h].here) continue;
                found[of[h].place] = total.sum[h];
                found[m + of[h].place] = total.square[h];
            }
            continue;
        }
#pragma unroll
        for (int h = 0; h < 2; h++) centre(of[h], total.sum[h], total.square[h], design, out, lane);
        centre(total.products, 0, of, design, out, lane);
        answer<GPUOLS_TILES, true>([&](int) { return total.products; }, of, design, tol, out, lane);
    }
}
