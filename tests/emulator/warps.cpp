// Where the lanes of a warp meet: intrinsics that name their partners in a mask.
#include <algorithm>

#include "runtime.h"

namespace emu {

Warp warps[MAX_THREADS / LANES];

namespace {

template <class Visit>
void each_lane(unsigned mask, Visit visit) {
    for (; mask; mask &= mask - 1) visit(__builtin_ctz(mask));
}

// Lanes that met have seen all that each of them did; what they do next is later than that.
void merge_clocks(Warp& warp, unsigned mask) {
    unsigned latest = 0, merged[LANES] = {};
    each_lane(mask, [&](int lane) {
        latest = std::max(latest, warp.seen[lane][lane]);
        for (int j = 0; j < LANES; j++) merged[j] = std::max(merged[j], warp.seen[lane][j]);
    });
    each_lane(mask, [&](int lane) { merged[lane] = latest; });
    each_lane(mask, [&](int lane) {
        std::copy_n(merged, LANES, warp.seen[lane]);
        warp.seen[lane][lane] = latest + 1;
    });
}

void check_mask(const Fiber& me, const Warp& warp, unsigned mask, emu_site site) {
    if (!(mask >> me.lane & 1))
        fail(site, nullptr, "wrong mask: lane %d is not in its own mask %08x", me.lane, mask);
    if (mask & ~warp.present)
        fail(site, nullptr, "wrong mask: %08x names lanes beyond the block's end", mask);
    if (mask & warp.exited)
        fail(site, nullptr, "wrong mask: %08x names lanes that have ended (%08x)", mask,
             mask & warp.exited);
}

// A partner may still be in a call of other lanes; it comes here later, or there is a deadlock.
bool all_here(const Fiber& me, const Warp& warp) {
    if ((warp.waiting & me.mask) != me.mask) return false;
    bool agree = true;
    each_lane(me.mask, [&](int lane) {
        const Fiber& other = fibers[me.warp * LANES + lane];
        agree &= other.mask == me.mask && other.call == me.call && other.bytes == me.bytes;
    });
    return agree;
}

void exchange(const Fiber& me, Fiber* lanes) {
    unsigned value, all = 0;
    each_lane(me.mask, [&](int lane) {
        Fiber& fiber = lanes[lane];
        if (me.call == EMU_SHUFFLE) {
            if (!(me.mask >> fiber.source & 1))
                fail(fiber.site, nullptr, "lane %d shuffles from lane %d, which is not in mask %08x",
                     lane, fiber.source, me.mask);
            memcpy(fiber.out, lanes[fiber.source].in, me.bytes);
        } else if (me.call != EMU_SYNC) {
            memcpy(&value, fiber.in, sizeof value);
            all = me.call == EMU_SUM ? all + value : all | (value ? 1u << lane : 0);
        }
    });
    if (me.call == EMU_BALLOT || me.call == EMU_SUM)
        each_lane(me.mask, [&](int lane) { memcpy(lanes[lane].out, &all, sizeof all); });
}

}  // namespace

void make_warps() {
    for (int first = 0; first < n_threads; first += LANES) {
        Warp& warp = warps[first / LANES];
        const int n = std::min(LANES, n_threads - first);
        warp.present = n == LANES ? ~0u : (1u << n) - 1;
        warp.exited = warp.waiting = 0;
        memset(warp.seen, 0, sizeof warp.seen);
        for (int lane = 0; lane < LANES; lane++) warp.seen[lane][lane] = 1;
    }
}

void leave_warp(Fiber& me) {
    Warp& warp = warps[me.warp];
    warp.exited |= 1u << me.lane;
    each_lane(warp.waiting, [&](int lane) {
        const Fiber& other = fibers[me.warp * LANES + lane];
        if (other.mask >> me.lane & 1)
            fail(other.site, nullptr,
                 "wrong mask: lane %d waits with mask %08x for lane %d, which has ended", lane,
                 other.mask, me.lane);
    });
}

}  // namespace emu

using namespace emu;

extern "C" void emu_warp(emu_warp_call call, unsigned mask, int source, const void* in, void* out,
                         int bytes, emu_site site) {
    Fiber& me = *current;
    Warp& warp = warps[me.warp];
    check_mask(me, warp, mask, site);
    me.call = call;
    me.mask = mask;
    me.source = source;
    me.bytes = bytes;
    me.site = site;
    if (bytes) memcpy(me.in, in, bytes);
    me.state = State::IN_WARP_CALL;
    warp.waiting |= 1u << me.lane;
    if (all_here(me, warp)) {
        exchange(me, &fibers[me.warp * LANES]);
        // A shuffle or a vote orders no memory: only __syncwarp is promised to.
        if (checking && call == EMU_SYNC) merge_clocks(warp, mask);
        warp.waiting &= ~mask;
        each_lane(mask, [&](int lane) { make_ready(fibers[me.warp * LANES + lane]); });
    }
    yield();
    if (bytes) memcpy(out, me.out, bytes);
}

extern "C" unsigned emu_active_lanes() {
    const Warp& warp = warps[current->warp];
    return warp.present & ~warp.exited;
}
