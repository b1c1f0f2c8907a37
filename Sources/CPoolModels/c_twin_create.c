// Making, ending and examining a twin: nothing here is timed.
#include "c_twin_state.h"

#include <stdlib.h>
#include <string.h>

static void *allocate(size_t size) {
    size = (size + cache_line_pair - 1) & ~(size_t)(cache_line_pair - 1);
    void *memory = aligned_alloc(cache_line_pair, size);
    if (memory) memset(memory, 0, size);
    return memory;
}

static bool make_sense(const struct c_twin_config *config) {
    return config->slot_count > 0 && config->slot_count <= 1 << 24 && config->area_count > 0
        && config->area_count <= UINT16_MAX && config->mapper_count > 0
        && config->mapper_count <= UINT16_MAX && config->slot_shift < 31
        && config->segment_shift >= 6 && config->segment_shift <= 15;
}

static bool create_areas(struct c_twin *pool) {
    const uint64_t segments_per_area = pool->segment_count / pool->area_count;
    for (uint32_t index = 0; index < pool->area_count; index++) {
        struct twin_area *area = &pool->areas[index];
        area->first_segment = index * segments_per_area;
        area->segment_count = index + 1 == pool->area_count
            ? pool->segment_count - area->first_segment
            : segments_per_area;
        area->group_count = (area->segment_count + 63) / 64;
        area->hints = allocate(area->group_count * pool->class_count * sizeof *area->hints);
        if (!area->hints) return false;
        for (uint64_t segment = 0; segment < area->segment_count; segment++) {
            pool->area_of_segment[area->first_segment + segment] = (uint16_t)index;
        }
    }
    return true;
}

static void create_mapper(
    struct c_twin *pool, uint32_t index, const struct c_twin_config *config, bool has_barrier
) {
    struct c_twin_mapper *mapper = &pool->mappers[index];
    const struct pool_model_memory *memory = &config->memory;
    const uint64_t segment_slot_count = (uint64_t)1 << pool->segment_shift;
    mapper->pool = pool;
    mapper->records = pool->records;
    mapper->private_address = memory->private_address;
    mapper->private_byte_count = memory->private_byte_count;
    mapper->private_host = (char *)(uintptr_t)memory->private_host_address;
    mapper->window_host = (char *)(uintptr_t)memory->window_host_address;
    mapper->window_address = memory->window_address;
    const uint64_t longest =
        pool->slot_count < segment_slot_count ? pool->slot_count : segment_slot_count;
    mapper->mapping_byte_count_max = longest << pool->slot_shift;
    mapper->area = index % pool->area_count;
    const struct twin_area *area = &pool->areas[mapper->area];
    mapper->own_first_slot = area->first_segment << pool->segment_shift;
    mapper->own_slot_count = area->segment_count << pool->segment_shift;
    mapper->slot_shift = pool->slot_shift;
    mapper->slot_mask = ((uint64_t)1 << pool->slot_shift) - 1;
    mapper->owner = (uint64_t)index << 16 | 1;
    mapper->slot_count = pool->slot_count;
    mapper->has_barrier = has_barrier;
    const uint32_t from_device = 1u << POOL_MODEL_FROM_DEVICE;
    const uint32_t bidirectional = 1u << POOL_MODEL_BIDIRECTIONAL;
    mapper->copied_in_directions =
        1u << POOL_MODEL_TO_DEVICE | bidirectional | (config->prefills ? from_device : 0);
    mapper->copied_out_directions = from_device | bidirectional;
}

