// Looks at every access to memory that kernel code makes: bounds, order, first writes.
//
// What g++ -fsanitize=thread compiles into kernel code are calls before each load and store. Here
// they end in check_access; ThreadSanitizer's own runtime is not linked.
//
// Two accesses of one block are ordered by __syncthreads, which an epoch counts, or by __syncwarp,
// which the clocks of the warp's lanes count. Nothing orders two blocks.
#include <stdint.h>
#include <stdio.h>

#include <algorithm>

#include "runtime.h"

namespace emu {

bool checking;

namespace {

// The last accesses to one cell: one thread's, or those of several that nothing orders. Their clock
// is the latest; the lanes are those of the first one's warp. Epoch 0: none yet.
struct Seen {
    unsigned epoch, clock, lanes;
    uint16_t warp;
    bool several_warps;
};

struct Cell {
    Seen wrote, read;
    bool plain;       // some write of this block was not atomic
    bool atomic;      // the last one was
    bool in_flight;   // a cp.async that nobody waited for yet ends here
    bool read_elsewhere, updated_elsewhere;  // by another block; the latter atomically
};

struct Region {
    char *start, *end;
    size_t cell_bytes, first_cell;
    bool writable;
    emu_site site;  // where a shared array was declared; no file: a global one
};

std::vector<Region> regions;
std::vector<Cell> cells;
size_t n_global_regions, n_global_cells;
unsigned epoch, first_epoch;

void add_region(char* start, size_t bytes, size_t item, bool writable, emu_site site) {
    const size_t cell_bytes = item % 4 == 0 ? 4 : 1;
    regions.push_back({start, start + bytes, cell_bytes, cells.size(), writable, site});
    cells.resize(cells.size() + bytes / cell_bytes + 1);
}

bool comes_after(const Seen& seen) {
    if (seen.epoch != epoch) return true;
    if (seen.several_warps || seen.warp != current->warp) return false;
    const unsigned* known = warps[current->warp].seen[current->lane];
    for (unsigned lanes = seen.lanes & ~(1u << current->lane); lanes; lanes &= lanes - 1)
        if (known[__builtin_ctz(lanes)] < seen.clock) return false;
    return true;
}

void replace(Seen& seen) {
    const unsigned clock = warps[current->warp].seen[current->lane][current->lane];
    seen = {epoch, clock, 1u << current->lane, uint16_t(current->warp), false};
}

void join(Seen& seen) {
    if (comes_after(seen)) return replace(seen);
    const unsigned clock = warps[current->warp].seen[current->lane][current->lane];
    if (seen.warp == current->warp)
        seen.lanes |= 1u << current->lane;
    else
        seen.several_warps = true;
    seen.clock = std::max(seen.clock, clock);
}

struct Checked {
    const Region& region;
    const void* pc;
    emu_site site;
    bool writes;

    const char* verb() const { return writes ? "writes" : "reads"; }
    const char* space() const { return region.site.file ? "shared" : "global"; }

