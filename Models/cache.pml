/*
 * cache: runs which mappers keep for themselves, and which others may take from them.
 *
 * Two slots, runs of one slot each. Mapper 0 and mapper 1 are of the same area and have a cache of
 * two entries each; an entry is a slot and the state that it has if nobody collected it. Mapper 0
 * begins with both slots and maps and unmaps five times in all, in any order; mapper 1 does two
 * times. A map pops its own cache, unless the run on top does not suit it, else claims from the
 * bitmap, else collects its own cache and then all of them, and claims again. An unmap pushes, or
 * gives the slot back to the bitmap. So entries go stale and are collected while being popped.
 *
 * Every plain store goes through the mapper's store buffer (x86-TSO: first in, first out; a mapper
 * sees its own stores); every RMW empties it first, and the heavy barrier empties everybody's.
 *
 * Held to be true:
 *   - no slot has two holders
 *   - no generation of a slot is given out twice: a stale handle is refused
 *   - a slot is freed to the bitmap once
 *   - when all is quiet no slot is lost: it is in the bitmap, or cached and in reach by an entry
 *
 * Edges (SlotTable.swift, RunCaches.swift):
 *   T1  plain store of a state by who gives the slot up: CACHED, behind entry and count; or FREE,
 *       before the bitmap's RMW
 *   T2  CAS of the state by who takes it: CACHED -> MAPPED (popShared), CACHED -> FREE (collect)
 *   C1  pop: plain store of the intent, light barrier, load gate; if nobody collects, plain store
 *       of the state, of the count, and then of no intent
 *   C2  collect of another's cache: RMW gate, heavy barrier, load intent; leaves that slot alone
 *
 * Mutants, which must fail:
 *   MUTANT_FREE_AFTER_RELEASE  state FREE is stored after the bitmap's RMW
 *   MUTANT_NO_INTENT           pop says nothing of its intent
 *   MUTANT_GATE_FIRST          pop looks at the gate before it says its intent
 *   MUTANT_NO_MEMBARRIER       a collector has only its own fence
 *   MUTANT_INTENT_ENDS_EARLY   pop takes its intent back before it stores the state
 *   MUTANT_POP_SHARED_STORE    popShared loads the state and stores it
 *   MUTANT_COLLECT_STORE       collect loads the state and stores it
 *   MUTANT_DROP_CACHED         a push into a full cache drops the top entry though it is cached
 *   MUTANT_SAME_GENERATION     pop leaves the generation as it is
 */

#define DEPTH  2
#define NOBODY 9

#define FREE   0
#define CACHED 1
#define MAPPED 2
#define PHASE(state)      ((state) & 3)
#define GENERATION(state) ((state) >> 2)
#define STATE(phase, generation) ((phase) | ((generation) << 2))

byte state[2] = MAPPED;                   /* of each slot: what all see */
byte entries[4];                    /* of mapper m: 2m, 2m + 1 */
byte counts[2];
byte intents[2];                    /* slot + 1 */
bool in_bitmap[2] = false;
byte collecting = 0;                /* the gate */

byte own_entries[4];                /* what their mapper sees: the only one that stores them */
byte own_counts[2];

/* Store buffers: addresses 0, 1: state; 2...5: entries; 6, 7: counts; 8, 9: intents. An entry is
   one store here, and two in the code: a mixed one fails the exchange, or is right. */
#define STATE_AT(s) (s)
#define ENTRY_AT(i) (2 + (i))
#define COUNT_AT(m) (6 + (m))
#define INTENT_AT(m) (8 + (m))
#define ENTRY(s, state) ((s) | ((state) << 1))
#define SLOT_OF(entry)  ((entry) & 1)
#define STATE_OF(entry) ((entry) >> 1)
chan buffer[2] = [8] of { byte, byte };
byte pending[4];                    /* of mapper m and slot s: stores of the state in the buffer */
byte own_state[4];                  /* the last of them */

byte holder[2] = 0;                 /* ghost */
byte given[2];                      /* ghost: the last generation that was given out */

inline put(me, at, value) {
    atomic {
        buffer[me] ! at, value;
        if
        :: at < 2 -> pending[2 * me + at]++; own_state[2 * me + at] = value
        :: at >= 2 && at < 6 -> own_entries[at - 2] = value
        :: at >= 6 && at < 8 -> own_counts[at - 6] = value
        :: at >= 8
        fi
    }
}

inline flush_one(me, at, value) {
    buffer[me] ? at, value;
    if
    :: at < 2 ->
       state[at] = value;
       pending[2 * me + at]--;
       if :: pending[2 * me + at] == 0 -> own_state[2 * me + at] = 0 :: else fi
    :: at >= 2 && at < 6 -> entries[at - 2] = value
    :: at >= 6 && at < 8 -> counts[at - 6] = value
    :: at >= 8 -> intents[at - 8] = value
    fi;
    at = 0; value = 0
}

