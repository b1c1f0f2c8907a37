/*
 * waiters: the gate, the queue and hand-over, with x86-TSO store buffers.
 *
 * Two slots in two words of the bitmap. Mapper 0 holds slot 0, mapper 1 holds slot 1; they unmap
 * into their caches by a plain store. Mapper 1 also maps a run of both slots, which claims the
 * words in ascending order and rolls back, and collects the caches when its search fails. Waiter 0
 * wants both slots and may be cancelled; waiter 1 wants one.
 *
 * Held to be true:
 *   - when all is quiet no waiter is at the queue's head while its run is free or cached
 *   - waiters are served in the order of their arrival
 *   - a grant is given once; one that races with a cancellation is neither lost nor doubled
 *   - no slot has two holders, none is lost
 *
 * Edges (PoolGate.swift):
 *   G1  whoever frees slots: A then D (unmap into a cache), E then G (all others)
 *   G2  whoever begins to wait: C, then B and F
 * where
 *   A  unmap: plain store CACHED, compiler barrier  -> B  waiter: membarrier, collect
 *   C  waiter: store gate, membarrier               -> D  unmap: load gate, after A
 *   E  RMW on the bitmap (roll-back, collect, release) -> F  search under the lock
 *   C                                               -> G  load gate, after E
 * A/D against C/B is the asymmetric store-buffer pattern: if D was before the membarrier then A is
 * visible at B; else D sees C. E/G against C/F is the ordinary one: E is a full fence.
 *
 * Mutants, which must fail:
 *   MUTANT_NO_MEMBARRIER    the waiter has only its own fence
 *   MUTANT_GATE_FIRST       unmap loads the gate before it stores the state
 *   MUTANT_TRANSITION_ONLY  a release looks at the gate only where nothing was free before it
 *   MUTANT_ROLLBACK_SILENT  a roll-back does not look at the gate
 *   MUTANT_COLLECT_SILENT   a map which collected does not look at the gate
 *   MUTANT_CANCEL_SILENT    a cancelled head does not let the next one be served
 *   MUTANT_GATE_STAYS       the last waiter's cancellation leaves the gate as it is
 *   MUTANT_CANCEL_BLIND     a cancellation does not look whether it was granted
 *   MUTANT_TRYLOCK          a release which finds the lock taken goes away
 *   MUTANT_BARGE            a new waiter tries for itself although others wait
 */

#define FREE   0
#define CACHED 1
#define MAPPED 2

#define NOBODY 9
#define MAPPER(i) (i)          /* 0, 1 */
#define WAITER(w) (2 + (w))    /* 2, 3 */

byte state[2] = MAPPED;        /* phase of the slot's state word */
bool in_bitmap[2] = false;           /* the bitmap: true = free; a word each */
bool gate = false;
bool lock = false;

byte buffered[4] = 0;          /* mapper's store buffer: slot + 1 whose CACHED is not visible yet */

byte queue[2];                 /* under the lock */
byte queued = 0;
bool granted[2] = false;
byte grant[2];                 /* the slots granted: a mask */
byte cancelled = 0;            /* ghost: waiters gone from the queue by cancellation: a mask */
byte arrival[2]; byte arrivals = 0;    /* ghost: order of arrival */

byte holder[2];                /* ghost */

#define WANT(w) (2 - (w))      /* waiter 0 wants two slots, waiter 1 one */

inline drain(m) {
    if
    :: buffered[m] != 0 -> state[buffered[m] - 1] = CACHED; buffered[m] = 0
    :: else
    fi
}

/* An RMW of a mapper drains its store buffer; `m` beyond 1 is a waiter, with nothing in it. */
inline fence(m) { if :: m < 2 -> drain(m) :: else fi }

inline acquire_lock(me) { atomic { !lock -> fence(me); lock = true } }
inline release_lock()   { lock = false }

inline take(s, me) { assert(holder[s] == NOBODY); holder[s] = me }
inline give(s, me) { assert(holder[s] == me); holder[s] = NOBODY }

/* One CAS on the word of slot s. */
inline claim(s, me, ok) {
    atomic {
        fence(me);
        ok = in_bitmap[s];
        if :: ok -> in_bitmap[s] = false; take(s, me); state[s] = MAPPED :: else fi
    }
}

/* One RMW on the word of slot s, its state word being FREE before (same buffer, hence ordered). */
inline release(s, me) {
    atomic {
        fence(me); give(s, me); state[s] = FREE;
        assert(!in_bitmap[s]); in_bitmap[s] = true
    }      /* E, G1 */
}

