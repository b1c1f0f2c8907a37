#define _GNU_SOURCE
#include "StoreTrace.h"

#if defined(__x86_64__) && defined(__linux__)

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

// Trace after the next instruction.
enum { trap_flag = 0x100 };

static char *memory, *states;
static size_t memory_size, traced_size, count, count_max;
static struct sigaction old_fault, old_trap;

static void on_fault(int number, siginfo_t *info, void *context) {
    char *address = info->si_addr;
    if (address < memory || address >= memory + memory_size) {
        // Not ours: the instruction is tried again and ends as it would have without us.
        sigaction(SIGSEGV, &old_fault, NULL);
        return;
    }
    (void)number;
    mprotect(memory, memory_size, PROT_READ | PROT_WRITE);
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] |= trap_flag;
}

static void on_trap(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)info;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~(long long)trap_flag;
    const char *last = count == 0 || count > count_max ? NULL : states + (count - 1) * traced_size;
    if (last == NULL || memcmp(memory, last, traced_size) != 0) {
        if (count < count_max) memcpy(states + count * traced_size, memory, traced_size);
        count++;
    }
    mprotect(memory, memory_size, PROT_READ);
}

bool store_trace_begin(
    uint64_t address, size_t byte_count, size_t traced_byte_count, uint64_t states_address,
    size_t state_count_max) {
    memory = (char *)address;
    memory_size = byte_count;
    traced_size = traced_byte_count;
    states = (char *)states_address;
    count = 0;
    count_max = state_count_max;
    struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    struct sigaction trap = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &fault, &old_fault);
    sigaction(SIGTRAP, &trap, &old_trap);
    return mprotect(memory, memory_size, PROT_READ) == 0;
}

size_t store_trace_end(void) {
    mprotect(memory, memory_size, PROT_READ | PROT_WRITE);
    sigaction(SIGSEGV, &old_fault, NULL);
    sigaction(SIGTRAP, &old_trap, NULL);
    return count;
}

bool store_trace_works(void) {
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return false;
    char seen[4 * 4];
    store_trace_begin((uint64_t)page, 4096, 4, (uint64_t)seen, 4);
    volatile char *bytes = page;
    bytes[0] = 1;
    bytes[1] = 2;
    bytes[1] = 2;
    size_t number = store_trace_end();
    bool works = number == 2 && memcmp(seen, "\1\0\0\0\1\2\0\0", 8) == 0;
    munmap(page, 4096);
    return works;
}

#else

bool store_trace_works(void) { return false; }

bool store_trace_begin(
    uint64_t address, size_t byte_count, size_t traced_byte_count, uint64_t states,
    size_t state_count_max) {
    (void)address, (void)byte_count, (void)traced_byte_count, (void)states, (void)state_count_max;
    return false;
}

size_t store_trace_end(void) { return 0; }

#endif
