/*
 * hints-waiters: a waiter's search and a hint which is clear for a moment.
 *
 * One segment, one class. `free_run` is the truth: the segment's words hold a free run of that
 * class. `hint` is the segment's bit of that class. The hint protocol alone loses no hint
 * (hints.pml), but between [clear hint] and [set it back] a search sees nothing although a run is
 * free. Nobody releases anything when the hint is set back, so a waiter which searched in that
 * moment would sleep on. Hence everybody who has searched looks at the gate afterwards, and
 * serves; and a release looks at the gate after it has set the hint. A search under the queue's
 * lock is like any other: it uses the hints, and looks at the segment again after it has set one
 * back.
 *
 * Held to be true: when all is quiet the waiter was granted the run, and no hint is lost.
 *
 * Mutants, which must fail:
 *   MUTANT_SEARCH_SILENT     a search does not look at the gate afterwards
 *   MUTANT_GATE_BEFORE_HINT  a release looks at the gate before it sets the hint
 *   MUTANT_NO_SECOND_LOOK    a search does not look at the words again after clearing the hint
 *
 * Edges (SegmentHints.swift, PoolGate.swift):
 *   H1  A  release: RMW words           -> B  search: second look at the words
 *   H2  C  search:  RMW clear hint      -> D  release: load hint
 *   G1  E  release, search: load gate, after the hint is set
 *   G2  F  waiter: RMW gate, before it searches
 * All are RMWs or sequentially consistent loads; no plain store matters here (no store buffers).
 */

bool free_run = false; /* the segment's words hold a run of the class */
bool hint = true;      /* stale: no run yet */
bool gate = false;     /* waiters exist */
bool lock = false;     /* the queue's lock */
bool queued = false;   /* the waiter is in the queue (under the lock) */
bool granted = false;

#define LOCK    atomic { !lock -> lock = true }
#define UNLOCK  lock = false

/* Looks for a run by the hint; takes it, if `takes`, by one CAS. */
inline search(takes, found) {
    found = false;
    do
    :: atomic { !hint -> skip }; break
    :: atomic { hint -> skip };
       if
       :: atomic { takes && free_run -> free_run = false; found = true }; break
       :: atomic { !takes && free_run -> skip }; break
       :: atomic { !free_run -> skip };
          hint = false;                                       /* C, H2 */
#ifdef MUTANT_NO_SECOND_LOOK
          break;
#endif
          if
          :: atomic { free_run -> skip };                     /* B, H2 */
             hint = true
          :: atomic { !free_run -> skip }; break
          fi
       fi
    od
}

/* Under the lock: the head of the queue, if there is one. */
inline serve(found) {
    LOCK;
    if
    :: queued ->
       search(true, found);
       if
       :: found -> assert(!granted); granted = true; queued = false; gate = false
       :: else
       fi
    :: else
    fi;
    UNLOCK
}

/* Gives a run back: bitmap, hint, gate, in this order. */
proctype Releaser() {
    bool found, waiting;
    free_run = true;                                          /* A, H1 */
#ifdef MUTANT_GATE_BEFORE_HINT
    waiting = gate;
#endif
    if
    :: atomic { !hint -> skip }; hint = true             /* D, H1 */
    :: atomic { hint -> skip }
    fi;
#ifndef MUTANT_GATE_BEFORE_HINT
    waiting = gate;                                      /* E, G1 */
#endif
    if :: waiting -> serve(found) :: else fi
}

/* A map for a longer run of the same class (3 slots search class 1, as 2 slots do): it takes
   nothing, is refused, and may have cleared the hint and set it back. */
proctype Searcher() {
    bool found, waiting;
    search(false, found);
#ifndef MUTANT_SEARCH_SILENT
    waiting = gate;                                      /* E, G1 */
    if :: waiting -> serve(found) :: else fi
#endif
}

proctype Waiter() {
    bool found;
    LOCK;
    queued = true;
    gate = true;                                         /* F, G2 */
    search(true, found);
    if
    :: found -> granted = true; queued = false; gate = false
    :: else
    fi;
    UNLOCK;
end_asleep:
    granted
}

init {
    atomic { run Releaser(); run Searcher(); run Waiter() };
    timeout ->
    assert(!lock);
    assert(granted);                                     /* no lost wake-up */
    assert(!free_run || hint)                                 /* no lost hint */
}
