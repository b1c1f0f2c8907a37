// A plain model of how Linux's swiotlb finds slots (kernel/dma/swiotlb.c), written from a
// description of its behaviour and of nothing else: lists of free-run lengths, a next-fit walk over
// them, one spinlock an area.
//
// Simplifications: no dynamic pools, no alignment masks but the page alignment of page-sized and
// larger buffers, no boundary masks.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pool_model.h"

struct linux_model;

struct linux_model_config {
    uint64_t slot_count;
    // Rounded up to a power of two, one area each; fewer where an area would be shorter than a
    // segment.
    uint32_t thread_count;
    // Counts used slots exactly, in one atomic word of all areas, as `CONFIG_DEBUG_FS` does.
    bool counts_exactly;
    struct pool_model_memory memory;
};

// Null where memory is short or the configuration makes no sense.
struct linux_model *linux_model_create(const struct linux_model_config *config);
void linux_model_destroy(struct linux_model *pool);

// Maps a buffer on behalf of a thread, copying it in whatever its direction.
//
// Returns the first slot, or -1 where no area has a run.
int64_t linux_model_map(
    struct linux_model *pool, uint32_t thread, uint64_t buffer_address, uint64_t byte_count,
    enum pool_model_direction direction);

// Ends the mapping at a slot, copying all of it out unless it is to the device. There is no used
// length.
void linux_model_unmap(
    struct linux_model *pool, uint64_t slot, enum pool_model_direction direction);

uint64_t linux_model_slot_count(const struct linux_model *pool);
uint64_t linux_model_used_slot_count(const struct linux_model *pool);

// Whether every list entry is what counting free slots gives. For tests, while nothing is mapped or
// unmapped.
bool linux_model_is_consistent(const struct linux_model *pool);
