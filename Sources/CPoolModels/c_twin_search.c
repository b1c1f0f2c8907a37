// The bitmap, the hints, and collecting of caches: what a map needs that its cache does not serve.
// For syscall(2).
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "c_twin_state.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t load_word(const struct c_twin *pool, uint64_t index) {
    return atomic_load_explicit(&pool->words[index], memory_order_relaxed);
}

static _Atomic uint64_t *hint_word(
    const struct c_twin *pool, const struct twin_area *area, uint64_t segment, uint32_t class
) {
    return &area->hints[(segment - area->first_segment) / 64 * pool->class_count + class];
}

bool twin_has_run(const struct c_twin *pool, uint64_t segment, uint32_t length) {
    const uint64_t first_word = segment * pool->words_per_segment;
    uint32_t run = 0;
    for (uint32_t word = 0; word < pool->words_per_segment; word++) {
        // Sequentially consistent: the look after clearing a hint, see search_segment.
        const uint64_t bits =
            atomic_load_explicit(&pool->words[first_word + word], memory_order_seq_cst);
        if (run + twin_low_ones(bits) >= length) return true;
        if (length <= 64 && twin_run_starts(bits, length) != 0) return true;
        run = bits == UINT64_MAX ? run + 64 : twin_high_ones(bits);
    }
    return false;
}

static int64_t claim_in_word(_Atomic uint64_t *word, uint32_t slot_count, uint64_t starts) {
    uint64_t bits = atomic_load_explicit(word, memory_order_relaxed);
    for (;;) {
        const uint64_t candidates = twin_run_starts(bits, slot_count) & starts;
        if (candidates == 0) return -1;
        const unsigned bit = (unsigned)__builtin_ctzll(candidates);
        // Acquiring: pairs with twin_release, so that the last owner's copies are over.
        if (atomic_compare_exchange_weak_explicit(
                word, &bits, bits & ~(twin_ones(slot_count) << bit), memory_order_acquire,
                memory_order_relaxed)) {
            return bit;
        }
    }
}

// Claims given slots across words in ascending order, or none of them.
static bool claim_across(struct c_twin *pool, uint64_t first, uint32_t slot_count) {
    uint32_t done = 0;
    while (done < slot_count) {
        const uint64_t slot = first + done;
        const uint32_t bit = slot % 64;
        const uint32_t left = slot_count - done;
        const uint32_t count = left < 64 - bit ? left : 64 - bit;
        const uint64_t mask = twin_ones(count) << bit;
        uint64_t bits = load_word(pool, slot / 64);
        do {
            if ((bits & mask) != mask) {
                // A search in between may have cleared hints for want of these.
                if (done > 0) twin_release(pool, first, done);
                return false;
            }
        } while (!atomic_compare_exchange_weak_explicit(
            &pool->words[slot / 64], &bits, bits & ~mask, memory_order_acquire,
            memory_order_relaxed));
        done += count;
    }
    return true;
}

// Claims the lowest run that crosses from one word of a segment into another.
static int64_t claim_crossing(
    struct c_twin *pool, uint64_t segment, uint32_t slot_count, uint32_t stride
) {
    const uint64_t first_word = segment * pool->words_per_segment;
    const uint64_t end_word = first_word + pool->words_per_segment;
    uint64_t word = first_word;
    while (word + 1 < end_word) {
        const unsigned tail = twin_high_ones(load_word(pool, word));
        if (tail == 0) {
            word++;
            continue;
        }
        const uint64_t start = (word * 64 + 64 - tail + stride - 1) & ~(uint64_t)(stride - 1);
        uint64_t end = word * 64 + 64;
        do {
            const unsigned head = twin_low_ones(load_word(pool, ++word));
            end += head;
            if (head < 64) break;
        } while (word + 1 < end_word);
        if (start + slot_count > end) continue;
        if (claim_across(pool, start, slot_count)) return (int64_t)start;
        // Somebody was faster: look again.
        word = first_word;
    }
    return -1;
}

static int64_t claim_in_segment(
    struct c_twin *pool, uint64_t segment, uint32_t slot_count, uint32_t stride
) {
    const uint64_t first_word = segment * pool->words_per_segment;
    if (slot_count <= 64) {
        const uint64_t starts = stride == 1 ? UINT64_MAX : 0x5555555555555555;
        for (uint32_t word = 0; word < pool->words_per_segment; word++) {
            const int64_t bit = claim_in_word(&pool->words[first_word + word], slot_count, starts);
            if (bit >= 0) return (int64_t)((first_word + word) * 64) + bit;
        }
    }
    return claim_crossing(pool, segment, slot_count, stride);
}

