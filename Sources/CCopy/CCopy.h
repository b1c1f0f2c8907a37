// The copy of a bounce, for payloads whose target is not in cache; and what frames of a network need,
// which begin at any address.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
// PREFETCHW: a processor without it takes it for a NOP. The compiler's builtin emits it only for
// processors that are known to have it.
#define CCOPY_PREFETCH_FOR_WRITE(address) \
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)(address)))
#else
#define CCOPY_PREFETCH_FOR_WRITE(address) __builtin_prefetch((address), 1)
#endif

// How far ahead of the stores lines are asked for, in bytes; docs/performance.md has what other
// distances do.
#define CCOPY_DISTANCE 1024

// Copies like memcpy(3), and asks for the lines of the target ahead of the stores to them: a store
// to a line that is not in cache waits for the line, and processors fetch ahead for loads only.
static inline void ccopy_into_cold(void *target, const void *source, size_t count) {
    typedef char Vector __attribute__((vector_size(16), aligned(1), may_alias));
    enum { step = 128, worthwhile = 4096 };
    if (count < worthwhile) {
        memcpy(target, source, count);
        return;
    }
    char *to = (char *)target;
    const char *from = (const char *)source;
    for (size_t line = 0; line < CCOPY_DISTANCE; line += 64) CCOPY_PREFETCH_FOR_WRITE(to + line);
    size_t done = 0;
    for (; count - done >= step; done += step) {
        if (count - done > CCOPY_DISTANCE) {
            // The second may lie past the end, where a prefetch does no harm.
            CCOPY_PREFETCH_FOR_WRITE(to + done + CCOPY_DISTANCE);
            CCOPY_PREFETCH_FOR_WRITE(to + done + CCOPY_DISTANCE + 64);
        }
        const Vector *in = (const Vector *)(from + done);
        Vector *out = (Vector *)(to + done);
        Vector v0 = in[0], v1 = in[1], v2 = in[2], v3 = in[3];
        Vector v4 = in[4], v5 = in[5], v6 = in[6], v7 = in[7];
        out[0] = v0, out[1] = v1, out[2] = v2, out[3] = v3;
        out[4] = v4, out[5] = v5, out[6] = v6, out[7] = v7;
    }
    memcpy(to + done, from + done, count - done);
}

// Asks for the line of an address, to be read or to be written. Harmless for any address.
static inline void ccopy_prefetch(const void *address) { __builtin_prefetch(address, 0); }
static inline void ccopy_prefetch_for_write(const void *address) { CCOPY_PREFETCH_FOR_WRITE(address); }

// Words at any address, in one load or one store each: volatile, so that the compiler neither tears nor
// repeats them.
struct ccopy_word64 { uint64_t value; } __attribute__((packed, may_alias));
struct ccopy_word32 { uint32_t value; } __attribute__((packed, may_alias));
struct ccopy_word16 { uint16_t value; } __attribute__((packed, may_alias));

static inline uint64_t ccopy_load64(const void *address) {
    return ((const volatile struct ccopy_word64 *)address)->value;
}
static inline uint32_t ccopy_load32(const void *address) {
    return ((const volatile struct ccopy_word32 *)address)->value;
}
static inline void ccopy_store64(void *address, uint64_t value) {
    ((volatile struct ccopy_word64 *)address)->value = value;
}
static inline void ccopy_store32(void *address, uint32_t value) {
    ((volatile struct ccopy_word32 *)address)->value = value;
}
static inline void ccopy_store16(void *address, uint16_t value) {
    ((volatile struct ccopy_word16 *)address)->value = value;
}

// Reads every byte, and adds them up as words of 64 bits in the byte order of the machine, the last one
// filled up with zeroes: what a reader costs who does nothing else.
static inline uint64_t ccopy_sum(const void *source, size_t count) {
    const struct ccopy_word64 *words = (const struct ccopy_word64 *)source;
    uint64_t sum = 0, last = 0;
    size_t whole = count / 8;
    for (size_t i = 0; i < whole; i++) sum += words[i].value;
    if (count % 8 != 0) memcpy(&last, words + whole, count % 8);
    return sum + last;
}
