// Fibers, the order in which they run, and the barrier of a block.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <utility>

#include "runtime.h"

extern "C" {
uint3 emu_thread;

// Leaves one stack for another: what the calling convention says a callee keeps is kept.
void emu_switch(void** leaving, void* entering);
asm(R"(.text
.local emu_switch
.type emu_switch,@function
emu_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emu_switch, .-emu_switch)");
}

namespace emu {

Order order;
Fiber fibers[MAX_THREADS];
Fiber* current;
int n_threads;

namespace {

constexpr size_t STACK = 256 << 10, GUARD = 4096;

char* stacks;
int n_stacks;
Fiber host;
void (*kernel_body)(void*);
void* kernel_argument;

Fiber* waiting_to_run[MAX_THREADS];
int first_ready, n_ready;

struct {
    int arrived, alive, votes, voters, result;
    emu_site site;
} barrier;

unsigned long long random_state;

Fiber*& ready_at(int i) { return waiting_to_run[(first_ready + i) % MAX_THREADS]; }

Fiber* take_ready() {
    if (n_ready == 0) return nullptr;
    if (order == Order::LIFO) return ready_at(--n_ready);
    if (order == Order::RANDOM) std::swap(ready_at(0), ready_at(random_below(n_ready)));
    Fiber* fiber = ready_at(0);
    first_ready = (first_ready + 1) % MAX_THREADS;
    n_ready--;
    return fiber;
}

void switch_to(Fiber& next) {
    Fiber& leaving = *current;
    current = &next;
    emu_thread = next.thread;
    emu_switch(&leaving.stack_pointer, next.stack_pointer);
}

[[noreturn]] void fail_stuck() {
    char told[900];
    size_t length = 0;
    emu_site site{};
    const Fiber* last = nullptr;
    for (int i = 0; i < n_threads && length + 120 < sizeof told; i++) {
        const Fiber& fiber = fibers[i];
        if (fiber.state == State::DONE) continue;
        const bool in_warp = fiber.state == State::IN_WARP_CALL;
        if (last && last->state == fiber.state && last->site.line == fiber.site.line &&
            (!in_warp || last->mask == fiber.mask))
            continue;
        length += snprintf(told + length, sizeof told - length, "%s thread %d waits in %s at line %d",
                           last ? "," : ":", i, in_warp ? "a warp intrinsic" : "__syncthreads",
                           fiber.site.line);
        if (in_warp)
            length += snprintf(told + length, sizeof told - length, " with mask %08x", fiber.mask);
        if (!last) site = fiber.site;
        last = &fiber;
    }
    fail(site, nullptr, "deadlock: no thread can go on%s", told);
}

void live() {
    kernel_body(kernel_argument);
    Fiber& me = *current;
    if (!me.copies.empty())
        fail(me.copies.front().site, nullptr, "the thread ends before its cp.async copies do");
    me.state = State::DONE;
    barrier.alive--;
    leave_warp(me);
    release_if_complete();
    Fiber* next = take_ready();
    if (!next && barrier.alive) fail_stuck();
    switch_to(next ? *next : host);
    abort();
}

}  // namespace

unsigned random_below(unsigned n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return unsigned(random_state >> 32) % n;
}

void make_stacks(int n) {
    constexpr size_t each = STACK + GUARD;
    if (!stacks) {
        void* mapped = mmap(nullptr, MAX_THREADS * each, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (mapped == MAP_FAILED) abort();
        stacks = static_cast<char*>(mapped);
    }
    for (; n_stacks < n; n_stacks++) mprotect(stacks + n_stacks * each, GUARD, PROT_NONE);
}

bool on_a_stack(const void* where) {
    const char* p = static_cast<const char*>(where);
    return p >= stacks && p < stacks + MAX_THREADS * (STACK + GUARD);
}

void make_fibers(void (*body)(void*), void* argument) {
    kernel_body = body;
    kernel_argument = argument;
    barrier = {};
    barrier.alive = n_threads;
    first_ready = n_ready = 0;
    const unsigned width = emu_block_size.x, height = emu_block_size.y;
    for (int i = 0; i < n_threads; i++) {
        Fiber& fiber = fibers[i];
        fiber.index = i;
        fiber.lane = i % LANES;
        fiber.warp = i / LANES;
        fiber.thread = {i % width, i / width % height, i / (width * height)};
        fiber.group = 0;
        fiber.copies.clear();
        // Tops that differ by lane keep the stacks off one another's cache lines.
        char* top = stacks + (i + 1) * (STACK + GUARD) - fiber.lane * 320;
        void** frame = reinterpret_cast<void**>(top);
        *--frame = nullptr;
        *--frame = reinterpret_cast<void*>(live);
        for (int saved = 0; saved < 6; saved++) *--frame = nullptr;
        fiber.stack_pointer = frame;
        make_ready(fiber);
    }
}

void run_fibers() {
    current = &host;
    switch_to(*take_ready());
    current = nullptr;
}

void leave_fibers() {
    switch_to(host);
    abort();
}

void make_ready(Fiber& fiber) {
    fiber.state = State::READY;
    ready_at(n_ready++) = &fiber;
}

void yield() {
    Fiber* next = take_ready();
    if (!next) fail_stuck();
    if (next != current) switch_to(*next);
}

void release_if_complete() {
    if (barrier.arrived == 0 || barrier.arrived < barrier.alive) return;
    barrier.result = barrier.votes;
    barrier.voters = barrier.arrived;
    barrier.votes = barrier.arrived = 0;
    pass_barrier();
    for (int i = 0; i < n_threads; i++)
        if (fibers[i].state == State::AT_BARRIER) make_ready(fibers[i]);
}

}  // namespace emu

using namespace emu;

extern "C" int emu_barrier(emu_vote vote, int predicate, emu_site site) {
    if (barrier.arrived == 0) barrier.site = site;
    if (barrier.site.line != site.line || strcmp(barrier.site.file, site.file) != 0)
        fail(site, nullptr, "divergent __syncthreads: other threads wait at line %d of %s",
             barrier.site.line, barrier.site.file);
    current->state = State::AT_BARRIER;
    current->site = site;
    barrier.arrived++;
    barrier.votes += predicate != 0;
    release_if_complete();
    yield();
    if (vote == EMU_COUNT) return barrier.result;
    return vote == EMU_AND ? barrier.result == barrier.voters : barrier.result != 0;
}

EMU_API void emu_set_order(int chosen, unsigned long long seed) {
    order = Order(chosen);
    random_state = (seed + 1) * 0x9e3779b97f4a7c15ull;
}