static int64_t search_area(
    struct c_twin *pool, const struct twin_area *area, uint32_t slot_count, uint32_t stride
) {
    const uint32_t class = 31 - (uint32_t)__builtin_clz(slot_count);
    for (uint64_t group = 0; group < area->group_count; group++) {
        _Atomic uint64_t *hints = &area->hints[group * pool->class_count + class];
        uint64_t candidates = atomic_load_explicit(hints, memory_order_relaxed);
        for (; candidates != 0; candidates &= candidates - 1) {
            const unsigned bit = (unsigned)__builtin_ctzll(candidates);
            const uint64_t segment = area->first_segment + group * 64 + bit;
            const int64_t slot = claim_in_segment(pool, segment, slot_count, stride);
            if (slot >= 0) return slot;
            if (twin_has_run(pool, segment, 1u << class)) continue;
            // Clear the hint, then look at the words; twin_release sets the words, then looks at
            // the hint: one of the two sees the other.
            const uint64_t mask = (uint64_t)1 << bit;
            atomic_fetch_and_explicit(hints, ~mask, memory_order_seq_cst);
            if (twin_has_run(pool, segment, 1u << class)) {
                atomic_fetch_or_explicit(hints, mask, memory_order_seq_cst);
            }
        }
    }
    return -1;
}

static int64_t claim_from_bitmap(struct c_twin_mapper *mapper, uint32_t slot_count) {
    struct c_twin *pool = mapper->pool;
    // Two slots are a page: page aligned, as in Linux.
    const uint32_t stride = slot_count >= 2 ? 2 : 1;
    int64_t slot = search_area(pool, &pool->areas[mapper->area], slot_count, stride);
    if (slot >= 0) return slot;
    uint32_t area = mapper->area;
    for (uint32_t step = 1; step < pool->area_count; step++) {
        area = area + 1 == pool->area_count ? 0 : area + 1;
        slot = search_area(pool, &pool->areas[area], slot_count, stride);
        if (slot >= 0) {
            mapper->counters.spill_count++;
            return slot;
        }
    }
    return -1;
}

// The length of the free run that a run just released is part of, within its segment.
static uint32_t merged_length(const struct c_twin *pool, uint64_t first, uint32_t slot_count) {
    const uint64_t first_word = first >> pool->segment_shift << (pool->segment_shift - 6);
    const uint64_t end_word = first_word + pool->words_per_segment;
    uint32_t length = slot_count;
    for (uint64_t slot = first;;) {
        uint64_t word = slot / 64;
        uint32_t room = slot % 64;
        if (room == 0) {
            if (word == first_word) break;
            word--;
            room = 64;
        }
        const unsigned ones = twin_high_ones(load_word(pool, word) << (64 - room));
        const unsigned count = ones < room ? ones : room;
        length += count;
        if (count < room) break;
        slot -= count;
    }
    for (uint64_t slot = first + slot_count; slot / 64 < end_word;) {
        const uint32_t room = 64 - slot % 64;
        const unsigned ones = twin_low_ones(load_word(pool, slot / 64) >> (slot % 64));
        const unsigned count = ones < room ? ones : room;
        length += count;
        if (count < room) break;
        slot += count;
    }
    return length;
}

void twin_release(struct c_twin *pool, uint64_t first, uint32_t slot_count) {
    for (uint32_t done = 0; done < slot_count;) {
        const uint64_t slot = first + done;
        const uint32_t bit = slot % 64;
        const uint32_t left = slot_count - done;
        const uint32_t count = left < 64 - bit ? left : 64 - bit;
        const uint64_t mask = twin_ones(count) << bit;
        // Releasing: pairs with claim_in_word and claim_across. Sequentially consistent with the
        // hint below: pairs with search_area.
        const uint64_t old =
            atomic_fetch_or_explicit(&pool->words[slot / 64], mask, memory_order_seq_cst);
        if ((old & mask) != 0) __builtin_trap();
        done += count;
    }
    const uint32_t class = 31 - (uint32_t)__builtin_clz(merged_length(pool, first, slot_count));
    const uint64_t segment = first >> pool->segment_shift;
    const struct twin_area *area = &pool->areas[pool->area_of_segment[segment]];
    const uint64_t mask = (uint64_t)1 << ((segment - area->first_segment) % 64);
    _Atomic uint64_t *hints = hint_word(pool, area, segment, 0);
    for (uint32_t lower = 0; lower <= class; lower++) {
        if ((atomic_load_explicit(&hints[lower], memory_order_seq_cst) & mask) == 0) {
            atomic_fetch_or_explicit(&hints[lower], mask, memory_order_seq_cst);
        }
    }
}

