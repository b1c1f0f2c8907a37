// The pool's algorithm in C: what SwiotlbPool would be had it been written in C.
//
// It does what a map and an unmap of BouncePool do when nobody waits: the same checks, the same
// search, the same records and counters, the same copies. What is missing is what costs a hot path
// nothing: waiters (the gate that tells of them is looked at), owners, quarantine, growth.
// docs/architecture.md describes the algorithm.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pool_model.h"

struct c_twin;
struct c_twin_mapper;

struct c_twin_config {
    uint64_t slot_count;
    // log2 of a slot's bytes, and of a segment's slots: 6 to 15.
    uint32_t slot_shift;
    uint32_t segment_shift;
    uint32_t area_count;
    uint32_t mapper_count;
    // Copies in on every map that is not to the device alone, as Linux does.
    bool prefills;
    struct pool_model_memory memory;
};

// A live mapping, in the words of a DMAMapping; a `state` of 0 stands for none.
struct c_twin_mapping {
    uint64_t buffer_address;
    uint64_t device_address;
    // {byte count 32 | first slot 24 | 0 (4) | whether it may be cached 1 | 0 (1) | direction 2}
    uint64_t shape;
    // {generation 32 | slot count 16 | pool 8 | phase 8}
    uint64_t state;
};

// Counters of one mapper.
struct c_twin_counters {
    uint64_t map_count;
    uint64_t unmap_count;
    uint64_t refusal_count;
    uint64_t spill_count;
    uint64_t collect_count;
    uint64_t copied_in_byte_count;
    uint64_t copied_out_byte_count;
    uint64_t clamp_count;
    // Slots mapped by this mapper less those it unmapped, and the most there were.
    int64_t mapped_slot_count;
    int64_t mapped_slot_count_max;
    // The longest free run when a map was refused last though enough slots were free.
    uint64_t longest_run_slot_count;
};

// Null where memory is short or the configuration makes no sense.
struct c_twin *c_twin_create(const struct c_twin_config *config);
void c_twin_destroy(struct c_twin *pool);

// The way in of thread `index`, below `mapper_count`; lives as long as the pool. One thread at a
// time uses it; its area is `index` modulo the areas.
struct c_twin_mapper *c_twin_mapper_at(struct c_twin *pool, uint32_t index);

// Maps a buffer. `mapping` is written where the result is POOL_MODEL_MAPPED. Traps on a length of 0.
enum pool_model_refusal c_twin_map(
    struct c_twin_mapper *mapper, uint64_t buffer_address, uint64_t byte_count,
    enum pool_model_direction direction, struct c_twin_mapping *mapping);

// Ends a mapping of any mapper of the same pool, and marks it as none. Traps where the pool knows
// of no such mapping.
void c_twin_unmap(
    struct c_twin_mapper *mapper, struct c_twin_mapping *mapping, uint64_t used_byte_count);

// The slots that are free, and the slots in no mapping: those, and the cached ones. Exact while
// nothing is mapped or unmapped.
uint64_t c_twin_free_slot_count(const struct c_twin *pool);
uint64_t c_twin_unmapped_slot_count(const struct c_twin *pool);

struct c_twin_counters c_twin_counters_of(const struct c_twin_mapper *mapper);

// Whether every derived state is what recomputing it gives: hints that are missing, cached runs
// that are free. For tests, while nothing is mapped or unmapped.
bool c_twin_is_consistent(const struct c_twin *pool);
