/*
 * gate: direct writes and misaligned requests of several engines, and who wakes whom.
 *
 * Three engines, two with up to two requests and one with one, of either kind, which come at any
 * time, wait in the engine, and end at any time after they have passed. Engine 0 may be destroyed at
 * any time.
 *
 * The word is three variables here; what one read-modify-write does is one atomic step. The queue is
 * under the lock. An event is a count, which its engine takes.
 *
 * Held to be true:
 *   - a direct write and a misaligned request are never under way together
 *   - when all is quiet nobody waits, nothing is counted, and no signal is left
 *   - an engine is in the queue once at most
 *   - an event is signalled once a turn, and never of an engine that does not wait
 *   - an engine that was withdrawn is not signalled any more, and leaves no count
 *
 * Edges (PageCacheGate.swift):
 *   P1  leave: RMW that counts down, and sees the bit and what is left
 *   P2  wait: RMW of the bit, then RMW that takes the count out, then look (serve)
 *   P4  serve: look, then one RMW that counts and, with the last ticket, clears the bit
 *
 * Mutants, which must fail:
 *   MUTANT_LOOK_EARLY     who begins to wait looks before it sets the bit
 *   MUTANT_UNDO_SILENT    who begins to wait takes its count out after it has looked
 *   MUTANT_BARGE          a request passes although engines wait
 *   MUTANT_CLEAR_FIRST    the bit is cleared before the last ticket is counted
 *   MUTANT_LEAVE_BLIND    who leaves does not look at the bit
 *   MUTANT_GRANT_SILENT   an engine that is served is not signalled
 *   MUTANT_GRANT_TWICE    an engine that serves itself is signalled as well
 *   MUTANT_WITHDRAW_SILENT    a destroyed engine does not let those behind it be served
 *   MUTANT_WITHDRAW_FORGETS   a destroyed engine does not give back the turn that it was given
 */

#define DIRECT 0
#define MISALIGNED 1
#define NONE 2
#define ENGINES 3

byte counted[2];               /* the word: requests of each kind, */
bool flag = false;              /* and whether the queue has somebody in it */
bool lock = false;

byte queue[ENGINES];           /* under the lock: engines, */
byte kinds[ENGINES];           /* and what each waits with */
byte queued = 0;
byte event[ENGINES];

byte underway[2];              /* ghost: what is under way in truth */
bool gone[ENGINES] = false;    /* ghost: withdrawn */
byte finished = 0;             /* ghost */

inline acquire_lock() { atomic { !lock -> lock = true } }
inline release_lock() { lock = false }

inline begin(k) { assert(underway[1 - k] == 0); underway[k]++ }

inline signal(e) { atomic { assert(event[e] == 0 && !gone[e]); event[e]++ } }

inline shift() {
    queue[0] = queue[1]; kinds[0] = kinds[1]; queue[1] = queue[2]; kinds[1] = kinds[2];
    queue[2] = 0; kinds[2] = 0; queued--
}

/* Under the lock. ok: whether `self` is served. */
inline serve(self, ok, e) {
    ok = false;
    do
    :: queued > 0 ->
       if
       :: atomic { counted[1 - kinds[0]] != 0 -> break }                            /* P2, P4 */
       :: atomic { counted[1 - kinds[0]] == 0 -> skip };
#ifdef MUTANT_CLEAR_FIRST
          if :: queued == 1 -> flag = false :: else fi;
#endif
          atomic {
              counted[kinds[0]]++;                                                      /* P4 */
              if :: queued == 1 -> flag = false :: else fi;
              begin(kinds[0]);
              e = queue[0];
              shift()
          };
          if
          :: e == self -> ok = true
#ifdef MUTANT_GRANT_TWICE
             ; signal(e)
#endif
          :: else
#ifndef MUTANT_GRANT_SILENT
             -> signal(e)
#endif
          fi;
          e = 0
       fi
    :: else -> break
    od
}

inline enter(self, k, ok, e) {
    atomic {
        ok = (counted[1 - k] == 0
#ifndef MUTANT_BARGE
              && !flag
#endif
              );
        counted[k]++;                                                                   /* P1 */
        if :: ok -> begin(k) :: else fi
    };
    if
    :: ok
    :: else ->
       acquire_lock();
       atomic {
           assert(queued == 0 || queue[0] != self);
           assert(queued < 2 || queue[1] != self);
           queue[queued] = self; kinds[queued] = k; queued++
       };
#ifdef MUTANT_LOOK_EARLY
       counted[k]--;
       serve(self, ok, e);
       if :: queued > 0 -> flag = true :: else fi;
#else
       if :: queued == 1 -> flag = true :: else fi;                                      /* P2 */
#ifdef MUTANT_UNDO_SILENT
       serve(self, ok, e);
       counted[k]--;
#else
       counted[k]--;                                                                    /* P2 */
       serve(self, ok, e);
#endif
#endif
       release_lock()
    fi
}

