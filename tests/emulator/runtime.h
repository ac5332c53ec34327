// What the parts of the runtime know of each other.
//
// Every CUDA thread is a fiber with a stack of its own. One block runs at a time, all of it on the
// one thread of the operating system that asked for the launch, so nothing here needs a lock.
#pragma once
#include <vector>

#define EMU_BUILTIN
#include "cuda.h"

namespace emu {

constexpr int MAX_THREADS = 1024;
constexpr int LANES = 32;

enum class Order { FIFO, LIFO, RANDOM };
enum class State { READY, AT_BARRIER, IN_WARP_CALL, DONE };
enum class Access { READ, WRITE, ATOMIC, COPY_ISSUED, COPY_LANDED };

struct Copy {
    void* to;
    const void* from;
    int bytes, group;
    emu_site site;
};

struct Fiber {
    void* stack_pointer;
    uint3 thread;
    int index, lane, warp;
    State state;
    emu_site site;

    // The warp call it is in.
    emu_warp_call call;
    unsigned mask;
    int source, bytes;
    unsigned char in[8], out[8];

    int group;
    std::vector<Copy> copies;
};

// seen[i][j]: lane i comes after everything that lane j did up to this time of j's clock;
// seen[i][i] is lane i's own clock.
struct Warp {
    unsigned present, exited, waiting;
    unsigned seen[LANES][LANES];
};

struct Error {
    char what[1024];
    char file[256];
    int line;
    int in_thread;  // whether it is known which thread did it
    unsigned block[3], thread[3];
    size_t pc;
};

extern Order order;
extern bool checking;
extern Fiber fibers[MAX_THREADS];
extern Fiber* current;
extern Warp warps[MAX_THREADS / LANES];
extern int n_threads;

// fibers.cpp
unsigned random_below(unsigned n);
void make_stacks(int n);
bool on_a_stack(const void* where);
void make_fibers(void (*body)(void*), void* argument);
void run_fibers();
void make_ready(Fiber& fiber);
void yield();
[[noreturn]] void leave_fibers();
void release_if_complete();

// warps.cpp
void make_warps();
void leave_warp(Fiber& fiber);

// shared.cpp
void clear_shared(size_t dynamic_bytes);
void check_canaries();

// checker.cpp
void start_checking();
void start_block();
void pass_barrier();
void add_shared_region(char* start, size_t bytes, size_t item, emu_site site);
void check_access(const void* where, size_t bytes, Access access, const void* pc, emu_site site);

// launch.cpp: fail leaves the kernel, report is for what is found after a block has ended
[[noreturn]] void fail(emu_site site, const void* pc, const char* format, ...)
    __attribute__((format(printf, 3, 4)));
void report(emu_site site, const char* format, ...) __attribute__((format(printf, 2, 3)));
bool in_module(const void* where);

}  // namespace emu
