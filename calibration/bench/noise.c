/* How quiet is the machine? Two looks from the measuring CPU:
 *   fixed_loop   the same piece of arithmetic again and again: its spread is what frequency changes,
 *                neighbours and preemption add to any measurement of that length;
 *   clock_gap    the clock is read without a pause: every gap above a threshold is time that
 *                something else (an interrupt, another task, the hypervisor) took away. */
#include "common.h"

#include <stdio.h>

static long long watch_ms = 1000, threshold_ns = 1000, loops = 200;
static const char *when = "before";

static uint64_t arithmetic(uint64_t x)
{
	for (int i = 0; i < 100000; i++)
		x = x * 6364136223846793005u + 1442695040888963407u;
	return x;
}

static void measure_fixed_loop(void)
{
	volatile uint64_t sink = 1;
	struct samples s;

	samples_init(&s, (size_t)loops);
	for (int i = 0; i < 20; i++) /* warm-up */
		sink = arithmetic(sink);
	while (s.count < s.room) {
		uint64_t t0 = now_ns();

		sink = arithmetic(sink);
		samples_add(&s, now_ns() - t0);
	}
	rec_open("noise", "fixed_loop");
	cond_str("when", when);
	rec_values("loop", &s, KEEP_SAMPLES);
	rec_close();
	samples_free(&s);
}

static void measure_gaps(void)
{
	struct samples s;
	uint64_t last = now_ns(), end = last + (uint64_t)watch_ms * 1000000;

	samples_init(&s, 100000);
	while (last < end) {
		uint64_t now = now_ns();

		if (now - last > (uint64_t)threshold_ns)
			samples_add(&s, now - last);
		last = now;
	}
	rec_open("noise", "clock_gap");
	cond_str("when", when);
	cond_int("watched_ms", watch_ms);
	cond_int("threshold_ns", threshold_ns);
	rec_values("gap", &s, KEEP_HISTOGRAM);
	rec_close();
	samples_free(&s);
}

static const struct option_spec options[] = {
	{ "watch-ms", OPT_INT, &watch_ms, "how long the clock is watched (default 1000)" },
	{ "threshold-ns", OPT_INT, &threshold_ns, "gaps above this are noted (default 1000)" },
	{ "loops", OPT_INT, &loops, "fixed loops (default 200)" },
	{ "when", OPT_STRING, &when, "a word for the records: before or after" },
};

int main(int argc, char **argv)
{
	parse_options(argc, argv, "Measures how quiet the machine is.", options,
		      (int)(sizeof(options) / sizeof(options[0])));
	if (!loops)
		die(2, "--loops must be 1 or more");
	pin_to(cpu_from_end(0));
	measure_fixed_loop();
	measure_gaps();
	return 0;
}