struct c_twin *c_twin_create(const struct c_twin_config *config) {
    if (!make_sense(config)) return NULL;
    struct c_twin *pool = allocate(sizeof *pool);
    if (!pool) return NULL;
    pool->slot_count = config->slot_count;
    pool->slot_shift = config->slot_shift;
    pool->segment_shift = config->segment_shift;
    pool->words_per_segment = 1u << (config->segment_shift - 6);
    pool->class_count = config->segment_shift + 1;
    const uint64_t segment_slot_count = (uint64_t)1 << config->segment_shift;
    pool->segment_count = (config->slot_count + segment_slot_count - 1) >> config->segment_shift;
    pool->area_count =
        config->area_count < pool->segment_count ? config->area_count : (uint32_t)pool->segment_count;
    pool->mapper_count = config->mapper_count;
    const uint64_t padded_slot_count = pool->segment_count << pool->segment_shift;
    pool->words = allocate(padded_slot_count / 8);
    pool->records = allocate(padded_slot_count * sizeof *pool->records);
    pool->areas = allocate(pool->area_count * sizeof *pool->areas);
    pool->area_of_segment = allocate(pool->segment_count * sizeof *pool->area_of_segment);
    pool->mappers = allocate(pool->mapper_count * sizeof *pool->mappers);
    if (!pool->words || !pool->records || !pool->areas || !pool->area_of_segment || !pool->mappers
        || !create_areas(pool)) {
        c_twin_destroy(pool);
        return NULL;
    }
    for (uint64_t slot = 0; slot < padded_slot_count; slot++) {
        atomic_init(&pool->records[slot].state, twin_pool_number << 8);
    }
    // Sets bits and hints alike; slots that the last segment has not got are never free.
    for (uint64_t slot = 0; slot < pool->slot_count; slot += segment_slot_count) {
        const uint64_t left = pool->slot_count - slot;
        twin_release(pool, slot, (uint32_t)(left < segment_slot_count ? left : segment_slot_count));
    }
    const bool has_barrier = twin_register_barrier();
    for (uint32_t index = 0; index < pool->mapper_count; index++) {
        create_mapper(pool, index, config, has_barrier);
    }
    return pool;
}

void c_twin_destroy(struct c_twin *pool) {
    if (!pool) return;
    for (uint32_t index = 0; pool->areas && index < pool->area_count; index++) {
        free(pool->areas[index].hints);
    }
    free(pool->words);
    free(pool->records);
    free(pool->areas);
    free(pool->area_of_segment);
    free(pool->mappers);
    free(pool);
}

struct c_twin_mapper *c_twin_mapper_at(struct c_twin *pool, uint32_t index) {
    return index < pool->mapper_count ? &pool->mappers[index] : NULL;
}

struct c_twin_counters c_twin_counters_of(const struct c_twin_mapper *mapper) {
    struct c_twin_counters counters = mapper->counters;
    counters.mapped_slot_count =
        atomic_load_explicit(&mapper->mapped_slot_count, memory_order_relaxed);
    return counters;
}

// Slots in caches that nobody has collected.
static uint64_t cached_slot_count(const struct c_twin *pool, bool *is_consistent) {
    uint64_t count = 0;
    for (uint64_t slot = 0; slot < pool->slot_count; slot++) {
        const uint64_t state = atomic_load(&pool->records[slot].state);
        if ((state & 0xFF) != twin_cached) continue;
        const uint64_t length = twin_slot_count_of(state);
        count += length;
        for (uint64_t part = slot; part < slot + length; part++) {
            if (atomic_load(&pool->words[part / 64]) >> part % 64 & 1) *is_consistent = false;
        }
    }
    return count;
}

uint64_t c_twin_free_slot_count(const struct c_twin *pool) {
    uint64_t count = 0;
    for (uint64_t word = 0; word < pool->segment_count * pool->words_per_segment; word++) {
        count += (uint64_t)__builtin_popcountll(
            atomic_load_explicit(&pool->words[word], memory_order_relaxed));
    }
    return count;
}

uint64_t c_twin_unmapped_slot_count(const struct c_twin *pool) {
    bool ignored = true;
    return c_twin_free_slot_count(pool) + cached_slot_count(pool, &ignored);
}

bool c_twin_is_consistent(const struct c_twin *pool) {
    bool is_consistent = true;
    cached_slot_count(pool, &is_consistent);
    for (uint64_t segment = 0; segment < pool->segment_count; segment++) {
        const struct twin_area *area = &pool->areas[pool->area_of_segment[segment]];
        const uint64_t index = segment - area->first_segment;
        for (uint32_t class = 0; class < pool->class_count; class++) {
            const uint64_t hints =
                atomic_load(&area->hints[index / 64 * pool->class_count + class]);
            // A hint may be set for nothing; one that is missing loses slots.
            if (twin_has_run(pool, segment, 1u << class) && !(hints >> index % 64 & 1)) {
                is_consistent = false;
            }
        }
    }
    return is_consistent;
}
