// Shared memory of the running block, and copies into it that take their time.
#include <stdint.h>

#include "runtime.h"

namespace emu {
namespace {

constexpr size_t MOST = 227 << 10;  // what one block may have on any device so far
constexpr size_t ZONE = 64;
constexpr unsigned char POISON = 0xff, CANARY = 0xcb;  // poison: NaN as a float, -1 as an integer
constexpr int MOST_PIECES = 256;

struct Piece {
    char* start;
    size_t bytes;
    const void* key;  // of a static array
    size_t offset;    // of a piece of the dynamic memory
    emu_site site;
};

alignas(64) char arena[MOST + (MOST_PIECES + 1) * 2 * ZONE];
size_t arena_used, asked, dynamic_limit;
std::vector<Piece> pieces;

size_t round_up(size_t bytes) { return (bytes + ZONE - 1) / ZONE * ZONE; }

// Each piece lies between two zones that no thread may touch.
Piece& add_piece(size_t bytes, size_t item, const void* key, size_t offset, emu_site site) {
    asked += bytes;
    if (asked > MOST || pieces.size() == MOST_PIECES)
        fail(site, nullptr, "%zu bytes of shared memory in %zu pieces are more than a block has",
             asked, pieces.size() + 1);
    char* start = arena + arena_used;
    memset(start, POISON, bytes);
    memset(start + bytes, CANARY, round_up(bytes) + ZONE - bytes);
    arena_used += round_up(bytes) + ZONE;
    pieces.push_back({start, bytes, key, offset, site});
    if (checking) add_shared_region(start, bytes, item, site);
    return pieces.back();
}

bool untouched(const char* from, const char* to, const Piece& piece) {
    for (const char* p = from; p < to; p++) {
        if (static_cast<unsigned char>(*p) == CANARY) continue;
        report(piece.site, "shared array of %zu bytes was overrun: byte %td was written",
               piece.bytes, p - piece.start);
        return false;
    }
    return true;
}

void land(const Copy& copy) {
    if (checking) check_access(copy.to, copy.bytes, Access::COPY_LANDED, nullptr, copy.site);
    memcpy(copy.to, copy.from, copy.bytes);
}

}  // namespace

void clear_shared(size_t dynamic_bytes) {
    pieces.clear();
    asked = 0;
    dynamic_limit = dynamic_bytes;
    memset(arena, CANARY, ZONE);
    arena_used = ZONE;
}

void check_canaries() {
    for (const Piece& piece : pieces) {
        const char* end = piece.start + piece.bytes;
        if (!untouched(piece.start - ZONE, piece.start, piece) ||
            !untouched(end, piece.start + round_up(piece.bytes) + ZONE, piece))
            return;
    }
}

}  // namespace emu

using namespace emu;

extern "C" {

void* emu_shared_static(const void* key, size_t bytes, size_t item, emu_site site) {
    for (const Piece& piece : pieces)
        if (piece.key == key) return piece.start;
    return add_piece(bytes, item, key, 0, site).start;
}

void* emu_shared_dynamic(size_t offset, size_t bytes, size_t item, emu_site site) {
    if (bytes == 0) return arena;
    for (const Piece& piece : pieces) {
        if (piece.key || piece.offset >= offset + bytes || offset >= piece.offset + piece.bytes)
            continue;
        if (piece.offset == offset && piece.bytes == bytes) return piece.start;
        fail(site, nullptr, "threads disagree: %zu bytes of shared memory from %zu on, but %zu from "
             "%zu on at line %d", bytes, offset, piece.bytes, piece.offset, piece.site.line);
    }
    if (offset + bytes > dynamic_limit)
        fail(site, nullptr, "the kernel takes %zu bytes of dynamic shared memory, the launch gave %zu",
             offset + bytes, dynamic_limit);
    return add_piece(bytes, item, nullptr, offset, site).start;
}

// When a copy lands is open until it is waited for: first in first out lands it as late as can be,
// last in first out as early, and the random order draws.
void emu_copy(void* to, const void* from, int bytes, emu_site site) {
    const uintptr_t ends = reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from);
    if (ends % bytes)
        fail(site, nullptr, "misaligned cp.async: %d bytes need addresses that %d divides", bytes,
             bytes);
    if (to < arena || to >= arena + sizeof arena)
        fail(site, nullptr, "cp.async writes outside shared memory");
    if (checking) {
        check_access(from, bytes, Access::READ, nullptr, site);
        check_access(to, bytes, Access::COPY_ISSUED, nullptr, site);
    }
    if (order == Order::LIFO || (order == Order::RANDOM && random_below(2)))
        memcpy(to, from, bytes);
    else
        memset(to, POISON, bytes);
    current->copies.push_back({to, from, bytes, current->group, site});
}

void emu_copy_commit() { current->group++; }

void emu_copy_wait(int pending) {
    std::vector<Copy>& copies = current->copies;
    size_t kept = 0;
    for (const Copy& copy : copies) {
        if (copy.group < current->group - pending)
            land(copy);
        else
            copies[kept++] = copy;
    }
    copies.resize(kept);
}
}
