// What both models have in common.
#pragma once

#include <stdint.h>

// Which way the payload of a mapping goes (`enum dma_data_direction`).
enum pool_model_direction {
    POOL_MODEL_TO_DEVICE,
    POOL_MODEL_FROM_DEVICE,
    POOL_MODEL_BIDIRECTIONAL,
    // No copy whatever the rules of the model: the allocator alone.
    POOL_MODEL_NO_COPY,
};

// Why a buffer was not mapped.
enum pool_model_refusal {
    POOL_MODEL_MAPPED = 0,
    POOL_MODEL_TOO_LARGE,
    POOL_MODEL_OUTSIDE_PRIVATE_MEMORY,
    // Waiters are served first.
    POOL_MODEL_BEHIND_WAITERS,
    POOL_MODEL_EXHAUSTED,
    POOL_MODEL_FRAGMENTED,
};

// The memories of a model. Host addresses are integers, so that the caller need not hold pointers;
// with zeroes there is nothing to copy, and every mapping must be POOL_MODEL_NO_COPY or of no used
// bytes.
struct pool_model_memory {
    // Where buffers may be, guest-physical, and where that is in this process.
    uint64_t private_address;
    uint64_t private_byte_count;
    uint64_t private_host_address;
    // Where the window is, guest-physical, and in this process. Aligned to a segment.
    uint64_t window_address;
    uint64_t window_host_address;
};
