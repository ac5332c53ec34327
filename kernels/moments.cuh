// moments.cuh: what kernels keep of a regression's rows, and where it lies.
//
// X has k columns, y has m responses, q = k + m; columns count the responses, too. A regression's
// numbers stand one after the other, `apart` doubles from one to the next:
//     rows, weight, log_weight    rows of positive weight, sum of the weights and of their logarithms
//     anchor(c), mean(c), raw(c)  the point near the data, Σ w z and later the mean of z = rows -
//                                 anchor, and the sum of squares about the anchor
//     product(i, j), j <= i       Σ w zᵢ zⱼ and later the same about the mean; of two responses
//                                 only the squares are kept
// Sums are formed first (gram.cuh, panel.cu); `centre` turns them into moments in place.

#ifndef GPUOLS_MOMENTS_CUH
#define GPUOLS_MOMENTS_CUH
#include "common.cuh"

// Rows that one accumulator takes in before it is emptied into another.
constexpr int RUN = 128;
// Rows of a chunk: what one block sums up; chunks of a regression are added in order.
constexpr int CHUNK = 4096;

struct Layout {
    int k, m;

    __device__ int columns() const { return k + m; }
    __device__ int anchor(int c) const { return 3 + c; }
    __device__ int mean(int c) const { return 3 + columns() + c; }
    __device__ int raw(int c) const { return 3 + 2 * columns() + c; }
    __device__ int product(int i, int j) const {
        const int start = 3 + 3 * columns();
        if (i < k) return start + i * (i + 1) / 2 + j;
        return start + k * (k + 1) / 2 + (i - k) * (k + 1) + (j < k ? j : k);
    }
    __device__ bool keeps(int i, int j) const { return j <= i && i < columns() && (j < k || i == j); }
    __device__ int size() const { return 3 + 3 * columns() + k * (k + 1) / 2 + m * (k + 1); }
};
constexpr int ROWS = 0, WEIGHT = 1, LOG_WEIGHT = 2;

// The numbers of one regression.
struct Moments {
    double* first;
    long long apart;

    __device__ double& operator[](int e) const { return first[e * apart]; }
};

// The rows of one regression, as they lie in memory; steps are in elements.
template <class Real>
struct Table {
    const Real* x;           // (n, k)
    const Real* y;           // (n, m)
    const double* weight;    // (n,) or null
    const long long* place;  // first, middle and last row that counts, (3,) `apart`, or null
    long long apart;
    long long x_row, x_column, y_row, y_column, weight_row;
    const int* order;        // (n,) which rows of x and y they are, or null: 0 ... n - 1
    long long n;
    int k, m;

    __device__ long long lies(long long row) const { return order ? order[row] : row; }

    __device__ const Real* column(int c) const {
        return c < k ? x + c * x_column : y + (c - k) * y_column;
    }
    __device__ long long row(int c) const { return c < k ? x_row : y_row; }

    // The median of the first, the middle and the last row that counts; zero without any.
    __device__ double anchor(int c) const {
        long long rows[3] = {0, n / 2, n - 1};
        if (place)
#pragma unroll
            for (int i = 0; i < 3; i++) rows[i] = place[i * apart];
        if (n == 0 || rows[0] < 0) return 0.0;
        double value[3];
#pragma unroll
        for (int i = 0; i < 3; i++) value[i] = widened(column(c)[lies(rows[i]) * row(c)]);
        if (value[0] != value[0] || value[1] != value[1] || value[2] != value[2])
            return value[0] + value[1] + value[2];
        const double low = fmin(value[0], value[1]), high = fmax(value[0], value[1]);
        return fmax(low, fmin(high, value[2]));
    }
};

