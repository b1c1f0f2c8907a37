/*
 * hints: which classes of runs a segment may have free.
 *
 * One segment of two words of two slots; classes 0, 1, 2 are runs of 1, 2, 4. Slot 0 is free.
 * Releaser 0 gives slot 1 back, releaser 1 slots 2 and 3, so the run of all four only comes about
 * across the words. Two searchers look for a run of a class each, by its hint. The first claims
 * what it finds and gives it back; the second may not have it (its alignment, say). Who finds none
 * clears the hint. At the beginning the hints are right or stale.
 *
 * Held to be true: when all is quiet, the hint of each class is set of which a run is free.
 *
 * Edges (SegmentHints.swift, SlotAllocator.swift):
 *   H1  release: RMW words; load words around; load hint, RMW it if clear
 *   H2  failed search: RMW clears the hint; load words again; set the hint back if there is a run
 * Each is an RMW or a sequentially consistent load, and a load is not delayed past a later one, so
 * nothing is in a store buffer: an interleaving is all that x86-TSO allows.
 *
 * Mutants, which must fail:
 *   MUTANT_NO_SECOND_LOOK   H2 without the second look at the words
 *   MUTANT_HINT_FIRST       H1 looks at the hints before it sets the words
 *   MUTANT_AROUND_FIRST     H1 looks at the words around before it sets its own
 *   MUTANT_ROLLBACK_SILENT  a claim across words which is rolled back sets no hint
 */

byte words = 1;                     /* both, side by side: 1 = free; a step is on one word */
bool hint[3];

#define WORD0 3
#define WORD1 12
#define RUN(c, m) ((c) == 0 && (m) != 0 || (c) == 1 && ((m) & ((m) >> 1)) || (c) == 2 && (m) == 15)

/* One step of growing a run by the free slots next to it. */
#define GROW(slots, free) ((slots) | ((((slots) << 1) | ((slots) >> 1)) & (free)))

/* One after the other: down from a run, then up from it, which with two words is this. */
inline load_words(seen) {
    atomic { seen = words & WORD0 };
    atomic { seen = seen | (words & WORD1) }
}

inline set_words(slots) {
    if
    :: (slots) & WORD0 ->
       atomic { assert(!(words & (slots) & WORD0)); words = words | ((slots) & WORD0) }
    :: else
    fi;
    if
    :: (slots) & WORD1 ->
       atomic { assert(!(words & (slots) & WORD1)); words = words | ((slots) & WORD1) }
    :: else
    fi
}

/* Sets the hints of the classes up to `top`. */
inline set_hints(top, k) {
    k = 0;
    do
    :: k <= top ->
       if
       :: atomic { hint[k] -> skip }
       :: atomic { !hint[k] -> skip }; hint[k] = true
       fi;
       k++
    :: else -> k = 0; break
    od
}

/* The class of the free run around a run: three steps of growing reach all of four slots. */
inline class_around(slots, seen, top) {
    atomic {
        top = (slots);
        top = GROW(top, seen); top = GROW(top, seen); top = GROW(top, seen);
        top = (top == 15 -> 2 : ((top & (top >> 1)) -> 1 : 0));
        seen = 0
    }
}

/* H1. */
inline release(slots, seen, top, k) {
#ifdef MUTANT_AROUND_FIRST
    load_words(seen);
    set_words(slots);
#else
#ifdef MUTANT_HINT_FIRST
    atomic { old = hint[0] | (hint[1] << 1) | (hint[2] << 2) };
#endif
    set_words(slots);
    load_words(seen);
#endif
    class_around(slots, seen, top);
#ifdef MUTANT_HINT_FIRST
    k = 0;
    do
    :: k <= top -> if :: old & (1 << k) :: else -> hint[k] = true fi; k++
    :: else -> k = 0; old = 0; break
    od;
#else
    set_hints(top, k);
#endif
    top = 0
}

/* One CAS on one word. */
inline claim_word(slots, ok) {
    atomic {
        ok = ((words & (slots)) == (slots));
        if :: ok -> words = words & (15 - (slots)) :: else fi
    }
}

inline undo(slots, seen, top, k) {
#ifdef MUTANT_ROLLBACK_SILENT
    set_words(slots)
#else
    release(slots, seen, top, k)
#endif
}

/* Within a word, then across the words. `got`: the slots claimed. */
inline search(class, got, ok, seen, top, k) {
    got = 0;
    if
    :: class == 0 ->
       atomic { got = words & WORD0; got = (got & 1 -> 1 : got); words = words & (15 - got) };
       if
       :: got == 0 ->
          atomic {
              got = words & WORD1;
              got = (got & 4 -> 4 : got);
              words = words & (15 - got)
          }
       :: else
       fi
    :: class == 1 ->
       claim_word(3, ok);
       if
       :: ok -> got = 3
       :: else ->
          claim_word(12, ok);
          if
          :: ok -> got = 12
          :: else ->
             claim_word(2, ok);
             if
             :: ok ->
                claim_word(4, ok);
                if :: ok -> got = 6 :: else -> undo(2, seen, top, k) fi
             :: else
             fi
          fi
       fi
    :: class == 2 ->
       claim_word(3, ok);
       if
       :: ok ->
          claim_word(12, ok);
          if :: ok -> got = 15 :: else -> undo(3, seen, top, k) fi
       :: else
       fi
    fi;
    ok = false
}

proctype Releaser(byte run_) {
    byte seen, top, k, old;
    release(run_, seen, top, k)
}

proctype Searcher(bool claims) {
    byte class, got, seen, top, k, old;
    bool ok;
    if :: class = 0 :: class = 1 :: class = 2 fi;
    do
    :: atomic { !hint[class] -> skip }; break
    :: atomic { hint[class] -> skip };
       if
       :: claims ->
          search(class, got, ok, seen, top, k);
          if
          :: got != 0 -> release(got, seen, top, k); got = 0; break
          :: else
          fi
       :: else
       fi;
       /* Clears the hint if there is nothing that it stands for. */
       load_words(seen);
       if :: RUN(class, seen) -> break :: else -> seen = 0 fi;
       hint[class] = false;                                                            /* H2 */
#ifdef MUTANT_NO_SECOND_LOOK
       break;
#endif
       load_words(seen);
       if :: !RUN(class, seen) -> break :: else -> seen = 0 fi;
       set_hints(class, k)
    od;
    seen = 0; class = 0
}

init {
    atomic {
        hint[0] = true;
        if :: hint[1] = true; hint[2] = true :: true fi;
        run Releaser(2); run Releaser(12); run Searcher(true); run Searcher(false)
    };
    timeout ->
    assert(!RUN(0, words) || hint[0]);
    assert(!RUN(1, words) || hint[1]);
    assert(!RUN(2, words) || hint[2]);
    assert(words == 15)
}
