#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Every state that a piece of memory goes through: what another process would find there if this one
// were killed at that moment. No store is missed and none has to be announced: the pages are
// write-protected, and a store that faults is let through alone, one instruction.
//
// One thread at a time, x86-64 only.

// Whether it works here.
bool store_trace_works(void);

// From now on appends a copy of the memory to `states` after each instruction of this thread that
// changes it, as long as there is room.
//
// address, byte_count: whole pages. traced_byte_count: how much of them is copied, from the start.
bool store_trace_begin(
    uint64_t address, size_t byte_count, size_t traced_byte_count, uint64_t states,
    size_t state_count_max);

// Ends that, and says how many states there were; more than the maximum means that some were lost.
size_t store_trace_end(void);