inline drain(me) {
    do
    :: len(buffer[me]) > 0 -> flush_one(me, a, v)
    :: else -> break
    od
}

#define SEEN(me, s) (pending[2 * (me) + (s)] > 0 -> own_state[2 * (me) + (s)] : state[s])

inline take(s, me) { assert(holder[s] == NOBODY); holder[s] = me }
inline give(s, me) { assert(holder[s] == me); holder[s] = NOBODY }
inline hand_out(s, g) { assert(g > given[s]); given[s] = g }

/* CAS of a state. */
inline exchange(s, old, new, me, ok) {
    atomic {
        drain(me);
        ok = (state[s] == old);
        if :: ok -> state[s] = new; take(s, me) :: else fi                             /* T2 */
    }
}

#ifdef MUTANT_SAME_GENERATION
#define TAKEN(state) STATE(MAPPED, GENERATION(state))
#else
#define TAKEN(state) STATE(MAPPED, GENERATION(state) + 1)
#endif

/* The top entry of the own cache. */
inline top(me) {
    atomic {
        slot = SLOT_OF(own_entries[2 * me + own_counts[me] - 1]);
        old = STATE_OF(own_entries[2 * me + own_counts[me] - 1])
    }
}

inline got(me) {
    atomic { mine = slot; mine_state = TAKEN(old); hand_out(slot, GENERATION(mine_state)) }
}

/* By plain stores, if nobody collects. */
inline pop(me) {
    if
    :: own_counts[me] > 0 ->
       top(me);
#ifdef MUTANT_GATE_FIRST
       ok = (collecting == 0);
       put(me, INTENT_AT(me), slot + 1);
#else
#ifndef MUTANT_NO_INTENT
       put(me, INTENT_AT(me), slot + 1);
#endif
       ok = (collecting == 0);                                                         /* C1 */
#endif
       if
       :: ok && SEEN(me, slot) == old ->
#ifdef MUTANT_INTENT_ENDS_EARLY
          put(me, INTENT_AT(me), 0);
#endif
          atomic { take(slot, me); put(me, STATE_AT(slot), TAKEN(old)) };
          got(me);
          put(me, COUNT_AT(me), own_counts[me] - 1)
       :: else
       fi;
       put(me, INTENT_AT(me), 0);
       ok = false; slot = 0; old = 0
    :: else
    fi
}

/* By CAS, also while others collect. */
inline pop_shared(me) {
    do
    :: own_counts[me] == 0 -> break
    :: own_counts[me] > 0 -> break                      /* not where the request allows */
    :: own_counts[me] > 0 ->
       top(me);
       put(me, COUNT_AT(me), own_counts[me] - 1);
#ifdef MUTANT_POP_SHARED_STORE
       if
       :: SEEN(me, slot) == old ->
          atomic { take(slot, me); put(me, STATE_AT(slot), TAKEN(old)); ok = true }
       :: else
       fi;
#else
       exchange(slot, old, TAKEN(old), me, ok);
#endif
       if :: ok -> got(me) :: else fi;
       slot = 0; old = 0;
       if :: ok -> ok = false; break :: else fi         /* else collected by somebody */
    od
}

inline push(me) {
    atomic { at = own_counts[me]; pushed = true };
    if
    :: at == DEPTH ->
       top(me);
#ifdef MUTANT_DROP_CACHED
       at--;
#else
       if :: SEEN(me, slot) == old -> pushed = false :: else -> at-- fi;
#endif
       slot = 0; old = 0
    :: else
    fi;
    if
    :: pushed ->
       put(me, ENTRY_AT(2 * me + at), ENTRY(mine, STATE(CACHED, GENERATION(mine_state))));
       put(me, COUNT_AT(me), at + 1);
       atomic {
           give(mine, me);
           put(me, STATE_AT(mine), STATE(CACHED, GENERATION(mine_state)))              /* T1 */
       }
    :: else
    fi;
    at = 0
}

/* The RMW of the bitmap; `old` is what it had been. */
inline bitmap_release(s, me) {
    atomic { drain(me); give(s, me); assert(!in_bitmap[s]); in_bitmap[s] = true }
}

inline free(me) {
#ifdef MUTANT_FREE_AFTER_RELEASE
    bitmap_release(mine, me);
    put(me, STATE_AT(mine), STATE(FREE, GENERATION(mine_state)));
#else
    put(me, STATE_AT(mine), STATE(FREE, GENERATION(mine_state)));                      /* T1 */
    bitmap_release(mine, me);
#endif
}

