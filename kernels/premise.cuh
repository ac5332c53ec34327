// premise.cuh: what kernels for responses on one design are given, and how a warp reads and writes it.

#ifndef GPUOLS_PREMISE_CUH
#define GPUOLS_PREMISE_CUH
#include "panels.cuh"

// Threads of a block, and blocks of a multiprocessor at least.
constexpr int THREADS = 128, BLOCKS = FEW_REGISTERS ? 2 : 3;

// Of a design of k columns, in panels of 8 TILES, the last filled up with zeros: numbers, then the
// vectors of each panel, then square matrices, block by block.
struct Premise {
    enum Number {
        WEIGHT,        // sum of the weights
        DF,            // residual degrees of freedom, or NaN
        GAMMA,         // γ
        LEVERAGE,      // V²
        OF_VARIANCE,   // error of the inverse, in the variances
        REACH,         // 1/W + t't
        OF_INTERCEPT,  // the intercept's variance over the residual variance
        OF_CHOICE,     // logarithms: error of the choice of the shortest solution, relative to its length,
        OF_ERRORS,     // that of the standard errors,
        OF_LEVEL,      // and that of the intercept, relative to the length
        NUMBERS
    };
    enum Vector {
        ANCHOR,
        WEIGHTED,   // W times the mean about the anchor; zero without an intercept
        TAKEN,      // scale, zero where a column was dropped
        SCALE,      // D
        PENALTY,    // λ in scaled units
        RAW,        // squares about the anchor in scaled units
        SPREAD,     // root of the diagonal of A⁻¹
        DEVIATION,  // root of the variance over the residual variance
        CENTER,     // t
        GIVEN,      // whether the coefficient is given; else it is NaN
        EXPONENT,   // logarithm of what takes a coefficient to the caller's units
        VECTORS
    };
    enum Flag {
        SOUND = 1,       // all numbers are finite
        LOST = 2,        // one is missing
        KNOWN = 4,       // there are answers
        TRUSTED = 8,     // its rank is known
        FEW = 16,        // no more rows than coefficients
        DEFICIENT = 32,  // columns are redundant
        INTERCEPT = 64,
        WITHHELD = 128,  // the intercept is not given
        SHORTEST = 256   // there is a choice among solutions
    };

    enum Square { LOWER, UPPER, INVERSE, TURNED, PROJECTION };  // -L, -L', L⁻¹, L⁻', and what leads
                                                                 // to the shortest solution

    const double* first;
    int k;
    unsigned flags;

    __device__ bool is(Flag flag) const { return flags & flag; }
    __device__ double operator[](Number which) const { return first[which]; }
    // Of the columns of a panel, from this lane's first on.
    template <int TILES>
    __device__ const double* at(Vector which, int panel, int lane) const {
        return first + NUMBERS + (panel * VECTORS + which) * 8 * TILES + 2 * (lane % 4);
    }
    // The block of panels i and j, as `multiply` reads it.
    template <int TILES>
    __device__ const double* block(Square which, int i, int j, int panels) const {
        constexpr int WIDTH = 8 * TILES;
        const double* const squares = first + NUMBERS + panels * VECTORS * WIDTH;
        return squares + (((long long)which * panels + i) * panels + j) * (WIDTH * WIDTH);
    }
};

// Where answers go: a row of `room` doubles for each number.
struct Answers {
    double* moments;  // anchor, mean, raw, syy, sxy (k,)
    double* answers;  // params (p,), ssr, error bound
    signed char* status;
    int* rejected;  // how many responses call for a closer look
    double* spare;  // (k,), `count` apart, where there is a choice among solutions of several panels
    long long room, count;
};

// What a lane knows of one response.
struct Response {
    long long place;
    bool here;
    double anchor, mean, raw, about_mean;
};

// Rows of numbers of k columns, `room` doubles from one to the next, a number for each response.
template <int TILES>
struct Rows {
    double* first;
    long long room;
    int k, lane;

    // act(tile, entry, number) for all that a lane has of a panel and its two responses.
    template <class Act>
    __device__ __forceinline__ void each(int panel, const Response (&of)[2], Act act) const {
        const int start = 8 * TILES * panel + 2 * (lane % 4);
#pragma unroll
        for (int t = 0; t < TILES; t++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                if (of[e / 2].here && start + 8 * t + e % 2 < k)
                    act(t, e, first + (start + 8 * t + e % 2) * room + of[e / 2].place);
    }
    __device__ __forceinline__ Panel<TILES> read(int panel, const Response (&of)[2]) const {
        Panel<TILES> found;
        each(panel, of, [&](int t, int e, const double* number) { found.value[t][e] = *number; });
        return found;
    }
    __device__ __forceinline__ void write(int panel, const Response (&of)[2],
                                          const Panel<TILES>& found) const {
        each(panel, of, [&](int t, int e, double* number) { *number = found.value[t][e]; });
    }
};

// act(number, number of the vector, response) for all that a lane has of a panel.
template <int TILES, class Act>
__device__ __forceinline__ void over(Panel<TILES>& panel, const double* vector, Act act) {
#pragma unroll
    for (int t = 0; t < TILES; t++)
#pragma unroll
        for (int e = 0; e < 4; e++) act(panel.value[t][e], vector[8 * t + e % 2], e / 2);
}

#endif  // GPUOLS_PREMISE_CUH
