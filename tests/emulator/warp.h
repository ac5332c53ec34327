// Warp intrinsics and atomics, as kernel code calls them.
#pragma once

inline int emu_lane() {
    return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) & 31;
}

template <class T>
inline T emu_shuffle(unsigned mask, T value, int source, emu_site site) {
    static_assert(std::is_arithmetic<T>::value && (sizeof(T) == 4 || sizeof(T) == 8),
                  "a shuffle moves scalars of 4 or 8 bytes");
    T moved;
    emu_warp(EMU_SHUFFLE, mask, source, &value, &moved, sizeof(T), site);
    return moved;
}

// Lanes are dealt into segments of `width`; a source beyond the segment is the lane itself.
template <class T>
inline T __shfl_sync(unsigned mask, T value, int source, int width = 32, EMU_SITE) {
    const int start = emu_lane() & ~(width - 1);
    return emu_shuffle(mask, value, start + (source & (width - 1)), {file, line});
}
template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, EMU_SITE) {
    const int lane = emu_lane(), source = lane ^ bits, last = lane | (width - 1);
    return emu_shuffle(mask, value, source > last ? lane : source, {file, line});
}
template <class T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, EMU_SITE) {
    const int lane = emu_lane(), source = lane + int(delta), last = lane | (width - 1);
    return emu_shuffle(mask, value, source > last ? lane : source, {file, line});
}
template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, EMU_SITE) {
    const int lane = emu_lane(), source = lane - int(delta), first = lane & ~(width - 1);
    return emu_shuffle(mask, value, source < first ? lane : source, {file, line});
}

inline unsigned emu_collect(emu_warp_call call, unsigned mask, unsigned value, emu_site site) {
    unsigned all;
    emu_warp(call, mask, 0, &value, &all, sizeof value, site);
    return all;
}
inline unsigned __ballot_sync(unsigned mask, int predicate, EMU_SITE) {
    return emu_collect(EMU_BALLOT, mask, predicate != 0, {file, line});
}
inline int __any_sync(unsigned mask, int predicate, EMU_SITE) {
    return emu_collect(EMU_BALLOT, mask, predicate != 0, {file, line}) != 0;
}
inline int __all_sync(unsigned mask, int predicate, EMU_SITE) {
    return emu_collect(EMU_BALLOT, mask, predicate != 0, {file, line}) == mask;
}
inline unsigned __reduce_add_sync(unsigned mask, unsigned value, EMU_SITE) {
    return emu_collect(EMU_SUM, mask, value, {file, line});
}
inline int __reduce_add_sync(unsigned mask, int value, EMU_SITE) {
    return int(emu_collect(EMU_SUM, mask, unsigned(value), {file, line}));
}
inline unsigned __activemask() { return emu_active_lanes(); }

// One thread runs at a time, so a plain read and write is atomic; the checker is told that it was
// meant to be. Not inlined: the return address is the place in the kernel.
#define EMU_ATOMIC __attribute__((no_sanitize("thread", "undefined"), noinline))
#define EMU_UPDATE(NAME, RESULT)                                      \
    template <class T>                                                \
    EMU_ATOMIC T NAME(T* where, typename std::common_type<T>::type value) { \
        emu_atomic(where, sizeof(T), __builtin_return_address(0));    \
        const T old = *where;                                         \
        *where = RESULT;                                              \
        return old;                                                   \
    }
EMU_UPDATE(atomicAdd, old + value)
EMU_UPDATE(atomicExch, value)
EMU_UPDATE(atomicMin, value < old ? value : old)
EMU_UPDATE(atomicMax, value < old ? old : value)
EMU_UPDATE(atomicOr, old | value)
EMU_UPDATE(atomicAnd, old & value)
#undef EMU_UPDATE

template <class T>
EMU_ATOMIC T atomicCAS(T* where, typename std::common_type<T>::type expected,
                       typename std::common_type<T>::type value) {
    emu_atomic(where, sizeof(T), __builtin_return_address(0));
    const T old = *where;
    if (old == expected) *where = value;
    return old;
}
#undef EMU_ATOMIC
