// dealing.cuh: rows dealt to lanes, as exact differences from their anchors: gpuols.engines.dealing.
//
// Row r of a chunk goes to lane r mod `lanes`; lanes are summed apart, then by halving, chunks as a
// tree, so that every sum has the bits that the NumPy engine gives it. A team of as many threads as
// lanes, 32 at most, has one task at a time; with 64 lanes a thread sums two of them in turn.
//
// The sums of a chunk: those of moments.cuh, where raw is the largest number of a column times the
// root of its weight; as many low parts; the largest weight and the least above zero.

#ifndef GPUOLS_DEALING_CUH
#define GPUOLS_DEALING_CUH
#include "doubledouble.cuh"
#include "moments.cuh"
#include "trust.cuh"

// Columns that a task takes together.
constexpr int PANEL = 4;

// What was found about a regression, for those that look at it next. In doubt are answers of anchored
// sums (anchored.cuh) that those of others might not agree with.
enum Finding { FAR = 1, EXTREME = 2, REDUNDANT = 4, IN_DOUBT = 8 };

__device__ __forceinline__ int stride(const Layout& at) { return 2 * at.size() + 2; }

// The threads that sum the rows of a chunk for one task.
struct Team {
    int lanes, size, number, lane;

    __device__ explicit Team(int lanes_)
        : lanes(lanes_), size(lanes_ < 32 ? lanes_ : 32), number(threadIdx.x / size),
          lane(threadIdx.x % size) {}

    // All of them, in every lane; whole warps come here together.
    __device__ Pair fold(Pair own) const {
        for (int step = size / 2; step > 0; step /= 2)
            own = add(own, {__shfl_xor_sync(FULL_WARP, own.high, step),
                            __shfl_xor_sync(FULL_WARP, own.low, step)});
        return own;
    }
    template <class Join>
    __device__ double join(double own, Join join) const {
        for (int step = size / 2; step > 0; step /= 2)
            own = join(own, __shfl_xor_sync(FULL_WARP, own, step));
        return own;
    }
};

// Residuals of regressions, high and low part: those of regression b, (n, m, 2), follow starts[b]
// rows of others. Null where the responses themselves are summed.
struct Residuals {
    const double* numbers;
    const long long* starts;

    __device__ const double* of(long long b, int m) const {
        return numbers ? numbers + 2 * m * starts[b] : nullptr;
    }
};

// Neighbouring columns of a regression, residuals in the responses' place where there are some; a
// column that is not there is the last.
template <class Real>
struct Columns {
    const Real* column[PANEL];
    long long step[PANEL];
    double anchor[PANEL];
    const double* residual;
    int first, k, m;

    __device__ Columns(const Table<Real>& table, const double* anchors, const double* residual_,
                       int first_)
        : residual(residual_), first(first_), k(table.k), m(table.m) {
#pragma unroll
        for (int i = 0; i < PANEL; i++) {
            const int c = number(i);
            column[i] = table.column(c);
            step[i] = table.row(c);
            anchor[i] = anchors[c];
        }
    }
    __device__ int number(int i) const { return first + i < k + m - 1 ? first + i : k + m - 1; }
    __device__ double value(int i, long long lies) const {
        return widened(column[i][lies * step[i]]);
    }
    // The row's value, shifted.
    __device__ Pair shifted(int i, double value, long long row) const {
        if (residual && first + i >= k) {
            const double* const own = residual + 2 * (row * m + number(i) - k);
            return {own[0], own[1]};
        }
        Pair z;
        z.high = two_sum(value, -anchor[i], z.low);
        return z;
    }
};

// The larger one; what is not a number stays.
__device__ __forceinline__ double larger(double a, double b) { return b > a || b != b ? b : a; }

// w z.
__device__ __forceinline__ Pair weighted(double w, const Pair& z) {
    const Pair product = two_product(w, z.high);
    return fast_two_sum(product.high, __dadd_rn(product.low, __dmul_rn(w, z.low)));
}

#endif  // GPUOLS_DEALING_CUH