    [[noreturn]] void race_in_block(const Seen& other, const char* did) const {
        const unsigned mine = other.warp == current->warp ? 1u << current->lane : 0;
        const unsigned others = other.lanes & ~mine;
        char name[32] = "another thread";
        if (others)
            snprintf(name, sizeof name, "thread %d", other.warp * LANES + __builtin_ctz(others));
        fail(site, pc, "race: %s %s memory that %s %s with no barrier in between", verb(), space(),
             name, did);
    }
    [[noreturn]] void race_with_block(const char* did) const {
        fail(site, pc, "race: %s %s memory that another block %s", verb(), space(), did);
    }
};

void check_blocks(Cell& cell, const Checked& checked, bool atomic) {
    if (cell.wrote.epoch && cell.wrote.epoch < first_epoch) {
        if (cell.plain) checked.race_with_block("wrote");
        cell.updated_elsewhere = true;
        cell.wrote = {};
    }
    if (cell.read.epoch && cell.read.epoch < first_epoch) {
        cell.read_elsewhere = true;
        cell.read = {};
    }
    if (checked.writes && cell.read_elsewhere) checked.race_with_block("read");
    if (!atomic && cell.updated_elsewhere) checked.race_with_block("updated atomically");
}

void check_cell(Cell& cell, const Checked& checked, Access access) {
    const bool atomic = access == Access::ATOMIC;
    if (access == Access::COPY_LANDED)
        cell.in_flight = false;
    else if (cell.in_flight)
        fail(checked.site, checked.pc, "%s shared memory that a cp.async not yet waited for writes",
             checked.verb());
    check_blocks(cell, checked, atomic);
    const bool reads = access == Access::READ || atomic;
    if (reads && checked.region.site.file && !cell.wrote.epoch)
        fail(checked.site, checked.pc, "reads uninitialised shared memory");
    if (!(atomic && cell.atomic) && !comes_after(cell.wrote))
        checked.race_in_block(cell.wrote, "wrote");
    if (!checked.writes) return join(cell.read);
    if (!comes_after(cell.read)) checked.race_in_block(cell.read, "read");
    if (atomic && cell.atomic)
        join(cell.wrote);
    else
        replace(cell.wrote);
    cell.atomic = atomic;
    cell.plain |= !atomic;
    cell.in_flight = access == Access::COPY_ISSUED;
}

Region* find_region(const char* where) {
    static size_t last;
    if (last < regions.size() && where >= regions[last].start && where < regions[last].end)
        return &regions[last];
    for (last = 0; last < regions.size(); last++)
        if (where >= regions[last].start && where < regions[last].end) return &regions[last];
    return nullptr;
}

[[noreturn]] void fail_bounds(const char* where, size_t bytes, bool writes, const void* pc,
                              emu_site site) {
    const Region* nearest = nullptr;
    const char* last = where + bytes;
    ptrdiff_t least = 1 << 16;
    for (const Region& region : regions) {
        const ptrdiff_t gap = where < region.start ? region.start - last : where - region.end;
        if (gap < least) {
            least = gap;
            nearest = &region;
        }
    }
    const char* verb = writes ? "writes" : "reads";
    if (!nearest) fail(site, pc, "%s %zu bytes out of bounds, far from every array", verb, bytes);
    char declared[300] = "";
    if (nearest->site.file)
        snprintf(declared, sizeof declared, " declared at %s line %d", nearest->site.file,
                 nearest->site.line);
    fail(site, pc, "%s out of bounds: bytes %td to %td of a %s array of %td bytes%s", verb,
         where - nearest->start, where - nearest->start + ptrdiff_t(bytes) - 1,
         nearest->site.file ? "shared" : "global", nearest->end - nearest->start, declared);
}

}  // namespace

void start_checking() {
    epoch = 0;
    n_global_regions = regions.size();
    n_global_cells = cells.size();
}

void start_block() {
    regions.resize(n_global_regions);
    cells.resize(n_global_cells);
    first_epoch = ++epoch;
}

void pass_barrier() { epoch++; }

void add_shared_region(char* start, size_t bytes, size_t item, emu_site site) {
    add_region(start, bytes, item, true, site);
}

void check_access(const void* where, size_t bytes, Access access, const void* pc, emu_site site) {
    const char* start = static_cast<const char*>(where);
    const bool writes = access != Access::READ;
    Region* region = find_region(start);
    if (!region && !writes && in_module(where)) return;
    if (!region || start + bytes > region->end) fail_bounds(start, bytes, writes, pc, site);
    if (writes && !region->writable) fail(site, pc, "writes to an array that is const to the kernel");
    const Checked checked{*region, pc, site, writes};
    const size_t offset = start - region->start;
    Cell* first = &cells[region->first_cell + offset / region->cell_bytes];
    Cell* last = &cells[region->first_cell + (offset + bytes - 1) / region->cell_bytes];
    for (Cell* cell = first; cell <= last; cell++) check_cell(*cell, checked, access);
}

}  // namespace emu

using namespace emu;

namespace {

inline void watch(const void* where, size_t bytes, Access access, const void* pc) {
    if (checking && current && !on_a_stack(where)) check_access(where, bytes, access, pc, {});
}

}  // namespace

void emu_atomic(void* where, size_t bytes, const void* pc) {
    watch(where, bytes, Access::ATOMIC, pc);
}

EMU_API void emu_clear_arrays() {
    regions.clear();
    cells.clear();
}
EMU_API void emu_add_array(void* start, size_t bytes, size_t item, int writable) {
    add_region(static_cast<char*>(start), bytes, item, writable, {});
}

#define PC __builtin_return_address(0)
#define WATCH(KIND, BYTES)                                                                        \
    EMU_API void __tsan_##KIND##read##BYTES(void* p) { watch(p, BYTES, Access::READ, PC); }       \
    EMU_API void __tsan_##KIND##write##BYTES(void* p) { watch(p, BYTES, Access::WRITE, PC); }
#define WATCH_SIZES(KIND) WATCH(KIND, 1) WATCH(KIND, 2) WATCH(KIND, 4) WATCH(KIND, 8) WATCH(KIND, 16)
WATCH_SIZES()
WATCH_SIZES(unaligned_)
WATCH_SIZES(volatile_)
EMU_API void __tsan_read_range(void* p, size_t bytes) { watch(p, bytes, Access::READ, PC); }
EMU_API void __tsan_write_range(void* p, size_t bytes) { watch(p, bytes, Access::WRITE, PC); }
EMU_API void __tsan_init() {}
EMU_API void __tsan_func_entry(void*) {}
EMU_API void __tsan_func_exit() {}
