/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel of tests/fault/kernel.h for scripts: programs are loaded, and what truly happened is told. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bpf/bank.h"
#include "tests/fault/kernel.h"

static const char usage[] =
	"usage: kernel DIR COMMAND [OPTION]...\n"
	"\n"
	"  load        load programs\n"
	"    --count N      so many in all, or 0: until it is killed (1)\n"
	"    --how HOW      plain, signed, unparsable, refused, denied, endless, silent, hidden, or\n"
	"                   mixed: some of each of the first five (plain)\n"
	"    --rate R       a second and process; 0: as fast as it goes (0)\n"
	"    --unread B     none while more bytes than that are on the ring: whatever else the machine\n"
	"                   does, no load finds the ring full (0: whatever is there)\n"
	"    --processes P  that load at the same time (1)\n"
	"    --parent ID    of the loader program that loads them\n"
	"    --keep K       unload the oldest where more than K are loaded (all are kept)\n"
	"    --seed S       of what mixed does (1)\n"
	"  free        unload every program\n"
	"  vanish      likewise but for the newest K (--keep), and the hook is passed by\n"
	"  attach      attach something, and the hook is passed by\n"
	"  count       one line: loads and how they ended\n"
	"  ledger      one line for each load: serial load boot id error how self freed free_seen sha256\n"
	"  state       the programs' counters\n"
	"  detach      remove the hooks, as somebody might who wants not to be seen\n"
	"  reboot      another kernel: no hooks, no programs\n";

static const char *const hows[LOAD_HOW_COUNT] = {
	[LOAD_PLAIN] = "plain",
	[LOAD_SIGNED] = "signed",
	[LOAD_UNPARSABLE] = "unparsable",
	[LOAD_REFUSED] = "refused",
	[LOAD_DENIED] = "denied",
	[LOAD_ENDLESS] = "endless",
	[LOAD_SILENT] = "silent",
	[LOAD_HIDDEN] = "hidden",
};

enum { KEEP_MAX = 1024 };

struct options {
	unsigned long count, rate, unread, processes, keep, seed, parent;
	enum kernel_how how; /* LOAD_HOW_COUNT: mixed */
};

/* A load goes on to its end, as in any kernel: SIGTERM counts between two. */
static volatile sig_atomic_t stopping;

static void on_terminate(int)
{
	stopping = 1;
}

static void must(int err, const char *what)
{
	if (err >= 0)
		return;
	fprintf(stderr, "kernel: %s: %s\n", what, strerror(-err));
	exit(1);
}

/* ---- load ---- */

static enum kernel_how how_next(const struct options *options, uint64_t *random)
{
	if (options->how != LOAD_HOW_COUNT)
		return options->how;
	/* Knuth's MMIX generator: any will do that is the same everywhere. */
	*random = *random * 6364136223846793005ULL + 1442695040888963407ULL;
	switch (*random >> 60) {
	case 0:
	case 1:
		return LOAD_SIGNED;
	case 2:
		return LOAD_UNPARSABLE;
	case 3:
		return LOAD_REFUSED;
	case 4:
		return LOAD_DENIED;
	default:
		return LOAD_PLAIN;
	}
}

/* Two processes may both find one too many: then a few less are kept. */
static void keep_only(struct kernel *kernel, size_t keep)
{
	uint32_t ids[KEEP_MAX + 1];

	if (kernel_programs(kernel, keep + 1, ids) > keep)
		kernel_free(kernel, ids[0]);
}

/* Until the daemon has read enough; what was not loaded meanwhile is not made up for. */
static void wait_for_room(
	const struct kernel *kernel, const struct options *options, struct timespec *next)
{
	static const struct timespec moment = { .tv_nsec = 1000000 };

	if (!options->unread || kernel_ring_unread(kernel) <= options->unread)
		return;
	while (!stopping && kernel_ring_unread(kernel) > options->unread)
		nanosleep(&moment, NULL);
	clock_gettime(CLOCK_MONOTONIC, next);
}