// Frees every cached run of a mapper but the one that it is about to take.
static bool collect_mapper(struct c_twin *pool, struct c_twin_mapper *mapper) {
    bool found = false;
    // The look after the heavy barrier: pairs with pop.
    const uint64_t spared =
        atomic_load_explicit(&mapper->intent, memory_order_acquire) - 1;
    for (uint32_t index = 0; index < twin_cached_slot_count_max; index++) {
        struct twin_stack *stack = &mapper->stacks[index];
        const uint64_t count = atomic_load_explicit(&stack->count, memory_order_relaxed);
        for (uint64_t level = 0; level < count && level < twin_cache_depth; level++) {
            // The two words may be of different moments; the exchange finds out.
            const uint64_t slot =
                atomic_load_explicit(&stack->runs[level].slot, memory_order_relaxed);
            uint64_t state =
                atomic_load_explicit(&stack->runs[level].state, memory_order_relaxed);
            if (slot == spared || (state & 0xFF) != twin_cached) continue;
            // Acquiring: pairs with the store in end, whose copies out are over.
            if (atomic_compare_exchange_strong_explicit(
                    &pool->records[slot].state, &state, twin_free_state(state),
                    memory_order_acq_rel, memory_order_relaxed)) {
                twin_release(pool, slot, twin_slot_count_of(state));
                found = true;
            }
        }
    }
    return found;
}

static bool caches_nothing(const struct c_twin_mapper *mapper) {
    for (uint32_t index = 0; index < twin_cached_slot_count_max; index++) {
        if (atomic_load_explicit(&mapper->stacks[index].count, memory_order_relaxed) > 0) {
            return false;
        }
    }
    return true;
}

bool twin_collect(struct c_twin *pool) {
    uint32_t first = 0;
    while (first < pool->mapper_count && caches_nothing(&pool->mappers[first])) first++;
    if (first == pool->mapper_count) return false;
    // From here on nobody takes a run by plain stores: a pop says what it takes, then looks at the
    // gate; this sets the gate, then looks at what is taken.
    atomic_fetch_add_explicit(&pool->gate, twin_gate_collector, memory_order_seq_cst);
    twin_heavy_barrier();
    bool found = false;
    for (uint32_t index = first; index < pool->mapper_count; index++) {
        if (collect_mapper(pool, &pool->mappers[index])) found = true;
    }
    atomic_fetch_sub_explicit(&pool->gate, twin_gate_collector, memory_order_seq_cst);
    return found;
}

int64_t twin_claim(struct c_twin_mapper *mapper, uint32_t slot_count) {
    struct c_twin *pool = mapper->pool;
    int64_t slot = claim_from_bitmap(mapper, slot_count);
    if (slot >= 0) return slot;
    mapper->counters.collect_count++;
    const bool found = collect_mapper(pool, mapper);
    // Nothing of it is left to be collected behind a heavy barrier, for nothing.
    for (uint32_t index = 0; index < twin_cached_slot_count_max; index++) {
        atomic_store_explicit(&mapper->stacks[index].count, 0, memory_order_relaxed);
    }
    if (found) {
        slot = claim_from_bitmap(mapper, slot_count);
        if (slot >= 0) return slot;
    }
    return twin_collect(pool) ? claim_from_bitmap(mapper, slot_count) : -1;
}

// The longest run among the segments whose hints promise 2^class slots; 0 where none keeps it.
static uint32_t longest_run_of_class(const struct c_twin *pool, uint32_t class) {
    const uint32_t segment_slot_count = 1u << pool->segment_shift;
    uint32_t longest = 0;
    for (uint32_t index = 0; index < pool->area_count; index++) {
        const struct twin_area *area = &pool->areas[index];
        for (uint64_t group = 0; group < area->group_count; group++) {
            uint64_t candidates = atomic_load_explicit(
                &area->hints[group * pool->class_count + class], memory_order_relaxed);
            for (; candidates != 0; candidates &= candidates - 1) {
                const uint64_t segment =
                    area->first_segment + group * 64 + (uint64_t)__builtin_ctzll(candidates);
                uint32_t length = longest == 0 ? 1u << class : longest + 1;
                while (length <= segment_slot_count && twin_has_run(pool, segment, length)) {
                    longest = length++;
                }
            }
        }
    }
    return longest;
}

uint32_t twin_longest_run(const struct c_twin *pool) {
    // From the top down: the longest classes have the fewest segments.
    for (uint32_t class = pool->class_count; class-- > 0;) {
        const uint32_t longest = longest_run_of_class(pool, class);
        if (longest > 0) return longest;
    }
    return 0;
}

bool twin_register_barrier(void) {
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

void twin_heavy_barrier(void) {
    // Fails only where registering did, and then nobody relies on it.
    syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}
