/*
 * quota: a reservation that its owner's quota holds up.
 *
 * The owner may have two slots and has both, which a mapper unmaps. Another mapper of the same
 * owner maps two slots where only shorter runs are free: it counts them against the quota, finds
 * nothing, and takes the count back. Meanwhile a reservation for one slot waits; there are slots
 * for it, so that only the quota holds it up.
 *
 * Held to be true: when all is quiet the reservation was granted.
 *
 * Edges, as G1 and G2 of waiters.pml; all are RMWs or sequentially consistent loads:
 *   G1  giver of a quota: RMW of what is used; load gate
 *   G2  waiter: RMW gate, then load of what is used
 *
 * Mutants, which must fail:
 *   MUTANT_GIVE_SILENT  a map that found no run looks at the gate before it takes its count back
 *   MUTANT_GATE_FIRST   unmap looks at the gate before it gives the quota back
 */

#define QUOTA 2

byte used = 2;
bool gate = false;
bool lock = false;
bool queued = false;
bool granted = false;

#define TAKE(n, ok) atomic { ok = (used + n <= QUOTA); if :: ok -> used = used + n :: else fi }
#define GIVE(n)     atomic { assert(used >= n); used = used - n }                      /* G1 */

/* Under the lock: the reservation is passed over while the quota holds it up. */
inline serve(ok) {
    atomic { !lock -> lock = true };
    if
    :: queued ->
       TAKE(1, ok);
       if :: ok -> ok = false; granted = true; queued = false; gate = false :: else fi
    :: else
    fi;
    lock = false
}

inline look(ok) {
    if
    :: atomic { gate -> skip }; serve(ok)                                              /* G1 */
    :: atomic { !gate -> skip }
    fi
}

proctype Unmapper() {
    bool ok;
#ifdef MUTANT_GATE_FIRST
    look(ok);
    GIVE(2)
#else
    GIVE(2);
    look(ok)
#endif
}

proctype Mapper() {
    bool ok;
    TAKE(2, ok);
    if
    :: ok ->
       ok = false;                  /* the search: no run of two */
#ifdef MUTANT_GIVE_SILENT
       look(ok);
       GIVE(2)
#else
       GIVE(2);
       look(ok)
#endif
    :: else
    fi
}

proctype Waiter() {
    bool ok;
    atomic { !lock -> lock = true };
    queued = true;
    gate = true;                                                                       /* G2 */
    TAKE(1, ok);
    if :: ok -> ok = false; granted = true; queued = false; gate = false :: else fi;
    lock = false
}

init {
    atomic { run Unmapper(); run Mapper(); run Waiter() };
    timeout ->
    assert(!lock && granted && used == 1 && gate == queued)
}