static void load_process(const char *dir, const struct options *options, unsigned long process)
{
	uint64_t random = options->seed * 1000 + process;
	struct timespec next;
	struct kernel *kernel;
	int bell;

	must(kernel_open(dir, &kernel), dir);
	bell = kernel_bell_open(dir);
	must(bell, "bell");
	kernel_bell_ring_with(kernel, bell);
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (unsigned long i = process; !stopping && (!options->count || i < options->count);
		i += options->processes) {
		wait_for_room(kernel, options, &next);
		kernel_load(kernel,
			&(struct kernel_load){
				.how = how_next(options, &random),
				.tgid = (uint32_t)getpid(),
				.parent_id = (uint32_t)options->parent,
				.prog_type = 6, /* xdp */
				.name = "prog",
			});
		if (options->keep)
			keep_only(kernel, options->keep);
		if (!options->rate)
			continue;
		next.tv_nsec += (long)(1000000000 / options->rate);
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	close(bell);
	kernel_close(kernel);
}

static int load(const char *dir, const struct options *options)
{
	int failed = 0, status;

	signal(SIGTERM, on_terminate);
	for (unsigned long i = 1; i < options->processes; i++) {
		pid_t pid = fork();

		must(pid < 0 ? -errno : 0, "fork");
		if (!pid) {
			load_process(dir, options, i);
			exit(0);
		}
	}
	load_process(dir, options, 0);
	while (wait(&status) > 0 || errno == EINTR)
		failed |= status != 0;
	return failed;
}

/* ---- the other commands ---- */

static void vanish(struct kernel *kernel, size_t keep)
{
	uint32_t ids[KEEP_MAX + 1];

	while (kernel_programs(kernel, keep + 1, ids) > keep)
		kernel_free_unseen(kernel, ids[0]);
}

static void free_all(struct kernel *kernel, const char *dir)
{
	int bell = kernel_bell_open(dir);
	uint32_t id;

	must(bell, "bell");
	kernel_bell_ring_with(kernel, bell);
	while (kernel_programs(kernel, 1, &id))
		kernel_free(kernel, id);
	close(bell);
}

static void count(const struct kernel *kernel)
{
	size_t by_how[LOAD_HOW_COUNT] = {}, self = 0, n;
	const struct kernel_entry *entry;

	for (n = 0; (entry = kernel_ledger(kernel, n)); n++) {
		by_how[entry->how]++;
		self += entry->self;
	}
	printf("loads %zu self %zu", n, self);
	for (size_t i = 0; i < LOAD_HOW_COUNT; i++)
		printf(" %s %zu", hows[i], by_how[i]);
	putchar('\n');
}

static void ledger(const struct kernel *kernel)
{
	const struct kernel_entry *entry;
	uint64_t insns[KERNEL_INSNS];
	uint8_t digest[SHA256_LEN];

	for (size_t n = 0; (entry = kernel_ledger(kernel, n)); n++) {
		kernel_insns(entry->serial, insns);
		must(sha256(insns, sizeof(insns), digest), "sha256");
		printf("%llu %llu %u %u %d %s %d %d %d ", (unsigned long long)entry->serial,
			(unsigned long long)entry->load, entry->boot, entry->id, entry->error,
			hows[entry->how], entry->self, entry->freed, entry->free_seen);
		for (size_t i = 0; i < sizeof(digest); i++)
			printf("%02x", digest[i]);
		putchar('\n');
	}
}

static void state(const struct kernel *kernel)
{
	const struct event_state *counters = kernel_state(kernel);

	if (!counters)
		puts("no hooks");
	else
		printf("ticket %llu load %llu dropped_events %llu untracked %llu\n",
			(unsigned long long)counters->ticket, (unsigned long long)counters->load,
			(unsigned long long)counters->dropped_events,
			(unsigned long long)counters->untracked);
}

/* ---- the program ---- */

static enum kernel_how how_parse(const char *word)
{
	for (unsigned how = 0; how < LOAD_HOW_COUNT; how++)
		if (!strcmp(word, hows[how]))
			return how;
	if (strcmp(word, "mixed"))
		must(-EINVAL, word);
	return LOAD_HOW_COUNT;
}

static struct options options_parse(int argc, char **argv)
{
	static const struct option names[] = {
		{ "count", required_argument, NULL, 'c' },
		{ "how", required_argument, NULL, 'h' },
		{ "rate", required_argument, NULL, 'r' },
		{ "unread", required_argument, NULL, 'u' },
		{ "processes", required_argument, NULL, 'p' },
		{ "keep", required_argument, NULL, 'k' },
		{ "seed", required_argument, NULL, 's' },
		{ "parent", required_argument, NULL, 'P' },
		{},
	};
	struct options options = { .count = 1, .processes = 1, .seed = 1 };
	unsigned long *const numbers[] = {
		['c'] = &options.count,
		['r'] = &options.rate,
		['u'] = &options.unread,
		['p'] = &options.processes,
		['k'] = &options.keep,
		['s'] = &options.seed,
		['P'] = &options.parent,
	};
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (option == '?')
			exit(2);
		if (option == 'h')
			options.how = how_parse(optarg);
		else
			*numbers[option] = strtoul(optarg, NULL, 10);
	}
	return options;
}

static int run(const char *dir, const char *command, const struct options *options)
{
	struct kernel *kernel;

	if (options->keep > KEEP_MAX)
		must(-ERANGE, "--keep");
	if (!strcmp(command, "load"))
		return load(dir, options);
	must(kernel_open(dir, &kernel), dir);
	if (!strcmp(command, "free"))
		free_all(kernel, dir);
	else if (!strcmp(command, "vanish"))
		vanish(kernel, options->keep);
	else if (!strcmp(command, "attach"))
		kernel_attach_unseen(kernel);
	else if (!strcmp(command, "count"))
		count(kernel);
	else if (!strcmp(command, "ledger"))
		ledger(kernel);
	else if (!strcmp(command, "state"))
		state(kernel);
	else if (!strcmp(command, "detach"))
		must(kernel_detach(kernel), "detach");
	else if (!strcmp(command, "reboot"))
		must(kernel_reboot(kernel), "reboot");
	else
		must(-EINVAL, command);
	kernel_close(kernel);
	return 0;
}

int main(int argc, char **argv)
{
	struct options options;

	if (argc < 3) {
		fputs(usage, stderr);
		return 2;
	}
	options = options_parse(argc - 2, argv + 2);
	return run(argv[1], argv[2], &options);
}
