/* SPDX-License-Identifier: BSD-2-Clause */
/* bpfmeasured: the daemon. */
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/measurer.h"
#include "agent/quotes.h"
#include "agent/requests.h"
#include "agent/serve.h"
#include "agent/warden.h"

#define CONF_DEFAULT "/etc/bpfmeasure/agent.conf"

enum { EXIT_USAGE = 2, EXIT_UNABLE = 3, STOP_TIMEOUT_MS = 5000 };

struct daemon {
	struct measurer measurer;
	struct event_base *base;
	struct event *turn; /* due at once while there is work */
	struct event *answers; /* due at once where challenges wait */
	struct quotes *quotes;
	struct serve *serve;
	struct warden *warden;
	const char *stop_why;
	bool ended; /* a signal came */
	char said[MEASURER_TROUBLE_MAX]; /* the trouble that was logged last */
};

static const char usage[] =
	"usage: bpfmeasured [--config FILE] [--check | --attach | --detach]\n"
	"\n"
	"Measure every BPF program that this kernel loads into a TPM and a log.\n"
	"\n"
	"  --config FILE   default " CONF_DEFAULT "\n"
	"  --check         read the configuration and say whether it is good\n"
	"  --attach        attach the hooks, unless they are, and exit: they record for the daemon to come\n"
	"  --detach        remove the hooks from the kernel (they outlive the daemon) and exit\n"
	"  --version\n"
	"  --help\n"
	"\n"
	"Runs in the foreground until SIGTERM or SIGINT and logs to stderr.\n"
	"Exit: 0 stopped in order, 2 usage or configuration, 3 it cannot measure here.\n";

/* ---- the loop ---- */

/* Each fault once, with what to do about it; and when there are none any more. */
static void say_faults(struct daemon *daemon)
{
	struct measurer *measurer = &daemon->measurer;
	char text[sizeof(daemon->said)];

	if (measurer->notice[0])
		fprintf(stderr, "bpfmeasured: %s\n", measurer->notice);
	measurer->notice[0] = 0;
	measurer_trouble(measurer, text);
	if (!strcmp(text, daemon->said))
		return;
	for (size_t i = 0; i < FAULT_SLOT_COUNT; i++) {
		const struct fault *fault = &measurer->faults[i];

		if (fault->kind)
			fprintf(stderr, "bpfmeasured: degraded: %s: %s: %s\n",
				fault_name(fault->kind), fault->what, fault_remedy(fault->kind));
	}
	if (!*text)
		fprintf(stderr, "bpfmeasured: measuring\n");
	strcpy(daemon->said, text);
}

/* By way of the loop, so that requests are served between two turns. */
static void turn_soon(struct daemon *daemon)
{
	static const struct timeval now;

	event_add(daemon->turn, &now);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *daemon = arg;

	(void)fd;
	(void)what;
	if (measurer_step(&daemon->measurer))
		turn_soon(daemon);
	if (measurer_has_fault(&daemon->measurer))
		say_faults(daemon);
}

static void answer_soon(void *arg)
{
	static const struct timeval now;
	struct daemon *daemon = arg;

	event_add(daemon->answers, &now);
}

static void on_answers(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *daemon = arg;

	(void)fd;
	(void)what;
	quotes_answer(daemon->quotes, &daemon->measurer);
	warden_turn(daemon->warden);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *daemon = arg;

	measurer_idle(&daemon->measurer);
	on_turn(fd, what, daemon);
	say_faults(daemon);
	if (daemon->measurer.mend)
		event_base_loopbreak(daemon->base);
}

static void on_signal(evutil_socket_t signal_number, short what, void *arg)
{
	struct daemon *daemon = arg;

	(void)what;
	daemon->ended = true;
	daemon->stop_why = signal_number == SIGTERM ? "SIGTERM" : "SIGINT";
	event_base_loopbreak(daemon->base);
}

/* Who asks: on the local socket, and by way of the attestation server. */
static int askers_new(struct daemon *daemon)
{
	struct measurer *measurer = &daemon->measurer;
	int err;

	daemon->quotes = quotes_new(
		SERVE_CONNECTIONS_MAX + measurer->conf->attest.waiting_max + REQUESTS_BESIDE,
		answer_soon, daemon);
	if (!daemon->quotes)
		return -ENOMEM;
	err = serve_new(daemon->base, measurer, daemon->quotes, &daemon->serve);
	if (err)
		return err;
	return warden_new(
		daemon->base, measurer, daemon->quotes, answer_soon, daemon, &daemon->warden);
}

static void askers_free(struct daemon *daemon)
{
	warden_free(daemon->warden);
	serve_free(daemon->serve);
	quotes_free(daemon->quotes);
	daemon->warden = NULL;
	daemon->serve = NULL;
	daemon->quotes = NULL;
}