/* Claims `want` slots, both in ascending order with roll-back. got: mask of the slots. */
inline search(want, me, got, ok, rolled) {
    got = 0;
    claim(0, me, ok);
    if
    :: ok && want == 1 -> got = 1
    :: ok && want == 2 ->
       claim(1, me, ok);
       if
       :: ok -> got = 3
       :: else -> release(0, me); rolled = true
       fi
    :: !ok && want == 1 ->
       claim(1, me, ok);
       if :: ok -> got = 2 :: else fi
    :: else
    fi;
    ok = false
}

/* CACHED -> FREE by CAS, then the bitmap: between the two the slot is in neither. */
inline collect_slot(s, me, ok, any) {
    atomic {
        fence(me);
        ok = (state[s] == CACHED);
        if :: ok -> state[s] = FREE; take(s, me) :: else fi
    }                                                                                    /* B, G2 */
    if
    :: ok -> release(s, me); any = true
    :: else
    fi;
    ok = false
}

inline collect(me, ok, any) { collect_slot(0, me, ok, any); collect_slot(1, me, ok, any) }

/* Under the lock: the head of the queue as long as it fits. */
inline serve(me, got, ok, any, w) {
    collect(me, ok, any);
    do
    :: queued == 0 -> gate = false; break
    :: else ->
       search(WANT(queue[0]), me, got, ok, any);                                         /* F, G2 */
       if
       :: got == 0 -> break
       :: else -> hand_over(queue[0], me, got, w)
       fi
    od;
    any = false; got = 0
}

inline hand_over(who, me, got, w) {
    atomic {
        w = who;
        assert(!granted[w] && !(cancelled & (1 << w)));                     /* given once */
        assert(w == queue[0]);
        assert(queued == 1 || arrival[queue[0]] < arrival[queue[1]]);       /* in order */
        if :: got & 1 -> give(0, me); take(0, WAITER(w)) :: else fi;
        if :: got & 2 -> give(1, me); take(1, WAITER(w)) :: else fi;
        grant[w] = got;
        granted[w] = true;
        queue[0] = queue[1];
        queued--;
        got = 0; w = 0
    }
}

/* What every release does last. */
inline look(me, got, ok, any, w) {
    if
    :: atomic { !gate -> skip }                                                       /* D, G: G1 */
    :: atomic { gate -> skip };
#ifdef MUTANT_TRYLOCK
       if
       :: atomic { lock -> skip }
       :: acquire_lock(me); serve(me, got, ok, any, w); release_lock()
       fi
#else
       acquire_lock(me); serve(me, got, ok, any, w); release_lock()
#endif
    fi
}

/* The hot unmap: a plain store, a compiler barrier, a load. */
inline unmap(s, m, got, ok, any, w) {
#ifdef MUTANT_GATE_FIRST
    early = gate;
    atomic { assert(buffered[m] == 0); give(s, m); buffered[m] = s + 1 };
    if
    :: early -> early = false; acquire_lock(m); serve(m, got, ok, any, w); release_lock()
    :: else
    fi
#else
    atomic {
        assert(buffered[m] == 0);
        give(s, m);
        buffered[m] = s + 1                                                              /* A, G1 */
#ifdef MUTANT_TRANSITION_ONLY
        ; early = (in_bitmap[1 - s] || state[1 - s] == CACHED)
#endif
    };
#ifdef MUTANT_TRANSITION_ONLY
    if :: early -> early = false :: else -> look(m, got, ok, any, w) fi
#else
    look(m, got, ok, any, w)
#endif
#endif
}

/* Unmaps, and may map the same slot again from its cache and unmap it once more. */
proctype Mapper0() {
    byte got, w;
    bool ok, any, early;
    if
    :: true
    :: unmap(0, MAPPER(0), got, ok, any, w);
       if
       :: true
       :: atomic { !gate -> skip };
          atomic {
              fence(0);
              ok = (state[0] == CACHED);
              if :: ok -> state[0] = MAPPED; take(0, MAPPER(0)) :: else fi
          }
          if
          :: ok -> ok = false; unmap(0, MAPPER(0), got, ok, any, w)
          :: else
          fi
       fi
    fi
}

