// The hot path: map and unmap.
//
// What is rare is in functions of its own, which are called last or not at all: so the ordinary path
// is a leaf that saves no register.
#include "c_twin_state.h"

#include <string.h>

// The bounce's copy out, which SwiftPM does not put on the include path of C targets.
#include "../CCopy/CCopy.h"

static inline uint32_t slot_count_of(const struct c_twin_mapper *mapper, uint64_t byte_count) {
    return (uint32_t)((byte_count + mapper->slot_mask) >> mapper->slot_shift);
}

static inline uint64_t load_gate(const struct c_twin *pool) {
    return atomic_load_explicit(&pool->gate, memory_order_acquire);
}

static inline uint64_t mapping_slot(const struct c_twin_mapping *mapping) {
    return mapping->shape >> 8 & 0xFFFFFF;
}

static inline uint64_t mapping_byte_count(const struct c_twin_mapping *mapping) {
    return mapping->shape >> 32;
}

// A claimed run: its first slot, and its state.
struct run {
    uint64_t slot;
    uint64_t state;
};

// Takes the run of a length that was cached last, by plain stores. False where there is none, where
// somebody has collected it, and where somebody collects or waits.
static inline bool pop(struct c_twin_mapper *mapper, uint32_t slot_count, struct run *run) {
    struct twin_stack *stack = &mapper->stacks[slot_count - 1];
    const uint64_t count = atomic_load_explicit(&stack->count, memory_order_relaxed);
    if (TWIN_UNLIKELY(count == 0)) return false;
    const uint64_t slot =
        atomic_load_explicit(&stack->runs[count - 1].slot, memory_order_relaxed);
    const uint64_t state =
        atomic_load_explicit(&stack->runs[count - 1].state, memory_order_relaxed);
    // Says what it takes, then looks at the gate: pairs with twin_collect.
    atomic_store_explicit(&mapper->intent, slot + 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    _Atomic uint64_t *current = &mapper->records[slot].state;
    if (TWIN_UNLIKELY(
            load_gate(mapper->pool) != 0
            || atomic_load_explicit(current, memory_order_acquire) != state)) {
        atomic_store_explicit(&mapper->intent, 0, memory_order_release);
        return false;
    }
    run->slot = slot;
    run->state = twin_uncached_state(state);
    atomic_store_explicit(current, run->state, memory_order_release);
    atomic_store_explicit(&stack->count, count - 1, memory_order_relaxed);
    atomic_store_explicit(&mapper->intent, 0, memory_order_release);
    return true;
}

// The same where others may collect at this moment.
static bool pop_shared(struct c_twin_mapper *mapper, uint32_t slot_count, struct run *run) {
    if (slot_count > twin_cached_slot_count_max) return false;
    struct twin_stack *stack = &mapper->stacks[slot_count - 1];
    uint64_t count = atomic_load_explicit(&stack->count, memory_order_relaxed);
    while (count > 0) {
        count--;
        run->slot = atomic_load_explicit(&stack->runs[count].slot, memory_order_relaxed);
        uint64_t state = atomic_load_explicit(&stack->runs[count].state, memory_order_relaxed);
        atomic_store_explicit(&stack->count, count, memory_order_relaxed);
        run->state = twin_uncached_state(state);
        // Fails where somebody has collected the run.
        if (atomic_compare_exchange_strong_explicit(
                &mapper->records[run->slot].state, &state, run->state, memory_order_acq_rel,
                memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

// Apart from the path without a copy, and last.
__attribute__((noinline)) static enum pool_model_refusal copy_in(
    struct c_twin_mapper *mapper, const struct c_twin_mapping *mapping
) {
    const uint64_t byte_count = mapping_byte_count(mapping);
    mapper->counters.copied_in_byte_count += byte_count;
    memcpy(
        mapper->window_host + (mapping->device_address - mapper->window_address),
        mapper->private_host + (mapping->buffer_address - mapper->private_address), byte_count);
    return POOL_MODEL_MAPPED;
}

// Makes a mapping of a claimed run.
static inline enum pool_model_refusal begin(
    struct c_twin_mapper *mapper, struct run run, uint64_t buffer_address, uint64_t byte_count,
    uint32_t slot_count, enum pool_model_direction direction, uint64_t cacheable,
    struct c_twin_mapping *mapping
) {
    struct twin_record *record = &mapper->records[run.slot];
    const uint64_t epoch = atomic_load_explicit(&mapper->pool->epoch, memory_order_relaxed);
    record->buffer_address = buffer_address;
    record->extent = byte_count;
    record->owner = epoch << 32 | mapper->owner | (uint64_t)direction << 8;

    mapper->counters.map_count++;
    const int64_t mapped_slot_count =
        atomic_load_explicit(&mapper->mapped_slot_count, memory_order_relaxed) + slot_count;
    atomic_store_explicit(&mapper->mapped_slot_count, mapped_slot_count, memory_order_relaxed);
    if (TWIN_UNLIKELY(mapped_slot_count > mapper->counters.mapped_slot_count_max)) {
        mapper->counters.mapped_slot_count_max = mapped_slot_count;
    }
    mapping->buffer_address = buffer_address;
    mapping->device_address = mapper->window_address + (run.slot << mapper->slot_shift);
    mapping->shape = byte_count << 32 | run.slot << 8 | cacheable | (uint64_t)direction;
    mapping->state = run.state;
    if (mapper->copied_in_directions >> direction & 1) return copy_in(mapper, mapping);
    return POOL_MODEL_MAPPED;
}

__attribute__((noinline, cold)) static enum pool_model_refusal refuse(
    struct c_twin_mapper *mapper, uint32_t slot_count
) {
    const struct c_twin *pool = mapper->pool;
    mapper->counters.refusal_count++;
    int64_t free = (int64_t)pool->slot_count;
    for (uint32_t index = 0; index < pool->mapper_count; index++) {
        free -= atomic_load_explicit(
            &pool->mappers[index].mapped_slot_count, memory_order_relaxed);
    }
    if (free < (int64_t)slot_count) return POOL_MODEL_EXHAUSTED;
    mapper->counters.longest_run_slot_count = twin_longest_run(pool);
    return POOL_MODEL_FRAGMENTED;
}

// Makes a mapping where the run cached last is gone, or there was none, or it was not to be taken.
__attribute__((noinline)) static enum pool_model_refusal map_slowly(
    struct c_twin_mapper *mapper, uint64_t buffer_address, uint64_t byte_count,
    enum pool_model_direction direction, struct c_twin_mapping *mapping
) {
    const uint32_t slot_count = slot_count_of(mapper, byte_count);
    if ((load_gate(mapper->pool) & twin_gate_waiter) != 0) return POOL_MODEL_BEHIND_WAITERS;
    struct run run;
    if (!pop_shared(mapper, slot_count, &run)) {
        const int64_t slot = twin_claim(mapper, slot_count);
        if (slot < 0) return refuse(mapper, slot_count);
        _Atomic uint64_t *state = &mapper->records[slot].state;
        run.slot = (uint64_t)slot;
        run.state = twin_claimed_state(
            atomic_load_explicit(state, memory_order_relaxed), slot_count);
        atomic_store_explicit(state, run.state, memory_order_release);
    }
    const bool is_own = run.slot - mapper->own_first_slot < mapper->own_slot_count;
    return begin(
        mapper, run, buffer_address, byte_count, slot_count, direction,
        is_own ? twin_shape_cacheable : 0, mapping);
}

enum pool_model_refusal c_twin_map(
    struct c_twin_mapper *mapper, uint64_t buffer_address, uint64_t byte_count,
    enum pool_model_direction direction, struct c_twin_mapping *mapping
) {
    if (TWIN_UNLIKELY(byte_count == 0)) __builtin_trap();
    if (TWIN_UNLIKELY(byte_count > mapper->mapping_byte_count_max)) return POOL_MODEL_TOO_LARGE;
    const uint64_t offset = buffer_address - mapper->private_address;
    if (TWIN_UNLIKELY(
            offset >= mapper->private_byte_count
            || byte_count > mapper->private_byte_count - offset)) {
        return POOL_MODEL_OUTSIDE_PRIVATE_MEMORY;
    }
    const uint32_t slot_count = slot_count_of(mapper, byte_count);
    struct run run;
    if (TWIN_UNLIKELY(
            slot_count > twin_cached_slot_count_max || !mapper->has_barrier
            || !pop(mapper, slot_count, &run))) {
        return map_slowly(mapper, buffer_address, byte_count, direction, mapping);
    }
    return begin(
        mapper, run, buffer_address, byte_count, slot_count, direction, twin_shape_cacheable,
        mapping);
}

// Where BouncePool serves its waiters.
__attribute__((noinline, cold)) static void hand_over(struct c_twin_mapper *mapper) {
    twin_collect(mapper->pool);
}

// The store of a state, or of bits of the bitmap, then the gate: who begins to wait sets the gate,
// then, behind a heavy barrier, looks for free slots. One of the two sees the other.
static inline void look_for_waiters(struct c_twin_mapper *mapper) {
    atomic_signal_fence(memory_order_seq_cst);
    if (TWIN_UNLIKELY((load_gate(mapper->pool) & twin_gate_waiter) != 0)) hand_over(mapper);
}

static inline bool push(struct c_twin_mapper *mapper, uint64_t slot, uint64_t state) {
    const uint32_t slot_count = twin_slot_count_of(state);
    if (TWIN_UNLIKELY(slot_count > twin_cached_slot_count_max)) return false;
    struct twin_stack *stack = &mapper->stacks[slot_count - 1];
    const uint64_t count = atomic_load_explicit(&stack->count, memory_order_relaxed);
    if (TWIN_UNLIKELY(count == twin_cache_depth)) return false;
    const uint64_t cached = twin_cached_state(state);
    atomic_store_explicit(&stack->runs[count].slot, slot, memory_order_relaxed);
    atomic_store_explicit(&stack->runs[count].state, cached, memory_order_relaxed);
    atomic_store_explicit(&stack->count, count + 1, memory_order_relaxed);
    // Releasing: pairs with the exchanges of pop_shared and collect_mapper. No locked instruction:
    // nobody else changes the state of a mapped run.
    atomic_store_explicit(&mapper->records[slot].state, cached, memory_order_release);
    return true;
}

// Drops the entries on top of a stack that were collected; false where there is none.
static bool make_place(struct c_twin_mapper *mapper, uint64_t state) {
    const uint32_t slot_count = twin_slot_count_of(state);
    if (slot_count > twin_cached_slot_count_max) return false;
    struct twin_stack *stack = &mapper->stacks[slot_count - 1];
    const uint64_t before = atomic_load_explicit(&stack->count, memory_order_relaxed);
    uint64_t count = before;
    while (count > 0) {
        const uint64_t slot =
            atomic_load_explicit(&stack->runs[count - 1].slot, memory_order_relaxed);
        const uint64_t cached =
            atomic_load_explicit(&stack->runs[count - 1].state, memory_order_relaxed);
        const uint64_t current =
            atomic_load_explicit(&mapper->records[slot].state, memory_order_acquire);
        if (current == cached) break;
        count--;
    }
    atomic_store_explicit(&stack->count, count, memory_order_relaxed);
    return count < before;
}

// Frees a run that the cache did not take at once.
__attribute__((noinline)) static void put_away(
    struct c_twin_mapper *mapper, uint64_t slot, uint64_t state, uint64_t cacheable
) {
    if (cacheable == 0 || !make_place(mapper, state) || !push(mapper, slot, state)) {
        atomic_store_explicit(
            &mapper->records[slot].state, twin_free_state(state), memory_order_release);
        twin_release(mapper->pool, slot, twin_slot_count_of(state));
    }
    look_for_waiters(mapper);
}

// Frees a run that another mapper has mapped: its area need not be this one's.
__attribute__((noinline)) static void put_away_foreign(
    struct c_twin_mapper *mapper, uint64_t slot, uint64_t state
) {
    const bool is_own = slot - mapper->own_first_slot < mapper->own_slot_count;
    if (is_own && push(mapper, slot, state)) {
        look_for_waiters(mapper);
        return;
    }
    put_away(mapper, slot, state, is_own ? twin_shape_cacheable : 0);
}

// Ends a mapping whose bytes are out.
static inline void end(
    struct c_twin_mapper *mapper, struct c_twin_mapping *mapping, uint64_t maker
) {
    const uint64_t slot = mapping_slot(mapping);
    const uint64_t state = mapping->state;
    const uint64_t cacheable = mapping->shape & twin_shape_cacheable;
    mapping->state = 0;
    mapper->counters.unmap_count++;
    // Of a foreign mapping as well: the sum over the mappers is what counts.
    atomic_store_explicit(
        &mapper->mapped_slot_count,
        atomic_load_explicit(&mapper->mapped_slot_count, memory_order_relaxed)
            - twin_slot_count_of(state),
        memory_order_relaxed);
    if (TWIN_UNLIKELY(maker != (mapper->owner >> 16 & 0xFFFF))) {
        put_away_foreign(mapper, slot, state);
        return;
    }
    if (TWIN_UNLIKELY(cacheable == 0 || !push(mapper, slot, state))) {
        put_away(mapper, slot, state, cacheable);
        return;
    }
    look_for_waiters(mapper);
}

// Apart from the path without a copy, and last.
__attribute__((noinline)) static void copy_out_and_end(
    struct c_twin_mapper *mapper, struct c_twin_mapping *mapping, uint64_t byte_count,
    uint64_t maker
) {
    mapper->counters.copied_out_byte_count += byte_count;
    ccopy_into_cold(
        mapper->private_host + (mapping->buffer_address - mapper->private_address),
        mapper->window_host + (mapping->device_address - mapper->window_address), byte_count);
    end(mapper, mapping, maker);
}

void c_twin_unmap(
    struct c_twin_mapper *mapper, struct c_twin_mapping *mapping, uint64_t used_byte_count
) {
    const struct twin_record *record = &mapper->records[mapping_slot(mapping)];
    // A state of 0 is no pool's.
    if (TWIN_UNLIKELY(
            mapping_slot(mapping) >= mapper->slot_count
            || atomic_load_explicit(&record->state, memory_order_acquire) != mapping->state)) {
        __builtin_trap();
    }
    const uint64_t maker = record->owner >> 16 & 0xFFFF;
    if (TWIN_UNLIKELY(used_byte_count > mapping_byte_count(mapping))) {
        used_byte_count = mapping_byte_count(mapping);
        mapper->counters.clamp_count++;
    }
    if (used_byte_count > 0 && mapper->copied_out_directions >> (mapping->shape & 3) & 1) {
        copy_out_and_end(mapper, mapping, used_byte_count, maker);
        return;
    }
    end(mapper, mapping, maker);
}
