#include "CLostMemory.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

// A mapping. `start` is 0 where the entry is free.
//
// The handler looks at all entries while other threads fill and empty some, and must not take one
// mapping's start and another's end for a mapping: `version` is odd while an entry changes, and
// another after each change. The entry that the handler is looking for cannot change, for nobody
// unmaps memory that is being accessed; any that does is not that one.
struct guard {
    _Atomic uint32_t version;
    _Atomic uintptr_t start;
    _Atomic uintptr_t end;
    _Atomic uintptr_t page_byte_count;
    atomic_int is_lost;
};

static struct guard guards[CLOST_CAPACITY];
// No entry from here on was ever used.
static _Atomic int32_t guard_count;
static _Atomic uint32_t lost_count;
static struct sigaction former;
static atomic_flag is_installed = ATOMIC_FLAG_INIT;

// Whether the entry is that of the mapping of an address: then, its page there and its end.
static int covers(struct guard *guard, uintptr_t address, uintptr_t *page, uintptr_t *end) {
    // Pairs with the release in change_end.
    uint32_t version = atomic_load_explicit(&guard->version, memory_order_acquire);
    uintptr_t start = atomic_load_explicit(&guard->start, memory_order_relaxed);
    uintptr_t mask = atomic_load_explicit(&guard->page_byte_count, memory_order_relaxed) - 1;
    *end = atomic_load_explicit(&guard->end, memory_order_relaxed);
    *page = address & ~mask;
    // Pairs with the release in change_begin: who has read of a change sees its version.
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&guard->version, memory_order_relaxed) == version
        && version % 2 == 0 && start != 0 && address >= start && address < *end;
}

static int heal(uintptr_t address) {
    int32_t count = atomic_load_explicit(&guard_count, memory_order_acquire);
    for (int32_t index = 0; index < count; index++) {
        struct guard *guard = &guards[index];
        uintptr_t page, end;
        if (!covers(guard, address, &page, &end)) continue;
        // To the end: a file loses its end. Page by page would be a mapping each, which run out.
        void *result = mmap((void *)page, end - page, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
        if (result == MAP_FAILED) return 0;
        atomic_store_explicit(&guard->is_lost, 1, memory_order_relaxed);
        // Pairs with clost_count: who sees it sees the mark.
        atomic_fetch_add_explicit(&lost_count, 1, memory_order_release);
        return 1;
    }
    return 0;
}

static void on_bus_error(int signal, siginfo_t *info, void *context) {
    (void)context;
    int saved = errno;
    if (info->si_code != BUS_ADRERR || !heal((uintptr_t)info->si_addr)) {
        // The access is repeated, and meets who was asked before.
        sigaction(signal, &former, NULL);
    }
    errno = saved;
}

int clost_install(void) {
    if (atomic_flag_test_and_set(&is_installed)) return 0;
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    if (sigaction(SIGBUS, &action, &former) == 0) return 0;
    atomic_flag_clear(&is_installed);
    return errno;
}

// Changes an entry of the given version, unless another thread does.
static int change_begin(struct guard *guard, uint32_t version) {
    if (!atomic_compare_exchange_strong_explicit(&guard->version, &version, version + 1,
                                                 memory_order_acquire, memory_order_relaxed)) {
        return 0;
    }
    atomic_thread_fence(memory_order_release);
    return 1;
}

static void change_end(struct guard *guard, uint32_t version) {
    atomic_store_explicit(&guard->version, version + 2, memory_order_release);
}

int32_t clost_guard(void *start, size_t byte_count, size_t page_byte_count) {
    for (int32_t index = 0; index < CLOST_CAPACITY; index++) {
        struct guard *guard = &guards[index];
        uint32_t version = atomic_load_explicit(&guard->version, memory_order_acquire);
        if (version % 2 != 0 || atomic_load_explicit(&guard->start, memory_order_relaxed) != 0
            || !change_begin(guard, version)) continue;
        uintptr_t page = (uintptr_t)page_byte_count;
        // The kernel maps whole pages.
        uintptr_t end = ((uintptr_t)start + byte_count + page - 1) & ~(page - 1);
        atomic_store_explicit(&guard->start, (uintptr_t)start, memory_order_relaxed);
        atomic_store_explicit(&guard->end, end, memory_order_relaxed);
        atomic_store_explicit(&guard->page_byte_count, page, memory_order_relaxed);
        atomic_store_explicit(&guard->is_lost, 0, memory_order_relaxed);
        change_end(guard, version);
        int32_t count = atomic_load_explicit(&guard_count, memory_order_relaxed);
        while (count <= index &&
               !atomic_compare_exchange_weak_explicit(&guard_count, &count, index + 1,
                                                      memory_order_release,
                                                      memory_order_relaxed)) {}
        return index;
    }
    return -1;
}

void clost_release(int32_t index) {
    if (index < 0) return;
    struct guard *guard = &guards[index];
    // Nobody else changes an entry that is not free.
    uint32_t version = atomic_load_explicit(&guard->version, memory_order_relaxed);
    change_begin(guard, version);
    atomic_store_explicit(&guard->start, 0, memory_order_relaxed);
    change_end(guard, version);
}

int clost_is_lost(int32_t guard) {
    return guard >= 0 && atomic_load_explicit(&guards[guard].is_lost, memory_order_relaxed);
}

uint32_t clost_count(void) {
    return atomic_load_explicit(&lost_count, memory_order_acquire);
}
