// Survives the loss of memory that another process shares: a peer that cuts a file short makes every
// access behind the new end raise SIGBUS, which ends a process that does nothing about it.
//
// In C, because a signal handler may do next to nothing: no allocation, no locks, no Swift runtime.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Mappings that can be guarded at once. Those beyond are not.
#define CLOST_CAPACITY 4096

// Installs the handler. Where an access to a guarded mapping raises SIGBUS, the handler puts private
// zero pages there, from the page concerned to the end of the mapping, and marks the mapping; the
// access then succeeds. Any other SIGBUS does what it did before.
//
// Returns 0, or an error number. Once is enough; any thread.
int clost_install(void);

// Guards a mapping, whose pages are of a size that is a power of two.
//
// Returns what names it, or -1 where there is no room. Any thread.
int32_t clost_guard(void *start, size_t byte_count, size_t page_byte_count);

// Forgets a mapping, before it is unmapped. -1 is fine.
void clost_release(int32_t guard);

// Whether a guarded mapping has lost memory; 0 of -1.
int clost_is_lost(int32_t guard);

// How often mappings have lost memory so far: whoever sees it change asks clost_is_lost.
uint32_t clost_count(void);

#ifdef __cplusplus
}
#endif
