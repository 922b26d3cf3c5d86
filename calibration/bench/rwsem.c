/* See rwsem.h. Each part says which rule of the kernel it follows, and where it cannot: user space does
 * not know whether the owner of a lock runs, nor that its own time slice is over. */
#include "common.h"
#include "rwsem.h"

#include <linux/futex.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OWNER_READERS 1u	 /* readers have it; the number says who was the first to say so */
#define OWNER_NO_SPIN 2u	 /* a writer gave up spinning on these readers: nobody tries again */
#define OWNER_SHIFT 2

/* A gap as long as this between two looks of a spinning thread means that it lost its CPU. */
#define LOST_CPU_NS 50000

#define BUSY (RWSEM_WRITER | ~(int64_t)(RWSEM_READER - 1)) /* a writer or any reader */

#if RWSEM_BREAK == RWSEM_BREAK_ACQUIRE
#define ACQUIRE memory_order_relaxed
#else
#define ACQUIRE memory_order_acquire
#endif

void rwsem_init(struct rwsem *sem, bool spin)
{
	atomic_init(&sem->count, 0);
	atomic_init(&sem->owner, 0);
	atomic_init(&sem->list_lock, 0);
	atomic_init(&sem->spinner, 0);
	sem->first = sem->last = NULL;
	sem->spin = spin;
}

void rwsem_task_init(struct rwsem_task *me, uint32_t number)
{
	*me = (struct rwsem_task){ .number = number };
	atomic_init(&me->word, 0);
	atomic_init(&me->granted, 0);
	atomic_init(&me->cpu, -1);
}

/* ---- the list and its lock ----------------------------------------------------------------- */

/* The kernel holds it with preemption off; here its holder may lose the CPU, so wait politely. */
static void list_lock(struct rwsem *sem)
{
	for (unsigned tries = 1; atomic_exchange_explicit(&sem->list_lock, 1, memory_order_acquire);)
		while (atomic_load_explicit(&sem->list_lock, memory_order_relaxed)) {
			cpu_relax();
			if (!(++tries % 64))
				sched_yield();
		}
}

static void list_unlock(struct rwsem *sem)
{
	atomic_store_explicit(&sem->list_lock, 0, memory_order_release);
}

static void list_append(struct rwsem *sem, struct rwsem_task *task)
{
	task->before = sem->last;
	task->after = NULL;
	if (sem->last)
		sem->last->after = task;
	else
		sem->first = task;
	sem->last = task;
}

static void list_remove(struct rwsem *sem, struct rwsem_task *task)
{
	if (task->before)
		task->before->after = task->after;
	else
		sem->first = task->after;
	if (task->after)
		task->after->before = task->before;
	else
		sem->last = task->before;
}

int rwsem_waiting(struct rwsem *sem)
{
	int n = 0;

	list_lock(sem);
	for (struct rwsem_task *task = sem->first; task; task = task->after)
		n++;
	list_unlock(sem);
	return n;
}

int64_t rwsem_count(struct rwsem *sem)
{
	return atomic_load_explicit(&sem->count, memory_order_relaxed);
}

/* ---- sleeping and waking ------------------------------------------------------------------- */

#define MOST_WOKEN (RWSEM_BREAK == RWSEM_BREAK_MOST_WOKEN ? 4096 : RWSEM_MOST_WOKEN)

/* Whom to wake once the list's lock is free again (wake_q of the kernel). */
struct wakes {
	int n;
	struct rwsem_task *task[MOST_WOKEN];
};

/* Says "about to sleep". A condition looked at after this cannot change without `word` becoming 1:
 * both sides are sequentially consistent (set_current_state and its barrier in the kernel). */
static void about_to_sleep(struct rwsem_task *me)
{
	atomic_store(&me->word, 0);
}