static int loop(struct daemon *daemon)
{
	static const struct timeval second = { .tv_sec = 1 };
	struct event *ring, *timer, *terminate, *interrupt;
	int err;

	daemon->base = event_base_new();
	if (!daemon->base)
		return -ENOMEM;
	daemon->turn = event_new(daemon->base, -1, 0, on_turn, daemon);
	daemon->answers = event_new(daemon->base, -1, 0, on_answers, daemon);
	/* Edge-triggered: what is read stays on the ring until it is committed. */
	ring = event_new(daemon->base, probe_ring_fd(daemon->measurer.probe),
		EV_READ | EV_PERSIST | EV_ET, on_turn, daemon);
	timer = event_new(daemon->base, -1, EV_PERSIST, on_second, daemon);
	terminate = evsignal_new(daemon->base, SIGTERM, on_signal, daemon);
	interrupt = evsignal_new(daemon->base, SIGINT, on_signal, daemon);
	err = !daemon->turn || !daemon->answers || !ring || !timer || !terminate || !interrupt
		? -ENOMEM
		: 0;
	if (!err &&
		(event_add(ring, NULL) || event_add(timer, &second) || event_add(terminate, NULL) ||
			event_add(interrupt, NULL)))
		err = -ENOMEM;
	if (!err)
		err = askers_new(daemon);
	if (!err) {
		say_faults(daemon);
		turn_soon(daemon);
		event_base_dispatch(daemon->base);
	}
	askers_free(daemon);
	for (struct event **event = (struct event *[]){ daemon->turn, daemon->answers, ring, timer,
		     terminate, interrupt, NULL };
		*event; event++)
		event_free(*event);
	event_base_free(daemon->base);
	return err;
}

/* ---- the program ---- */

/* Hooks of another build are the daemon's to replace: it records what nobody has read of them. */
static int attach(const struct conf *conf)
{
	[[gnu::cleanup(probe_freep)]] struct probe *probe = probe_new();
	struct probe_options options = measurer_probe_options(conf);

	if (probe_is_pinned() || (probe && !probe_attach(probe, &options)))
		return 0;
	fprintf(stderr, "bpfmeasured: hooks: %s\n", probe ? probe_errmsg(probe) : "out of memory");
	return EXIT_UNABLE;
}

static int detach(void)
{
	[[gnu::cleanup(probe_freep)]] struct probe *probe = probe_new();

	if (probe && !probe_detach(probe))
		return 0;
	fprintf(stderr, "bpfmeasured: %s\n", probe ? probe_errmsg(probe) : "out of memory");
	return EXIT_UNABLE;
}

/* From the start of the measurer to its end. Returns 0 or a negative errno that was said. */
static int measure(
	struct daemon *daemon, const struct conf *conf, const char *conf_path, unsigned mend)
{
	struct measurer *measurer = &daemon->measurer;
	int err = measurer_start(measurer, conf, conf_path, mend);

	if (err) {
		fprintf(stderr, "bpfmeasured: %s\n", measurer->error);
		return err;
	}
	err = loop(daemon);
	if (err)
		fprintf(stderr, "bpfmeasured: socket %s: %s\n", conf->socket_path, strerror(-err));
	measurer_stop(measurer, daemon->stop_why ? daemon->stop_why : "error", STOP_TIMEOUT_MS);
	return err;
}

static int run(const struct conf *conf, const char *conf_path)
{
	static struct daemon daemon;
	unsigned mend = 0;
	int err;

	/* libtss2 reads it once; what it has to say comes to us as an error. */
	setenv("TSS2_LOG", "all+none", 0);
	signal(SIGPIPE, SIG_IGN);
	strcpy(daemon.said, "nothing yet");
	do {
		err = measure(&daemon, conf, conf_path, mend);
		mend = daemon.measurer.mend;
		measurer_done(&daemon.measurer);
	} while (!err && mend && !daemon.ended);
	return err ? EXIT_UNABLE : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'k' },
		{ "attach", no_argument, NULL, 'a' },
		{ "detach", no_argument, NULL, 'd' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	const char *conf_path = CONF_DEFAULT;
	char error[CONF_ERR_SIZE];
	struct conf conf;
	int task = 0; /* the letter of the option; 0: measure */
	static char name[] = "bpfmeasured";
	int option, tasks = 0;

	if (argc == 2 && !strcmp(argv[1], WARDEN_ARGUMENT))
		return warden_serve();
	if (argc > 0)
		argv[0] = name; /* what getopt_long() calls us */
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			conf_path = optarg;
			break;
		case 'k':
		case 'a':
		case 'd':
			tasks += task != option;
			task = option;
			break;
		case 'v':
			puts("bpfmeasured " VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind < argc || tasks > 1) {
		fprintf(stderr, "bpfmeasured: %s; see bpfmeasured --help\n",
			optind < argc ? "too many arguments"
				      : "one of --check, --attach and --detach");
		return EXIT_USAGE;
	}
	if (task == 'd')
		return detach();
	if (conf_load(conf_path, &conf, error, sizeof(error))) {
		fprintf(stderr, "bpfmeasured: %s\n", error);
		return EXIT_USAGE;
	}
	if (task == 'a')
		return attach(&conf);
	return task == 'k' ? 0 : run(&conf, conf_path);
}