// The rows of all regressions of a launch: of a batch (B, n, ...), or, with `spans`, of one long
// table (N, ...): those of regression b are spans[b] ... spans[b] + spans[B + b] - 1 in the order of
// `order`, or, without, as they lie. Weights then lie in that order.
template <class Real>
struct Tables {
    const Real* x;
    long long x_step, x_row, x_column;
    const Real* y;
    long long y_step, y_row, y_column;
    const double* weights;
    long long weight_step, weight_row;
    const long long* places;
    long long place_step;
    const long long* spans;
    const int* order;
    long long rows, count;
    int k, m;

    __device__ long long length(long long b) const { return spans ? spans[count + b] : rows; }
    __device__ Table<Real> operator[](long long b) const {
        const long long first = spans ? spans[b] : 0, moved = order ? 0 : first;
        return {x + b * x_step + moved * x_row,
                y + b * y_step + moved * y_row,
                weights ? weights + b * weight_step + first * weight_row : nullptr,
                places ? places + b : nullptr,
                place_step,
                x_row,
                x_column,
                y_row,
                y_column,
                weight_row,
                order ? order + first : nullptr,
                length(b),
                k,
                m};
    }
};

// The chunks of all regressions of a launch: as many of each, or, with `owners`, those of
// regression b from starts[b] to starts[b + 1] - 1.
struct Chunks {
    const int* owners;
    const long long* starts;
    long long each;

    __device__ long long owner(long long item) const { return owners ? owners[item] : item / each; }
    __device__ long long start(long long b) const { return starts ? starts[b] : b * each; }
    __device__ long long number(long long b) const {
        return starts ? starts[b + 1] - starts[b] : each;
    }
};

// Turns sums about the anchor into moments about the mean, or, where not `centered`, only divides
// the means, by the threads of a team.
template <class Team>
__device__ void centre(const Moments& v, const Layout& at, bool centered, const Team& team) {
    const double weight = v[WEIGHT];
#pragma unroll 1
    for (int c = team.lane; c < at.columns(); c += team.SIZE) {
        v[at.raw(c)] = v[at.product(c, c)];
        if (weight != 0.0) v[at.mean(c)] = __ddiv_rn(v[at.mean(c)], weight);
    }
    team.sync();
    if (centered) {
#pragma unroll 1
        for (int i = team.lane; i < at.columns(); i += team.SIZE) {
            const double weighted = __dmul_rn(weight, v[at.mean(i)]);
            const int last = i < at.k ? i + 1 : at.k;
#pragma unroll 1
            for (int j = 0; j < last; j++) {
                double& entry = v[at.product(i, j)];
                entry = __fma_rn(-weighted, v[at.mean(j)], entry);
            }
            if (i >= at.k) {
                double& entry = v[at.product(i, i)];
                entry = __fma_rn(-weighted, v[at.mean(i)], entry);
            }
        }
        team.sync();
    }
}

// Writes the moments of `count` regressions, side by side from `first` on, for the host: the same
// numbers, but sxx (k, k), sxy (k, m) and syy (m,) in full. Entry e of the i-th goes to
// out[e * room + i]. Worker `own` of `workers` does its share.
__device__ __forceinline__ void write_moments(const double* first, long long apart, int count,
                                              const Layout& at, double* out, long long room, int own,
                                              int workers) {
    const int k = at.k, m = at.m, vectors = 3 + 3 * at.columns();
    const int size = vectors + k * k + k * m + m;
#pragma unroll 1
    for (int task = own; task < size * count; task += workers) {
        const int e = task / count, i = task % count;
        int from = e;
        if (e >= vectors + k * k + k * m) {
            const int r = e - (vectors + k * k + k * m);
            from = at.product(k + r, k + r);
        } else if (e >= vectors + k * k) {
            const int entry = e - (vectors + k * k);
            from = at.product(k + entry % m, entry / m);
        } else if (e >= vectors) {
            const int row = (e - vectors) / k, column = (e - vectors) % k;
            from = row < column ? at.product(column, row) : at.product(row, column);
        }
        out[e * room + i] = first[from * apart + i];
    }
}

#endif  // GPUOLS_MOMENTS_CUH