inline collect_entry(m, i, me) {
    atomic {
        slot = (m == me -> own_entries[2 * m + i] : entries[2 * m + i]);
        old = STATE_OF(slot);
        slot = SLOT_OF(slot)
    };
    if
    :: spared != slot + 1 && PHASE(old) == CACHED ->
#ifdef MUTANT_COLLECT_STORE
       if
       :: SEEN(me, slot) == old ->
          atomic {
              take(slot, me);
              put(me, STATE_AT(slot), STATE(FREE, GENERATION(old)));
              ok = true
          }
       :: else
       fi;
#else
       exchange(slot, old, STATE(FREE, GENERATION(old)), me, ok);
#endif
       if :: ok -> bitmap_release(slot, me); ok = false :: else fi
    :: else
    fi;
    slot = 0; old = 0
}

inline collect_cache(m, me) {
    if :: m != me -> spared = intents[m] :: else fi;                                   /* C2 */
    at = (m == me -> own_counts[m] : counts[m]);
    if :: at > 0 -> collect_entry(m, 0, me) :: else fi;
    if :: at > 1 -> collect_entry(m, 1, me) :: else fi;
    at = 0; spared = 0
}

/* The own cache is collected by a mapper first, and needs no barrier. */
inline collect(me) {
    if :: me == 0 -> collect_cache(0, me) :: else -> collect_cache(1, me) fi;
    atomic { drain(me); collecting++ };                                                /* C2 */
#ifndef MUTANT_NO_MEMBARRIER
    atomic { drain(0); drain(1) };                      /* membarrier(2) */
#endif
    if :: me == 0 -> collect_cache(1, me) :: else -> collect_cache(0, me) fi;
    atomic { drain(me); collecting-- }
}

/* One CAS of the bitmap; then the state, by a plain store, with the next generation. */
inline claim_slot(s, me) {
    atomic {
        drain(me);
        ok = in_bitmap[s];
        if :: ok -> in_bitmap[s] = false; take(s, me) :: else fi
    };
    if
    :: ok ->
       ok = false;
       old = SEEN(me, s);
       atomic {
           mine = s;
           mine_state = STATE(MAPPED, GENERATION(old) + 1);
           hand_out(s, GENERATION(mine_state));
           put(me, STATE_AT(s), mine_state);
           old = 0
       }
    :: else
    fi
}

inline claim(me) {
    claim_slot(0, me);
    if :: mine == NOBODY -> claim_slot(1, me) :: else fi
}

proctype Mapper(byte me; byte rounds) {
    byte slot, old, at, a, v, spared, mine_state, other_state;
    byte mine = NOBODY;
    byte other = NOBODY;                                /* a second slot that it holds */
    bool ok, pushed;
    if
    :: me == 0 ->
       atomic { mine = 0; other = 1; mine_state = STATE(MAPPED, 0); other_state = STATE(MAPPED, 0) }
    :: else
    fi;
    do
    :: rounds > 0 && other == NOBODY ->            /* map */
       atomic { rounds--; other = mine; other_state = mine_state; mine = NOBODY; mine_state = 0 };
       pop(me);
       if :: mine == NOBODY -> pop_shared(me) :: else fi;
       if :: mine == NOBODY -> claim(me) :: else fi;
       if
       :: mine == NOBODY -> collect(me); claim(me)
       :: else
       fi;
       if
       :: mine != NOBODY -> assert(holder[mine] == me)
       :: else -> atomic { mine = other; mine_state = other_state; other = NOBODY; other_state = 0 }
       fi
    :: rounds > 0 && mine != NOBODY ->             /* unmap */
       rounds--;
       if :: push(me) :: true fi;                       /* a slot of another area is not pushed */
       if :: pushed -> pushed = false :: else -> free(me) fi;
       atomic { mine = other; mine_state = other_state; other = NOBODY; other_state = 0 }
    :: rounds == 0 -> break
    od
}

proctype StoreBuffers() {
    byte a, v;
end_idle:
    do
    :: atomic { len(buffer[0]) > 0 -> flush_one(0, a, v) }
    :: atomic { len(buffer[1]) > 0 -> flush_one(1, a, v) }
    od
}

#define IS(entry, s) ((entry) == ENTRY(s, state[s]))
#define HAS(m, s) \
    (counts[m] > 0 && IS(entries[2 * m], s) || counts[m] > 1 && IS(entries[2 * m + 1], s))
#define REACHABLE(s) (in_bitmap[s] || PHASE(state[s]) == CACHED && (HAS(0, s) || HAS(1, s)))

init {
    atomic { run StoreBuffers(); run Mapper(0, 5); run Mapper(1, 2) };
    timeout ->
    assert(holder[0] != NOBODY || REACHABLE(0));              /* none is lost */
    assert(holder[1] != NOBODY || REACHABLE(1));
    assert(holder[0] == NOBODY || !REACHABLE(0) && PHASE(state[0]) == MAPPED);
    assert(holder[1] == NOBODY || !REACHABLE(1) && PHASE(state[1]) == MAPPED);
    assert(!in_bitmap[0] || PHASE(state[0]) == FREE);
    assert(!in_bitmap[1] || PHASE(state[1]) == FREE)
}