/* n requests of kind k are over. */
inline leave(self, k, n, ok, e) {
    atomic {
        underway[k] = underway[k] - n;
        counted[k] = counted[k] - n;                                                    /* P1 */
        ok = (flag && counted[0] == 0 && counted[1] == 0)
    };
#ifdef MUTANT_LEAVE_BLIND
    ok = false;
#endif
    if
    :: ok -> acquire_lock(); serve(self, ok, e); release_lock()
    :: else
    fi
}

inline withdraw(self, k, ok, e) {
    acquire_lock();
    if
    :: queued > 0 && queue[0] == self -> atomic { shift(); e = 1 }
    :: queued > 1 && queue[1] == self ->
       atomic {
           queue[1] = queue[2]; kinds[1] = kinds[2]; queue[2] = 0; kinds[2] = 0; queued--; e = 1
       }
    :: queued > 2 && queue[2] == self -> atomic { queue[2] = 0; kinds[2] = 0; queued--; e = 1 }
    :: else                                                             /* it has been served */
    fi;
    if
    :: e == 1 -> e = 0; if :: queued == 0 -> flag = false :: else fi
    :: else ->
#ifndef MUTANT_WITHDRAW_FORGETS
       atomic { underway[k]--; counted[k]-- }
#else
       atomic { underway[k]-- }
#endif
    fi;
    gone[self] = true;
#ifndef MUTANT_WITHDRAW_SILENT
    serve(self, ok, e);
#endif
    assert(!ok);
    release_lock()
}

/* GateQueue: what waits in an engine, at most two, in order. */
proctype Engine(byte self, todo) {
    byte e, k;
    byte passed[2];
    byte waiting = 0;
    byte first = NONE, second = NONE;       /* kinds of those that wait */
    byte turn = NONE;
    bool ok, first_counted;

main_loop:
    do
    :: todo > 0 ->                                          /* a request comes */
       atomic {
           todo--;
           if :: k = DIRECT :: k = MISALIGNED fi;
           if :: waiting == 0 -> first = k :: else -> second = k fi;
           waiting++; k = 0
       };
       if :: waiting == 1 -> goto next :: else fi
    :: passed[0] + passed[1] > 0 ->                         /* one ends */
       atomic { if :: passed[0] > 0 -> k = 0 :: else -> k = 1 fi; passed[k]-- };
       leave(self, k, 1, ok, e);
       k = 0;
       if :: ok -> ok = false; assert(waiting > 0); first_counted = true; goto next :: else fi
    :: atomic { event[self] > 0 -> event[self]-- };         /* woken */
       assert(waiting > 0);
       first_counted = true;
       goto next
    :: self == 0 -> break                                   /* destroyed */
    :: todo == 0 && passed[0] + passed[1] + waiting == 0 -> break
    od;
    if
    :: waiting > 0 -> withdraw(self, first, ok, e)
    :: else
    fi;
    if
    :: passed[0] + passed[1] > 0 ->
       atomic {
           assert(passed[0] == 0 || passed[1] == 0);
           if :: passed[0] > 0 -> k = 0 :: else -> k = 1 fi
       };
       leave(self, k, passed[k], ok, e);
       assert(!ok)
    :: else
    fi;
    finished++;
    goto done;

next:
    do
    :: waiting > 0 ->
       if
       :: first_counted -> first_counted = false
       :: !first_counted && turn == first -> atomic { counted[first]++; begin(first) }
       :: else ->
          enter(self, first, ok, e);
          if :: ok -> ok = false :: else -> break fi
       fi;
       atomic {
           turn = first; passed[first]++;
           first = second; second = NONE; waiting--
       }
    :: else -> break
    od;
    turn = NONE;
    goto main_loop;
done:
    skip
}

init {
    atomic { run Engine(0, 2); run Engine(1, 2); run Engine(2, 1) };
    timeout ->
    assert(finished == ENGINES);
    assert(!lock && !flag && queued == 0);
    assert(counted[0] == 0 && counted[1] == 0 && underway[0] == 0 && underway[1] == 0);
    assert(event[1] == 0 && event[2] == 0)
}
