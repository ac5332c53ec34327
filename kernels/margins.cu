// margins: sums of rows, of their weights and what tells their size, in double-double where it
// counts.
//
// A task is a chunk and a panel of its columns (dealing.cuh); that of the first panel counts the rows
// and their weights, too.
//
// Macros: GPUOLS_REAL (float or double), GPUOLS_WEIGHTED. Launch: 128 threads.

#include "dealing.cuh"

// |value| √w, not zero unless the value is.
__device__ __forceinline__ double size_of(double value, double w) {
    if (!GPUOLS_WEIGHTED || value == 0.0) return fabs(value);
    const double size = __dmul_rn(fabs(value), __dsqrt_rn(w));
    return size == 0.0 ? 1e-300 : size;
}

struct Margins {
    Pair sum[PANEL], weight;
    double size[PANEL] = {}, rows = 0.0, log_weight = 0.0;
    double heaviest = 0.0, least = infinite();

    __device__ void take(double w, const Columns<GPUOLS_REAL>& columns, long long row, long long lies) {
        if (w > 0.0) {
            rows += 1.0;
            if (GPUOLS_WEIGHTED) log_weight = __dadd_rn(log_weight, log(w));
            least = fmin(least, w);
        }
        heaviest = larger(heaviest, w);
        weight = add(weight, {w, 0.0});
#pragma unroll
        for (int i = 0; i < PANEL; i++) {
            const double value = columns.value(i, lies);
            size[i] = larger(size[i], size_of(value, w));
            const Pair z = columns.shifted(i, value, row);
            sum[i] = add(sum[i], GPUOLS_WEIGHTED ? weighted(w, z) : z);
        }
    }
};

extern "C" __global__ void __launch_bounds__(128, 3)
    margins(const GPUOLS_REAL* x, long long x_step, long long x_row, long long x_column,  // (B, n, k)
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
    const int panels = (at.columns() + PANEL - 1) / PANEL, teams = 128 / team.size;
    for (long long base = blockIdx.x * (long long)teams; base < items * panels;
         base += gridDim.x * (long long)teams) {
        const bool there = base + team.number < items * panels;
        const long long task = there ? base + team.number : 0, item = task / panels;
        const long long b = chunks.owner(item), first = (item - chunks.start(b)) * CHUNK;
        const int panel = int(task % panels);
        const Table<GPUOLS_REAL> table = tables[b];
        const long long last = first + CHUNK < table.n ? first + CHUNK : table.n;
        const bool busy = there && (!found || found[b] & FAR);
        Margins all;
        Pair weight, sum[PANEL];
        if (busy) {
            const Columns<GPUOLS_REAL> columns(table, anchors + b * at.columns(), rest.of(b, m),
                                               panel * PANEL);
            for (int lane = team.lane; lane < lanes; lane += 32) {
                for (long long row = first + lane; row < last; row += lanes) {
                    const double w = GPUOLS_WEIGHTED ? table.weight[row * weight_row] : 1.0;
                    if (w != 0.0) all.take(w, columns, row, table.lies(row));
                }
                weight = add(weight, all.weight);
                all.weight = {};
#pragma unroll
                for (int i = 0; i < PANEL; i++) {
                    sum[i] = add(sum[i], all.sum[i]);
                    all.sum[i] = {};
                }
            }
        }
        const auto plus = [](double a, double b) { return __dadd_rn(a, b); };
        const auto most = [](double a, double b) { return larger(a, b); };
        const auto least = [](double a, double b) { return fmin(a, b); };
        double* const high = sums + item * stride(at);
        double* const low = high + at.size();
#pragma unroll
        for (int i = 0; i < PANEL; i++) {
            const int c = panel * PANEL + i;
            const Pair total = team.fold(sum[i]);
            const double size = team.join(all.size[i], most);
            if (!busy || team.lane != 0 || c >= at.columns()) continue;
            high[at.anchor(c)] = anchors[b * at.columns() + c];
            high[at.mean(c)] = total.high;
            low[at.mean(c)] = total.low;
            high[at.raw(c)] = size;
        }
        weight = team.fold(weight);
        all.rows = team.join(all.rows, plus);
        all.log_weight = team.join(all.log_weight, plus);
        all.heaviest = team.join(all.heaviest, most);
        all.least = team.join(all.least, least);
        if (!busy || team.lane != 0 || panel != 0) continue;
        high[ROWS] = all.rows;
        high[WEIGHT] = weight.high;
        high[LOG_WEIGHT] = all.log_weight;
        low[WEIGHT] = weight.low;
        high[2 * at.size()] = all.heaviest;
        high[2 * at.size() + 1] = all.least;
    }
}
