/* A read-write lock in user space that follows kernel/locking/rwsem.c (5.11 to 6.18) rule by rule, so
 * that a downgrade can be measured where the kernel's own mmap_lock cannot be cut. One count word, a
 * first-come list of waiters under a small spin lock, futex sleep, optional spinning of writers. */
#ifndef PERFMODEL_BENCH_RWSEM_H
#define PERFMODEL_BENCH_RWSEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The count word: bit 0 a writer has the lock, bit 1 somebody is in the list, bit 2 the first in the
 * list may not be passed, bits 8 and up the number of readers. Bits 3 to 7 are free, as in the kernel.
 * Its guard against more readers than fit (bit 63) is left out: 2^54 threads do not exist here. */
#define RWSEM_WRITER 1
#define RWSEM_WAITERS 2
#define RWSEM_HANDOFF 4
#define RWSEM_READER 256 /* one reader */
#define RWSEM_READER_SHIFT 8

#define RWSEM_MOST_WOKEN 256	     /* readers let in by one wake-up (MAX_READERS_WAKEUP) */
#define RWSEM_HANDOFF_NS 4000000	     /* waiting longer than this forbids passing (HZ/250) */
#define RWSEM_SPIN_BASE_NS 10000	     /* a writer spins on readers for 10 us ... */
#define RWSEM_SPIN_EACH_NS 500	     /* ... and half a us for each reader, */
#define RWSEM_SPIN_READERS 30	     /* of whom 30 count at most */

/* A broken rule, chosen when the program is built (-DRWSEM_BREAK=RWSEM_BREAK_...): the stress test
 * must notice each one, or it tests nothing. */
#define RWSEM_BREAK_NOTHING 0
#define RWSEM_BREAK_DOWNGRADE_WAKE 1  /* a downgrade wakes nobody */
#define RWSEM_BREAK_WAITERS_BIT 2     /* who queues does not set the waiters bit */
#define RWSEM_BREAK_DOWNGRADE_GAP 3   /* a downgrade gives the lock up and takes it again */
#define RWSEM_BREAK_WRITER_HEADS 4    /* readers are woken past a writer at the head, under readers */
#define RWSEM_BREAK_READ_WAKE 5       /* the last reader wakes nobody */
#define RWSEM_BREAK_ACQUIRE 6	      /* taking the lock orders nothing: only the sanitizer can tell */
#define RWSEM_BREAK_MOST_WOKEN 7      /* no limit on the readers of one wake-up */
#define RWSEM_BREAK_JUMP 8	      /* readers behind a queued writer are not woken with the first */
#define RWSEM_BREAK_HANDOFF 9	      /* the handoff bit is never cleared */
#ifndef RWSEM_BREAK
#define RWSEM_BREAK RWSEM_BREAK_NOTHING
#endif

/* One for each thread that uses locks; it may wait for one lock at a time. Lives as long as the
 * lock: a late waker may still touch `word`. */
struct rwsem_task {
	struct rwsem_task *before, *after; /* in the list; under its spin lock */
	uint64_t patience_ends;		   /* when the handoff may be asked for; same */
	bool writes;			   /* waits for writing; same */
	bool heads_handoff;		   /* the handoff bit was set for this one; same, then its own */
	_Atomic uint32_t word;		   /* futex: 0 is asleep or about to be */
	_Atomic uint32_t granted;	   /* a reader's: the lock is its own */
	uint32_t number;		   /* 1 and up, another one for each thread */
	_Atomic int cpu;		   /* where it was when it last took a lock for writing */

	/* Of the last acquisition, for the owner of this structure alone. */
	bool waited;	  /* went through the list */
	uint64_t wait_ns; /* from the failed first attempt until it runs with the lock */
	uint64_t wakes;	  /* sleepers that this thread has woken, all in all */
};

struct rwsem {
	_Atomic int64_t count;
	_Atomic uint64_t owner; /* a writer's rwsem_task; or that readers have it, see rwsem.c */
	_Atomic uint32_t list_lock;
	_Atomic uint32_t spinner; /* one writer spins on the lock at a time, the others on this */
	struct rwsem_task *first, *last;
	bool spin; /* writers spin (CONFIG_RWSEM_SPIN_ON_OWNER); set before use */
};

void rwsem_init(struct rwsem *sem, bool spin);
void rwsem_task_init(struct rwsem_task *me, uint32_t number);

void rwsem_down_read(struct rwsem *sem, struct rwsem_task *me);
bool rwsem_down_read_trylock(struct rwsem *sem, struct rwsem_task *me);
void rwsem_up_read(struct rwsem *sem, struct rwsem_task *me);
void rwsem_down_write(struct rwsem *sem, struct rwsem_task *me);
bool rwsem_down_write_trylock(struct rwsem *sem, struct rwsem_task *me);
void rwsem_up_write(struct rwsem *sem, struct rwsem_task *me);
/* From writing to reading without a moment in between in which another writer could come. */
void rwsem_downgrade(struct rwsem *sem, struct rwsem_task *me);

/* For tests: how many are in the list, and the count word. */
int rwsem_waiting(struct rwsem *sem);
int64_t rwsem_count(struct rwsem *sem);

#endif