static void sleep_until_woken(struct rwsem_task *me)
{
	syscall(SYS_futex, &me->word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static void wake_all(struct wakes *wakes, struct rwsem_task *me)
{
	for (int i = 0; i < wakes->n; i++) {
		atomic_store(&wakes->task[i]->word, 1);
		syscall(SYS_futex, &wakes->task[i]->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
	me->wakes += (uint64_t)wakes->n;
	wakes->n = 0;
}

/* ---- the owner: only spinning looks at it --------------------------------------------------- */

static uint64_t owner_of(struct rwsem *sem)
{
	/* Who follows the pointer must see the task as its thread made it. */
	return atomic_load_explicit(&sem->owner, memory_order_acquire);
}

static void owner_is_writer(struct rwsem *sem, struct rwsem_task *me)
{
	/* Where a later spinner finds the owner last: on the spinner's own CPU it cannot be running. */
	if (sem->spin)
		atomic_store_explicit(&me->cpu, sched_getcpu(), memory_order_relaxed);
	atomic_store_explicit(&sem->owner, (uint64_t)(uintptr_t)me, memory_order_release);
}

static void owner_is_readers(struct rwsem *sem, const struct rwsem_task *one)
{
	uint64_t keep = owner_of(sem) & OWNER_NO_SPIN;

	atomic_store_explicit(&sem->owner,
			      (uint64_t)one->number << OWNER_SHIFT | OWNER_READERS | keep,
			      memory_order_relaxed);
}

static void forbid_spinning(struct rwsem *sem)
{
	uint64_t owner = owner_of(sem);

	while ((owner & OWNER_READERS) && !(owner & OWNER_NO_SPIN))
		if (atomic_compare_exchange_weak_explicit(&sem->owner, &owner,
							  owner | OWNER_NO_SPIN,
							  memory_order_relaxed,
							  memory_order_relaxed))
			return;
}

static void allow_spinning(struct rwsem *sem)
{
	uint64_t owner = owner_of(sem);

	while (owner & OWNER_NO_SPIN)
		if (atomic_compare_exchange_weak_explicit(&sem->owner, &owner,
							  owner & ~(uint64_t)OWNER_NO_SPIN,
							  memory_order_relaxed,
							  memory_order_relaxed))
			return;
}

/* ---- whom a release lets in (rwsem_mark_wake) ------------------------------------------------ */

enum wake {
	WAKE_ANY,	 /* the lock is free: a reader at the head is granted it, a writer is woken */
	WAKE_READERS,	 /* readers have it and more of them may come in */
	WAKE_READ_OWNED, /* the caller has it for reading: no need to secure it first */
};

/* With the list's lock held. Grants the lock to readers, takes them off the list; only marks a writer,
 * who stays in the list and must take the lock by itself. */
static void mark_wake(struct rwsem *sem, enum wake wake, struct wakes *wakes)
{
	struct rwsem_task *first = sem->first, *next;
	int64_t change = 0, old;

	if (!first)
		return;
	if (first->writes && RWSEM_BREAK != RWSEM_BREAK_WRITER_HEADS) {
		/* Readers behind a writer at the head stay: a downgrade helps nobody then. */
		if (wake == WAKE_ANY)
			wakes->task[wakes->n++] = first;
		return;
	}
	if (first->writes && wake == WAKE_ANY) {
		wakes->task[wakes->n++] = first;
		return;
	}
	if (wake != WAKE_READ_OWNED) {
		/* Secure the lock with one reader's worth before anybody is granted it. */
		change = RWSEM_READER;
		old = atomic_fetch_add_explicit(&sem->count, change, memory_order_acquire);
		if (old & RWSEM_WRITER) {
			/* A writer was faster. Readers do not spin: after 4 ms the head's turn is kept. */
			if (now_ns() > first->patience_ends) {
				if (!(old & RWSEM_HANDOFF))
					change -= RWSEM_HANDOFF;
				first->heads_handoff = true;
			}
			atomic_fetch_sub_explicit(&sem->count, change, memory_order_relaxed);
			return;
		}
		owner_is_readers(sem, first);
	}
	/* All queued readers up to the limit, past the writers between them: phase-fair. */
	for (struct rwsem_task *task = first; task && wakes->n < MOST_WOKEN; task = next) {
		next = task->after;
		if (task->writes) {
			if (RWSEM_BREAK == RWSEM_BREAK_JUMP)
				break;
			continue;
		}
		list_remove(sem, task);
		wakes->task[wakes->n++] = task;
	}
	change = (int64_t)wakes->n * RWSEM_READER - change;
	old = rwsem_count(sem);
	if (!sem->first)
		change -= RWSEM_WAITERS;
	/* Who was first has been let in, or nobody is left: the turn need not be kept any more. */
	if ((old & RWSEM_HANDOFF) && (wakes->n || !sem->first) &&
	    RWSEM_BREAK != RWSEM_BREAK_HANDOFF)
		change -= RWSEM_HANDOFF;
	if (change)
		atomic_fetch_add_explicit(&sem->count, change, memory_order_relaxed);
	/* They own the lock from here on, long before they run. */
	for (int i = 0; i < wakes->n; i++)
		atomic_store(&wakes->task[i]->granted, 1);
}

static void release_and_wake(struct rwsem *sem, enum wake wake, struct rwsem_task *me)
{
	struct wakes wakes;

	wakes.n = 0;
	list_lock(sem);
	mark_wake(sem, wake, &wakes);
	list_unlock(sem);
	wake_all(&wakes, me);
}

/* Somebody joins the list behind others although no writer has the lock: see that it moves on
 * (rwsem_cond_wake_waiter). With the list's lock held. */
static void wake_if_free(struct rwsem *sem, int64_t count, struct wakes *wakes)
{
	if (count & RWSEM_WRITER)
		return;
	if (count >> RWSEM_READER_SHIFT) {
		mark_wake(sem, WAKE_READERS, wakes);
		return;
	}
	allow_spinning(sem);
	mark_wake(sem, WAKE_ANY, wakes);
}

/* ---- reading ------------------------------------------------------------------------------- */

static void queue_reader(struct rwsem *sem, struct rwsem_task *me)
{
	struct wakes wakes;
	int64_t change = -RWSEM_READER, count;

	wakes.n = 0;
	me->writes = false;
	me->heads_handoff = false;
	me->patience_ends = now_ns() + RWSEM_HANDOFF_NS;
	atomic_store_explicit(&me->granted, 0, memory_order_relaxed);
	list_lock(sem);
	if (!sem->first) {
		/* Nobody waits and no writer has it any more: the reader added above counts. */
		count = atomic_load_explicit(&sem->count, ACQUIRE);
		if (!(count & (RWSEM_WRITER | RWSEM_HANDOFF))) {
			list_unlock(sem);
			owner_is_readers(sem, me);
			return;
		}
		if (RWSEM_BREAK != RWSEM_BREAK_WAITERS_BIT)
			change += RWSEM_WAITERS;
	}
	list_append(sem, me);
	count = atomic_fetch_add_explicit(&sem->count, change, memory_order_relaxed) + change;
	wake_if_free(sem, count, &wakes);
	list_unlock(sem);
	wake_all(&wakes, me);
	me->waited = true;
	while (true) {
		about_to_sleep(me);
		if (atomic_load(&me->granted))
			break;
		sleep_until_woken(me);
	}
}

static void down_read_slowly(struct rwsem *sem, struct rwsem_task *me, int64_t count)
{
	uint64_t begun = now_ns();
	int64_t readers = count >> RWSEM_READER_SHIFT; /* this one included */
	bool behind = (owner_of(sem) & OWNER_READERS) && readers > 1 && !(count & RWSEM_WRITER);

	/* Readers do not spin (since 5.11). They may take a lock that is free although somebody waits,
	 * unless it is kept for the head; but not join readers: that would starve a queued writer. */
	if (!behind && !(count & (RWSEM_WRITER | RWSEM_HANDOFF))) {
		owner_is_readers(sem, me);
		if (readers == 1 && (count & RWSEM_WAITERS))
			release_and_wake(sem, WAKE_READ_OWNED, me);
		return;
	}
	queue_reader(sem, me);
	me->wait_ns = now_ns() - begun;
}

void rwsem_down_read(struct rwsem *sem, struct rwsem_task *me)
{
	int64_t count = atomic_fetch_add_explicit(&sem->count, RWSEM_READER, ACQUIRE) + RWSEM_READER;

	me->waited = false;
	me->wait_ns = 0;
	if (count & (RWSEM_WRITER | RWSEM_WAITERS | RWSEM_HANDOFF))
		down_read_slowly(sem, me, count);
	else
		owner_is_readers(sem, me);
}

bool rwsem_down_read_trylock(struct rwsem *sem, struct rwsem_task *me)
{
	int64_t count = rwsem_count(sem);

	while (!(count & (RWSEM_WRITER | RWSEM_WAITERS | RWSEM_HANDOFF)))
		if (atomic_compare_exchange_weak_explicit(&sem->count, &count, count + RWSEM_READER,
							  ACQUIRE, memory_order_relaxed)) {
			owner_is_readers(sem, me);
			return true;
		}
	return false;
}

void rwsem_up_read(struct rwsem *sem, struct rwsem_task *me)
{
	int64_t count = atomic_fetch_sub_explicit(&sem->count, RWSEM_READER, memory_order_release) -
			RWSEM_READER;

	/* The last one, and somebody waits: a queued reader, or a writer who is then woken. */
	if ((count & (BUSY | RWSEM_WAITERS)) == RWSEM_WAITERS &&
	    RWSEM_BREAK != RWSEM_BREAK_READ_WAKE) {
		allow_spinning(sem);
		release_and_wake(sem, WAKE_ANY, me);
	}
}

/* ---- spinning writers (rwsem_optimistic_spin) ---------------------------------------------------- */

/* Without the list: the lock must be free, and not be kept for the head. */
static bool take_past_the_list(struct rwsem *sem, struct rwsem_task *me)
{
	int64_t count = rwsem_count(sem);

	while (!(count & (BUSY | RWSEM_HANDOFF)))
		if (atomic_compare_exchange_weak_explicit(&sem->count, &count, count | RWSEM_WRITER,
							  ACQUIRE, memory_order_relaxed)) {
			owner_is_writer(sem, me);
			return true;
		}
	return false;
}

/* In the kernel a spinner stops when its owner does not run or when its own slice is over. Here the
 * owner surely does not run if it was last seen on this very CPU; and a gap between two looks tells
 * that the slice was over. */
static bool owner_runs(uint64_t owner)
{
	const struct rwsem_task *task = (const struct rwsem_task *)(uintptr_t)owner;

	return atomic_load_explicit(&task->cpu, memory_order_relaxed) != sched_getcpu();
}

static bool lost_the_cpu(uint64_t *last)
{
	uint64_t now = now_ns();
	bool lost = now - *last > LOST_CPU_NS;

	*last = now;
	return lost;
}

/* Waits for the turn to spin, as in the kernel's queue of spinners. */
static bool enter_spinners(struct rwsem *sem, uint64_t *last)
{
	while (atomic_exchange_explicit(&sem->spinner, 1, memory_order_acquire)) {
		while (atomic_load_explicit(&sem->spinner, memory_order_relaxed)) {
			cpu_relax();
			if (lost_the_cpu(last))
				return false;
		}
	}
	return true;
}

static bool spin_for_lock(struct rwsem *sem, struct rwsem_task *me)
{
	uint64_t last = now_ns(), limit = 0;
	bool taken = false;

	if ((owner_of(sem) & OWNER_NO_SPIN) || !enter_spinners(sem, &last))
		return false;
	while (!(taken = take_past_the_list(sem, me))) {
		uint64_t owner = owner_of(sem);

		if (owner & OWNER_NO_SPIN)
			break;
		if (owner & OWNER_READERS) {
			/* On readers only for a while; who gives up spoils it for all, until the lock was
			 * free again. */
			if (!limit) {
				int64_t readers = rwsem_count(sem) >> RWSEM_READER_SHIFT;

				readers = readers < RWSEM_SPIN_READERS ? readers : RWSEM_SPIN_READERS;
				limit = last + RWSEM_SPIN_BASE_NS +
					(uint64_t)readers * RWSEM_SPIN_EACH_NS;
			} else if (last > limit) {
				forbid_spinning(sem);
				break;
			}
		} else {
			limit = 0;
			if (owner && !owner_runs(owner))
				break;
		}
		cpu_relax();
		if (lost_the_cpu(&last))
			break;
	}
	atomic_store_explicit(&sem->spinner, 0, memory_order_release);
	return taken;
}

/* The handoff bit is set for this writer: nobody can pass, so it may watch the owner go. */
static void spin_on_owner(struct rwsem *sem)
{
	uint64_t owner = owner_of(sem), last = now_ns();

	if (!sem->spin || (owner & (OWNER_READERS | OWNER_NO_SPIN)))
		return;
	while (owner && owner_of(sem) == owner && owner_runs(owner) && !lost_the_cpu(&last))
		cpu_relax();
}

/* ---- writing -------------------------------------------------------------------------------- */

/* From the list, its lock held (rwsem_try_write_lock). Any writer in the list may take a free lock
 * unless it is kept for the head; one that has waited for 4 ms has it kept. */
static bool take_from_list(struct rwsem *sem, struct rwsem_task *me)
{
	int64_t count = rwsem_count(sem), wanted;

	do {
		bool kept = count & RWSEM_HANDOFF;

		if (kept && sem->first->heads_handoff && sem->first != me)
			return false;
		wanted = count;
		if (count & BUSY) {
			if (kept || now_ns() <= me->patience_ends)
				return false;
			wanted |= RWSEM_HANDOFF;
		} else {
			wanted |= RWSEM_WRITER;
			if (RWSEM_BREAK != RWSEM_BREAK_HANDOFF)
				wanted &= ~(int64_t)RWSEM_HANDOFF;
			if (sem->first == sem->last)
				wanted &= ~(int64_t)RWSEM_WAITERS;
		}
	} while (!atomic_compare_exchange_weak_explicit(&sem->count, &count, wanted, ACQUIRE,
							memory_order_relaxed));
	if (count & BUSY) { /* as it was found: this only asked for the lock to be kept */
		sem->first->heads_handoff = true;
		return false;
	}
	list_remove(sem, me);
	owner_is_writer(sem, me);
	return true;
}

static void down_write_slowly(struct rwsem *sem, struct rwsem_task *me)
{
	struct wakes wakes;
	uint64_t begun = now_ns();

	if (sem->spin && spin_for_lock(sem, me)) {
		me->wait_ns = now_ns() - begun;
		return;
	}
	wakes.n = 0;
	me->writes = true;
	me->heads_handoff = false;
	me->patience_ends = now_ns() + RWSEM_HANDOFF_NS;
	list_lock(sem);
	list_append(sem, me);
	if (sem->first != me) {
		/* Others wait before it; if no writer has the lock they may come in by now. */
		wake_if_free(sem, rwsem_count(sem), &wakes);
		if (wakes.n) {
			list_unlock(sem);
			wake_all(&wakes, me);
			list_lock(sem);
		}
	} else if (RWSEM_BREAK != RWSEM_BREAK_WAITERS_BIT) {
		atomic_fetch_or_explicit(&sem->count, RWSEM_WAITERS, memory_order_relaxed);
	}
	while (true) {
		bool kept;

		about_to_sleep(me);
		if (take_from_list(sem, me))
			break;
		kept = me->heads_handoff;
		list_unlock(sem);
		me->waited = true;
		if (kept)
			spin_on_owner(sem);
		if (!kept || rwsem_count(sem) & BUSY)
			sleep_until_woken(me);
		list_lock(sem);
	}
	list_unlock(sem);
	me->wait_ns = now_ns() - begun;
}

void rwsem_down_write(struct rwsem *sem, struct rwsem_task *me)
{
	me->waited = false;
	me->heads_handoff = false;
	me->wait_ns = 0;
	if (!rwsem_down_write_trylock(sem, me))
		down_write_slowly(sem, me);
}

bool rwsem_down_write_trylock(struct rwsem *sem, struct rwsem_task *me)
{
	int64_t unlocked = 0;

	if (!atomic_compare_exchange_strong_explicit(&sem->count, &unlocked, RWSEM_WRITER, ACQUIRE,
						     memory_order_relaxed))
		return false;
	owner_is_writer(sem, me);
	return true;
}

void rwsem_up_write(struct rwsem *sem, struct rwsem_task *me)
{
	int64_t old;

	atomic_store_explicit(&sem->owner, 0, memory_order_relaxed);
	old = atomic_fetch_sub_explicit(&sem->count, RWSEM_WRITER, memory_order_release);
	if (old & RWSEM_WAITERS)
		release_and_wake(sem, WAKE_ANY, me);
}

void rwsem_downgrade(struct rwsem *sem, struct rwsem_task *me)
{
	int64_t old;

#if RWSEM_BREAK == RWSEM_BREAK_DOWNGRADE_GAP
	rwsem_up_write(sem, me);
	rwsem_down_read(sem, me);
	return;
#endif
	/* One locked operation: the writer's bit becomes one reader. */
	old = atomic_fetch_add_explicit(&sem->count, RWSEM_READER - RWSEM_WRITER,
					memory_order_release);
	owner_is_readers(sem, me);
	if ((old & RWSEM_WAITERS) && RWSEM_BREAK != RWSEM_BREAK_DOWNGRADE_WAKE)
		release_and_wake(sem, WAKE_READ_OWNED, me);
}
