// What a C twin is made of; private to this target.
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>

#include "c_twin.h"

enum {
    // Runs that a cache holds of each length, and the longest length it holds.
    twin_cache_depth = 15,
    twin_cached_slot_count_max = 33,
    // Of the gate: somebody waits, and one thread that collects.
    twin_gate_waiter = 1,
    twin_gate_collector = 2,
    // Of a mapping's shape.
    twin_shape_cacheable = 8,
    // Any will do that is not 0: a state of this pool is never 0.
    twin_pool_number = 1,
    cache_line_pair = 128,
};

enum twin_phase {
    twin_free = 0,
    // One less than mapped: see twin_cached_state.
    twin_cached = 1,
    twin_mapped = 2,
};

// Of a slot; used at the first one of a run. Half a cache line.
struct twin_record {
    // {generation 32 | slot count 16 | pool 8 | phase 8}
    _Atomic uint64_t state;
    uint64_t buffer_address;
    // {offset of the payload 32 | byte count 32}
    uint64_t extent;
    // {epoch 32 | mapper 16 | direction 8 | buffer count 8}
    uint64_t owner;
};

// A contiguous range of segments, and per class k of run lengths a bit a segment: whether the
// segment may have a free run of 2^k. Classes of the same 64 segments are neighbours.
struct twin_area {
    uint64_t first_segment;
    uint64_t segment_count;
    uint64_t group_count;
    _Atomic uint64_t *hints;
};

// The cached runs of one length, the last on top: four cache lines.
struct twin_stack {
    _Atomic uint64_t count;
    uint64_t pad;
    struct {
        _Atomic uint64_t slot;
        // What the run's state is if nobody has collected it.
        _Atomic uint64_t state;
    } runs[twin_cache_depth];
};

struct c_twin_mapper {
    // What a map reads, gathered here: all of it constant.
    alignas(cache_line_pair) struct c_twin *pool;
    struct twin_record *records;
    uint64_t private_address;
    uint64_t private_byte_count;
    char *private_host;
    char *window_host;
    uint64_t window_address;
    uint64_t mapping_byte_count_max;
    uint64_t slot_count;
    uint64_t slot_mask;
    uint64_t own_first_slot;
    uint64_t own_slot_count;
    uint32_t slot_shift;
    uint32_t area;
    uint64_t owner;
    // Whether heavy barriers exist, without which a run is not taken by plain stores.
    bool has_barrier;
    // Bit d is set where a mapping of direction d is copied in at map, out at unmap.
    uint32_t copied_in_directions;
    uint32_t copied_out_directions;

    // Written by the mapper's thread alone.
    alignas(cache_line_pair) struct c_twin_counters counters;
    _Atomic int64_t mapped_slot_count;
    // The first slot, plus one, of the run that the mapper is about to take; 0 for none.
    _Atomic uint64_t intent;
    // Runs of n slots: number n - 1.
    struct twin_stack stacks[twin_cached_slot_count_max];
};

struct c_twin {
    // Read by every map and unmap, written when somebody begins or ends to wait.
    // Bit 0: somebody waits. The rest: how many threads collect.
    alignas(cache_line_pair) _Atomic uint64_t gate;
    _Atomic uint32_t epoch;
    alignas(cache_line_pair) uint64_t slot_count;
    uint64_t segment_count;
    uint32_t slot_shift;
    uint32_t segment_shift;
    uint32_t words_per_segment;
    uint32_t class_count;
    uint32_t area_count;
    uint32_t mapper_count;
    // Bit n of word w is set while slot 64w + n is free.
    _Atomic uint64_t *words;
    struct twin_record *records;
    struct twin_area *areas;
    uint16_t *area_of_segment;
    struct c_twin_mapper *mappers;
};

// What hardly ever happens on a hot path.
#define TWIN_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

// The state of a run that is claimed once more, with another length.
static inline uint64_t twin_claimed_state(uint64_t state, uint64_t slot_count) {
    return ((state >> 32) + 1) << 32 | slot_count << 16 | twin_pool_number << 8 | twin_mapped;
}

static inline uint64_t twin_free_state(uint64_t state) {
    return state & ~(uint64_t)0xFF;
}

// Of a mapped run, and back with the next generation.
static inline uint64_t twin_cached_state(uint64_t mapped) { return mapped - 1; }

static inline uint64_t twin_uncached_state(uint64_t cached) {
    return cached + ((uint64_t)1 << 32) + 1;
}

static inline uint32_t twin_slot_count_of(uint64_t state) { return state >> 16 & 0xFFFF; }

// A word whose lowest `count` bits are set; 1 to 64.
static inline uint64_t twin_ones(unsigned count) {
    return UINT64_MAX >> (64 - count);
}

// The bits where a run of `count` set bits begins; 1 to 64.
static inline uint64_t twin_run_starts(uint64_t free, unsigned count) {
    for (unsigned length = 1; length < count;) {
        unsigned missing = count - length;
        unsigned step = length < missing ? length : missing;
        free &= free >> step;
        length += step;
    }
    return free;
}

// Set bits from the lowest bit up, and from the highest down.
static inline unsigned twin_low_ones(uint64_t bits) {
    return bits == UINT64_MAX ? 64 : (unsigned)__builtin_ctzll(~bits);
}

static inline unsigned twin_high_ones(uint64_t bits) {
    return bits == UINT64_MAX ? 64 : (unsigned)__builtin_clzll(~bits);
}

// c_twin_search.c

// Makes every other thread's compiler barriers as good as full ones; false where there is no
// membarrier(2).
bool twin_register_barrier(void);
void twin_heavy_barrier(void);

// Claims a run from the bitmap, own area first, or, in the end, from what is cached; returns its
// first slot, or -1.
int64_t twin_claim(struct c_twin_mapper *mapper, uint32_t slot_count);
// Gives a run back to the bitmap and sets the hints that it makes true.
void twin_release(struct c_twin *pool, uint64_t first, uint32_t slot_count);
// Gives the cached runs of all mappers back to the bitmap. False where there was none.
bool twin_collect(struct c_twin *pool);
// The longest free run of the bitmap within a segment.
uint32_t twin_longest_run(const struct c_twin *pool);
// Whether a segment has a free run of `length`.
bool twin_has_run(const struct c_twin *pool, uint64_t segment, uint32_t length);
