// One launch from beginning to end, and what is told when it goes wrong.
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <algorithm>
#include <numeric>

#include "runtime.h"

extern "C" {
int emu_left_out;
uint3 emu_block, emu_block_size, emu_grid_size;
}

namespace emu {
namespace {

constexpr int SIGNALS[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};

Error error;
bool failed;

// The shared object that the kernel is part of.
struct {
    uintptr_t base, start, end;
} module;

int find_module(dl_phdr_info* info, size_t, void* code) {
    uintptr_t start = UINTPTR_MAX, end = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_LOAD) continue;
        const uintptr_t segment = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        start = std::min(start, segment);
        end = std::max(end, segment + info->dlpi_phdr[i].p_memsz);
    }
    const uintptr_t address = reinterpret_cast<uintptr_t>(code);
    if (address < start || address >= end) return 0;
    module = {info->dlpi_addr, start, end};
    return 1;
}

const char* describe_signal(int number, const void* address) {
    if (number == SIGILL) return "undefined behaviour";
    if (number == SIGFPE) return "an integer division that has no answer";
    return on_a_stack(address) ? "the thread ran off its stack" : "a crash: memory that is not there";
}

// Leaves the handler for the host's own stack and never returns to the faulting code.
void on_signal(int number, siginfo_t* info, void* context) {
    if (!current) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    const greg_t pc = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP];
    // One past the instruction, like a return address.
    fail({}, reinterpret_cast<const void*>(pc + 1), "%s", describe_signal(number, info->si_addr));
}

class SignalGuard {
  public:
    SignalGuard() {
        static char stack[64 << 10];
        stack_t ours{};
        ours.ss_sp = stack;
        ours.ss_size = sizeof stack;
        sigaltstack(&ours, &old_stack_);
        struct sigaction action {};
        action.sa_sigaction = on_signal;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
        for (int i = 0; i < 4; i++) sigaction(SIGNALS[i], &action, &old_[i]);
    }
    ~SignalGuard() {
        for (int i = 0; i < 4; i++) sigaction(SIGNALS[i], &old_[i], nullptr);
        sigaltstack(&old_stack_, nullptr);
    }

  private:
    struct sigaction old_[4];
    stack_t old_stack_;
};

void fill_error(emu_site site, const void* pc, const char* format, va_list values) {
    error = {};
    failed = true;
    vsnprintf(error.what, sizeof error.what, format, values);
    if (site.file) snprintf(error.file, sizeof error.file, "%s", site.file);
    error.line = site.line;
    memcpy(error.block, &emu_block, sizeof error.block);
    error.in_thread = current != nullptr;
    memcpy(error.thread, &emu_thread, sizeof error.thread);
    if (pc && in_module(pc)) error.pc = reinterpret_cast<uintptr_t>(pc) - 1 - module.base;
}

void run_block(size_t number, void (*body)(void*), void* argument, size_t shared_bytes) {
    const unsigned width = emu_grid_size.x, height = emu_grid_size.y;
    emu_block = {unsigned(number % width), unsigned(number / width % height),
                 unsigned(number / width / height)};
    if (checking) start_block();
    clear_shared(shared_bytes);
    make_warps();
    make_fibers(body, argument);
    run_fibers();
    if (!failed) check_canaries();
}

std::vector<size_t> ordered_blocks() {
    std::vector<size_t> blocks(size_t(emu_grid_size.x) * emu_grid_size.y * emu_grid_size.z);
    std::iota(blocks.begin(), blocks.end(), 0);
    if (order == Order::LIFO) std::reverse(blocks.begin(), blocks.end());
    if (order == Order::RANDOM)
        for (size_t i = blocks.size(); i > 1; i--) std::swap(blocks[i - 1], blocks[random_below(i)]);
    return blocks;
}

}  // namespace

bool in_module(const void* where) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(where);
    return address >= module.start && address < module.end;
}

void fail(emu_site site, const void* pc, const char* format, ...) {
    va_list values;
    va_start(values, format);
    fill_error(site, pc, format, values);
    va_end(values);
    leave_fibers();
}

void report(emu_site site, const char* format, ...) {
    va_list values;
    va_start(values, format);
    fill_error(site, nullptr, format, values);
    va_end(values);
}

}  // namespace emu

using namespace emu;

EMU_API const Error* emu_error() { return &error; }
EMU_API void emu_set_checking(int on) { checking = on; }

void emu_trap(emu_site site) { fail(site, nullptr, "__trap() was called"); }

int emu_run(void (*body)(void*), void* argument, const unsigned* grid, const unsigned* block,
            size_t shared_bytes) {
    emu_grid_size = {grid[0], grid[1], grid[2]};
    emu_block_size = {block[0], block[1], block[2]};
    n_threads = block[0] * block[1] * block[2];
    failed = false;
    dl_iterate_phdr(find_module, reinterpret_cast<void*>(body));
    make_stacks(n_threads);
    if (checking) start_checking();
    SignalGuard guard;
    for (size_t number : ordered_blocks()) {
        run_block(number, body, argument, shared_bytes);
        if (failed) break;
    }
    return failed;
}
