// marks: the first, a middle and the last row that counts of each response on one design, -1 where
// none does. From their values come the anchors.
//
// The middle one is the first from halfway between the others on, or, if that is the last, the nearest
// before: of three rows none is taken twice. To count them all would take another reading. Most rows
// count, so that a response is given few lanes, which look at few rows.
//
// Macro: GPUOLS_REAL (float or double). Launch: 256 threads.

#include "masked.cuh"
#include "team.cuh"

// Lanes of a response, and responses of a block.
constexpr int TEAM = 8, RESPONSES = 256 / TEAM;

extern "C" __global__ void __launch_bounds__(256, 2)
    marks(const GPUOLS_REAL* y, long long y_step, long long y_row,             // (B, n)
          const double* weights, long long weight_step, long long weight_row,  // (B, n) or null
          const double* kinds,                                                 // (n,) from `tame`
          int drop, long long n, long long count,
          long long* places  // (3, B)
    ) {
    const Lanes<TEAM> team(threadIdx.x);
    for (long long b = blockIdx.x * (long long)RESPONSES + threadIdx.x / TEAM; b < count;
         b += gridDim.x * (long long)RESPONSES) {
        const Response<GPUOLS_REAL> own = {y + b * y_step, y_row,
                                           weights ? weights + b * weight_step : nullptr, weight_row,
                                           drop != 0};
        // The row that counts which is the nearest to `start` in a direction, or -1.
        const auto seek = [&](long long start, int direction) {
            for (long long near = start; near >= 0 && near < n; near += TEAM * direction) {
                const long long row = near + team.lane * direction;
                bool counts = row >= 0 && row < n;
                if (counts) {
                    const double w = own.weigh(row);
                    counts = w > 0.0 && own.counts(kinds[row], w, own.value(row));
                }
                const unsigned found = __ballot_sync(team.mask, counts);
                if (found) return near + (__ffs(found) - 1) % TEAM * direction;
            }
            return -1LL;
        };
        const long long first = seek(0, 1), last = first < 0 ? first : seek(n - 1, -1);
        const long long half = (first + last + 1) / 2;
        long long middle = first < 0 ? first : seek(half, 1);
        if (middle == last && first < last) {
            const long long before = seek(half - 1, -1);
            if (before > first) middle = before;
        }
        if (team.lane > 0) continue;
        places[b] = first;
        places[count + b] = middle;
        places[2 * count + b] = last;
    }
}
