#include "linux_model.h"

#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    slot_shift = 11,
    slot_byte_count = 1 << slot_shift,
    segment_slot_count = 128,
    page_byte_count = 4096,
    cache_line_pair = 128,
};

// What is kept of a slot (`struct io_tlb_slot`).
struct slot {
    // The buffer's address of this slot's first byte, and what is left of the mapping from there.
    uint64_t orig_addr;
    uint64_t alloc_size;
    // Free slots from here to the end of the run or segment; 0 while in use.
    uint16_t list;
    uint16_t pad_slots;
};

// What a lock protects (`struct io_tlb_area`).
struct area {
    alignas(cache_line_pair) atomic_bool is_locked;
    // Where the next search begins, and slots in use.
    uint64_t index;
    uint64_t used;
};

struct linux_model {
    struct slot *slots;
    struct area *areas;
    uint64_t area_slot_count;
    uint32_t area_count;
    bool counts_exactly;
    struct pool_model_memory memory;
    alignas(cache_line_pair) atomic_ulong used;
    atomic_ulong used_max;
};

static const uint64_t invalid_address = UINT64_MAX;

// Test and test-and-set. A holder that lost its processor, which cannot happen in the kernel, gets
// it back after a while of spinning.
static void lock(struct area *area) {
    unsigned spins = 0;
    while (atomic_exchange_explicit(&area->is_locked, true, memory_order_acquire)) {
        while (atomic_load_explicit(&area->is_locked, memory_order_relaxed)) {
            if (++spins % 1024 == 0) sched_yield();
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
    }
}

static void unlock(struct area *area) {
    atomic_store_explicit(&area->is_locked, false, memory_order_release);
}

static void *allocate(size_t size) {
    size = (size + cache_line_pair - 1) & ~(size_t)(cache_line_pair - 1);
    void *memory = aligned_alloc(cache_line_pair, size);
    if (memory) memset(memory, 0, size);
    return memory;
}

struct linux_model *linux_model_create(const struct linux_model_config *config) {
    if (config->slot_count == 0 || config->thread_count == 0) return NULL;
    uint64_t area_count = 1;
    while (area_count < config->thread_count) area_count *= 2;
    while (area_count > 1 && config->slot_count / area_count < segment_slot_count) area_count /= 2;
    uint64_t area_slot_count = config->slot_count / area_count;
    if (area_count > 1) area_slot_count -= area_slot_count % segment_slot_count;

    struct linux_model *pool = allocate(sizeof *pool);
    if (!pool) return NULL;
    pool->slots = allocate(area_count * area_slot_count * sizeof *pool->slots);
    pool->areas = allocate(area_count * sizeof *pool->areas);
    if (!pool->slots || !pool->areas) {
        linux_model_destroy(pool);
        return NULL;
    }
    pool->area_slot_count = area_slot_count;
    pool->area_count = (uint32_t)area_count;
    pool->counts_exactly = config->counts_exactly;
    pool->memory = config->memory;
    for (uint64_t index = 0; index < area_count * area_slot_count; index++) {
        uint64_t left_in_segment = segment_slot_count - index % segment_slot_count;
        uint64_t left_in_area = area_slot_count - index % area_slot_count;
        struct slot *slot = &pool->slots[index];
        slot->list = (uint16_t)(left_in_segment < left_in_area ? left_in_segment : left_in_area);
        slot->orig_addr = invalid_address;
    }
    return pool;
}

void linux_model_destroy(struct linux_model *pool) {
    if (!pool) return;
    free(pool->slots);
    free(pool->areas);
    free(pool);
}

static void count_exactly(struct linux_model *pool, uint64_t slot_count) {
    unsigned long used =
        atomic_fetch_add_explicit(&pool->used, slot_count, memory_order_relaxed) + slot_count;
    unsigned long most = atomic_load_explicit(&pool->used_max, memory_order_relaxed);
    while (used > most && !atomic_compare_exchange_weak_explicit(
               &pool->used_max, &most, used, memory_order_relaxed, memory_order_relaxed)) {}
}

// Gives the free slots of a segment that end just before `slot` their lengths; `following` is the
// free run that begins there.
static void recount_before(struct linux_model *pool, uint64_t slot, uint64_t following) {
    while (slot % segment_slot_count != 0 && pool->slots[slot - 1].list != 0) {
        slot--;
        pool->slots[slot].list = (uint16_t)++following;
    }
}

// Finds slots in one area, or returns -1.
static int64_t search_area(
    struct linux_model *pool, uint32_t area_number, uint64_t buffer_address, uint64_t byte_count
) {
    struct area *area = &pool->areas[area_number];
    const uint64_t area_slot_count = pool->area_slot_count;
    const uint64_t base = area_number * area_slot_count;
    const uint64_t slot_count = (byte_count + slot_byte_count - 1) >> slot_shift;
    const uint64_t stride = byte_count >= page_byte_count ? page_byte_count >> slot_shift : 1;

    lock(area);
    if (slot_count > area_slot_count - area->used) goto not_found;
    // The window begins at a segment, so a slot's number is as aligned as its address.
    uint64_t index = (area->index + stride - 1) & ~(stride - 1);
    if (index >= area_slot_count) index = 0;
    for (uint64_t checked = 0; checked < area_slot_count; checked += stride) {
        if (pool->slots[base + index].list >= slot_count) goto found;
        index += stride;
        if (index >= area_slot_count) index = 0;
    }
not_found:
    unlock(area);
    return -1;

found:;
    const uint64_t first = base + index;
    for (uint64_t done = 0; done < slot_count; done++) {
        struct slot *slot = &pool->slots[first + done];
        slot->list = 0;
        slot->orig_addr = buffer_address + (done << slot_shift);
        slot->alloc_size = byte_count - (done << slot_shift);
    }
    recount_before(pool, first, 0);
    index += slot_count;
    area->index = index < area_slot_count ? index : 0;
    area->used += slot_count;
    unlock(area);
    return (int64_t)first;
}

static char *host_buffer(const struct linux_model *pool, uint64_t address) {
    return (char *)(uintptr_t)pool->memory.private_host_address
        + (address - pool->memory.private_address);
}

static char *host_slot(const struct linux_model *pool, uint64_t slot) {
    return (char *)(uintptr_t)pool->memory.window_host_address + (slot << slot_shift);
}

int64_t linux_model_map(
    struct linux_model *pool, uint32_t thread, uint64_t buffer_address, uint64_t byte_count,
    enum pool_model_direction direction
) {
    if (byte_count == 0 || byte_count > segment_slot_count << slot_shift) return -1;
    const uint32_t mask = pool->area_count - 1;
    for (uint32_t step = 0; step < pool->area_count; step++) {
        const uint32_t area_number = (thread + step) & mask;
        const int64_t slot = search_area(pool, area_number, buffer_address, byte_count);
        if (slot < 0) continue;
        if (pool->counts_exactly) {
            count_exactly(pool, (byte_count + slot_byte_count - 1) >> slot_shift);
        }
        // Whatever the direction: a device that writes less than all must not make old contents of
        // the slots appear in the buffer.
        if (direction != POOL_MODEL_NO_COPY) {
            memcpy(host_slot(pool, (uint64_t)slot), host_buffer(pool, buffer_address), byte_count);
        }
        return slot;
    }
    return -1;
}

void linux_model_unmap(
    struct linux_model *pool, uint64_t slot, enum pool_model_direction direction
) {
    struct slot *const first = &pool->slots[slot];
    if (direction == POOL_MODEL_FROM_DEVICE || direction == POOL_MODEL_BIDIRECTIONAL) {
        memcpy(host_buffer(pool, first->orig_addr), host_slot(pool, slot), first->alloc_size);
    }
    const uint64_t slot_count = (first->alloc_size + slot_byte_count - 1) >> slot_shift;
    struct area *area = &pool->areas[slot / pool->area_slot_count];
    lock(area);
    const uint64_t end = slot + slot_count;
    uint64_t run = 0;
    if (end % segment_slot_count != 0 && end % pool->area_slot_count != 0) {
        run = pool->slots[end].list;
    }
    for (uint64_t index = end; index-- > slot;) {
        struct slot *freed = &pool->slots[index];
        freed->list = (uint16_t)++run;
        freed->orig_addr = invalid_address;
        freed->alloc_size = 0;
        freed->pad_slots = 0;
    }
    recount_before(pool, slot, run);
    area->used -= slot_count;
    unlock(area);
    if (pool->counts_exactly) {
        atomic_fetch_sub_explicit(&pool->used, slot_count, memory_order_relaxed);
    }
}

uint64_t linux_model_slot_count(const struct linux_model *pool) {
    return pool->area_slot_count * pool->area_count;
}

uint64_t linux_model_used_slot_count(const struct linux_model *pool) {
    uint64_t used = 0;
    for (uint32_t index = 0; index < pool->area_count; index++) used += pool->areas[index].used;
    return used;
}

bool linux_model_is_consistent(const struct linux_model *pool) {
    uint64_t run = 0;
    uint64_t free_count = 0;
    const uint64_t slot_count = linux_model_slot_count(pool);
    for (uint64_t index = slot_count; index-- > 0;) {
        const struct slot *slot = &pool->slots[index];
        const uint64_t next = index + 1;
        if (next % segment_slot_count == 0 || next % pool->area_slot_count == 0) run = 0;
        run = slot->orig_addr == invalid_address ? run + 1 : 0;
        if (slot->list != run) return false;
        if (run > 0) free_count++;
    }
    return free_count + linux_model_used_slot_count(pool) == slot_count
        && (!pool->counts_exactly
            || atomic_load(&pool->used) == linux_model_used_slot_count(pool));
}
