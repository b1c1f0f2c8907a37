/*
 * pop-waiters: a run that a mapper is about to take is spared by a waiter's collector.
 *
 * One slot, in the mapper's cache. The mapper pops it by plain stores unless the gate says that
 * somebody collects or waits (C1, cache.pml). A waiter sets the gate, issues the heavy barrier,
 * collects (C2) and searches. If the collector spares the run because of the mapper's intent, and
 * the mapper then leaves it because of the gate, the run stays cached and nobody looks again: so a
 * mapper that gives its intent up looks at the gate once more, and serves. A mapper that took the
 * run unmaps it later.
 *
 * Held to be true: when all is quiet the waiter was granted the run; nobody else holds it then.
 *
 * Edges: C1, C2 of cache.pml; G1, G2 of waiters.pml. G1 here: the plain store of no intent, light
 * barrier, load gate.
 *
 * Mutants, which must fail:
 *   MUTANT_REFUSED_SILENT  a mapper that gives its intent up because others wait is refused at once
 *   MUTANT_SERVE_SPARES    it serves before it takes its intent back
 */

#define CACHED 1
#define MAPPED 2
#define FREE   0

byte state = CACHED;
bool intent = false;
bool in_bitmap = false;
bool waits = false;                 /* the gate: somebody waits, */
byte collecting = 0;                /* and so many collect */
bool lock = false;
bool queued = false;
bool granted = false;
bool held = false;                  /* ghost */

/* The mapper's store buffer: address 0 is the state, 1 the intent. */
chan buffer = [4] of { bit, byte };

inline flush_one(at, value) {
    buffer ? at, value;
    if :: at == 0 -> state = value :: else -> intent = value fi;
    at = 0; value = 0
}

inline drain(at, value) {
    do
    :: len(buffer) > 0 -> flush_one(at, value)
    :: else -> break
    od
}

/* Under the lock. The mapper itself may call it: RMWs empty its buffer. */
inline serve(at, value, ok) {
    atomic { !lock -> lock = true; drain(at, value) };
    if
    :: queued ->
       collecting++;
       atomic { drain(at, value) };                                      /* heavy barrier: C2 */
       if
       :: atomic { !intent -> skip };
          atomic { ok = (state == CACHED); if :: ok -> state = FREE :: else fi };
          if :: ok -> in_bitmap = true :: else fi
       :: atomic { intent -> skip }
       fi;
       collecting--;
       atomic { ok = in_bitmap; if :: ok -> in_bitmap = false; assert(!held) :: else fi };
       if
       :: ok -> ok = false; granted = true; queued = false; waits = false
       :: else
       fi
    :: else
    fi;
    lock = false
}

proctype Mapper() {
    bit at;
    byte value;
    bool ok, mine;
    buffer ! 1, true;
    mine = (!waits && collecting == 0);                                  /* C1 */
    if
    :: mine -> mine = (state == CACHED)
    :: else
    fi;
    if
    :: mine ->
       atomic { assert(!held && !granted); held = true; buffer ! 0, MAPPED };
       buffer ! 1, false;
       atomic { held = false; buffer ! 0, CACHED };                      /* unmap: T1 */
       if :: waits -> serve(at, value, ok) :: else fi                    /* G1 */
    :: else ->
#ifdef MUTANT_SERVE_SPARES
       if :: waits -> serve(at, value, ok) :: else fi;
       buffer ! 1, false
#else
       buffer ! 1, false;
#ifndef MUTANT_REFUSED_SILENT
       if :: waits -> serve(at, value, ok) :: else fi                    /* G1 */
#endif
#endif
    fi
}

proctype Waiter() {
    bit at;
    byte value;
    bool ok;
    atomic { !lock -> lock = true };
    queued = true;
    lock = false;
    waits = true;
    atomic { drain(at, value) };                                         /* heavy barrier: G2 */
    serve(at, value, ok)
}

proctype StoreBuffer() {
    bit at;
    byte value;
end_idle:
    do
    :: atomic { len(buffer) > 0 -> flush_one(at, value) }
    od
}

init {
    atomic { run StoreBuffer(); run Mapper(); run Waiter() };
    timeout ->
    assert(granted && !held && !lock && collecting == 0 && waits == queued)
}