/* Unmaps or keeps its slot; maps a run of both slots, and gives it back. */
proctype Mapper1() {
    byte got, w;
    bool ok, any, rolled, early;
    if
    :: true
    :: unmap(1, MAPPER(1), got, ok, any, w)
    fi;
    if
    :: true
    :: atomic { !gate -> skip };
       search(2, MAPPER(1), got, ok, rolled);
#ifndef MUTANT_ROLLBACK_SILENT
       if :: rolled -> rolled = false; look(MAPPER(1), got, ok, any, w) :: else fi;
#else
       rolled = false;
#endif
       if
       :: got == 0 ->
          collect(MAPPER(1), ok, any);
          search(2, MAPPER(1), got, ok, rolled);
#ifdef MUTANT_COLLECT_SILENT
          any = false;
#endif
#ifdef MUTANT_ROLLBACK_SILENT
          rolled = false;
#endif
          if
          :: any || rolled ->
             any = false; rolled = false;
             early = (got == 3);
             look(MAPPER(1), got, ok, any, w);
             if :: early -> got = 3; early = false :: else fi
          :: else
          fi
       :: else
       fi;
       if
       :: got == 3 ->
          release(0, MAPPER(1));
          release(1, MAPPER(1));
          got = 0;
          look(MAPPER(1), got, ok, any, w)
       :: else
       fi
    fi
}

proctype Waiter(byte self) {
    byte got, w;
    bool ok, any;
    acquire_lock(WAITER(self));
    atomic {
        arrival[self] = arrivals; arrivals++;
        queue[queued] = self; queued++
    };
    gate = true;                                                                         /* C, G2 */
#ifndef MUTANT_NO_MEMBARRIER
    atomic { drain(0); drain(1) };                              /* membarrier(2) */
#endif
#ifdef MUTANT_BARGE
    collect(WAITER(self), ok, any);
    search(WANT(self), WAITER(self), got, ok, any);
    if
    :: got != 0 -> assert(queue[0] == self); got = 0                        /* in order */
    :: else
    fi;
#endif
    serve(WAITER(self), got, ok, any, w);                                             /* B, F: G2 */
    release_lock();

end_asleep:
    if
    :: atomic { granted[self] -> skip }
    :: atomic { self == 0 && !granted[self] -> skip };          /* deadline or cancellation */
       acquire_lock(WAITER(self));
#ifdef MUTANT_CANCEL_BLIND
       atomic {
           cancelled = cancelled | (1 << self);
           if
           :: queued > 0 && queue[0] == self -> queue[0] = queue[1]; queued--
           :: queued == 2 && queue[1] == self -> queued--
           :: else
           fi
       };
       granted[self] = false;
       serve(WAITER(self), got, ok, any, w)
#else
       if
       :: granted[self]                                         /* too late: it keeps the grant */
       :: else ->
          atomic {
              cancelled = cancelled | (1 << self);
              if
              :: queue[0] == self -> queue[0] = queue[1]; queued--
              :: else -> assert(queued == 2 && queue[1] == self); queued--
              fi
          };
#if defined(MUTANT_CANCEL_SILENT)
          if :: queued == 0 -> gate = false :: else fi
#elif defined(MUTANT_GATE_STAYS)
          if :: queued == 0 :: else -> serve(WAITER(self), got, ok, any, w) fi
#else
          serve(WAITER(self), got, ok, any, w)
#endif
       fi
#endif
       ;
       release_lock()
    fi;
    /* Uses what it was granted, and gives it back to the bitmap. */
    if
    :: granted[self] ->
       assert(!(cancelled & (1 << self)));
       if :: grant[self] & 1 -> release(0, WAITER(self)) :: else fi;
       if :: grant[self] & 2 -> release(1, WAITER(self)) :: else fi;
       look(WAITER(self), got, ok, any, w)
    :: else
    fi
}

proctype StoreBuffers() {
end_idle:
    do
    :: atomic { buffered[0] != 0 -> drain(0) }
    :: atomic { buffered[1] != 0 -> drain(1) }
    od
}

#define AVAILABLE(s) (in_bitmap[s] || state[s] == CACHED)

init {
    atomic {
        holder[0] = MAPPER(0); holder[1] = MAPPER(1);
        run StoreBuffers(); run Mapper0(); run Mapper1(); run Waiter(0); run Waiter(1)
    };
    timeout ->
    assert(!lock);
    assert(gate == (queued > 0));
    assert(queued == 0 || WANT(queue[0]) == 2 || (!AVAILABLE(0) && !AVAILABLE(1)));
    assert(queued == 0 || WANT(queue[0]) == 1 || !AVAILABLE(0) || !AVAILABLE(1));
    assert((holder[0] == NOBODY) == AVAILABLE(0));
    assert((holder[1] == NOBODY) == AVAILABLE(1));
    assert(holder[0] < 2 || holder[0] == NOBODY);        /* no grant is lost */
    assert(holder[1] < 2 || holder[1] == NOBODY)
}
