/* SPDX-License-Identifier: BSD-2-Clause */
/* bpfmeasured: the daemon. */
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "agent/measurer.h"
#include "agent/notify.h"
#include "agent/quotes.h"
#include "agent/requests.h"
#include "agent/serve.h"
#include "agent/tell.h"
#include "agent/warden.h"

#define CONF_DEFAULT "/etc/bpfmeasure/agent.conf"

enum {
	EXIT_USAGE = 2,
	EXIT_UNABLE = 3,
	STOP_TIMEOUT_MS = 5000,
	/* Of a disk that is slow, besides two TPM commands that nobody answers. */
	PAUSE_MS = 60 * 1000,
};

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
	struct say *say;
	struct tell tell;
	struct notify notify;
};

static const char usage[] =
	"usage: bpfmeasured [--config FILE]\n"
	"                   [--check | --attach | --detach | --software-tpm]\n"
	"\n"
	"Measure every BPF program that this kernel loads into a TPM and a log.\n"
	"\n"
	"  --config FILE   default " CONF_DEFAULT "\n"
	"  --check         read the configuration and say what is wrong with it\n"
	"  --attach        attach the hooks, unless they are, and exit: they record for\n"
	"                  the daemon to come\n"
	"  --detach        remove the hooks from the kernel and exit: else they outlive\n"
	"                  the daemon\n"
	"  --software-tpm  start the software TPM, where one is called for and none runs,\n"
	"                  and exit\n"
	"  --version\n"
	"  --help\n"
	"\n"
	"Runs in the foreground until SIGTERM or SIGINT; speaks to the journal, or to\n"
	"stderr.\n"
	"Exit: 0 stopped in order, 2 usage or configuration, 3 it cannot measure here.\n";

/* ---- the loop ---- */

/* For whoever asks the service manager: the state, and how far the log is. */
static void tell_status(struct daemon *daemon, bool changed)
{
	const struct measurer *measurer = &daemon->measurer;
	char text[NOTIFY_STATUS_MAX], words[NOTIFY_STATUS_MAX / 2] = "";
	uint64_t last = 0, waiting = 0;
	size_t len = 0;

	for (size_t i = 0; i < FAULT_SLOT_COUNT && len < sizeof(words); i++)
		if (measurer->faults[i].kind)
			len += (size_t)snprintf(words + len, sizeof(words) - len, "%s %s",
				len ? "," : ":", fault_name(measurer->faults[i].kind));
	if (measurer->log && log_epoch_seq(measurer->log)) {
		last = log_last_seq(measurer->log);
		if (last > log_extended_seq(measurer->log)) /* else an epoch is not stored yet */
			waiting = last - log_extended_seq(measurer->log);
	}
	snprintf(text, sizeof(text), "%s%s; %" PRIu64 " records, %" PRIu64 " not in the TPM yet",
		len ? "Degraded" : "Measuring", words, last, waiting);
	notify_status(&daemon->notify, measurer_now_ms(), text, changed);
}

static void say_faults(struct daemon *daemon)
{
	bool changed = tell_faults(&daemon->tell, daemon->say, daemon->measurer.faults);

	tell_status(daemon, changed);
}

static void alive(void *arg)
{
	struct daemon *daemon = arg;

	notify_alive(&daemon->notify, measurer_now_ms());
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
	say_tick(daemon->say);
	notify_ready(&daemon->notify);
	alive(daemon);
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
		notify_ready(&daemon->notify);
		turn_soon(daemon);
		if (event_base_dispatch(daemon->base) < 0)
			err = -EIO; /* no end in order: it is to be started again */
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

/* For the end of a line that says what failed. */
static const char *root_hint(void)
{
	return geteuid() == 0 ? "" : " - bpfmeasured is to be run by root";
}

/* Hooks of another build are the daemon's to replace: it records what nobody has read of them. */
static int attach(struct say *say, const struct conf *conf)
{
	[[gnu::cleanup(probe_freep)]] struct probe *probe = probe_new();
	struct probe_options options = measurer_probe_options(conf);

	if (probe_is_pinned() || (probe && !probe_attach(probe, &options)))
		return 0;
	say_text(say, SAY_ERROR, LOG_ERR, "hooks: %s%s",
		probe ? probe_errmsg(probe) : "out of memory", root_hint());
	return EXIT_UNABLE;
}

static int detach(struct say *say)
{
	[[gnu::cleanup(probe_freep)]] struct probe *probe = probe_new();

	if (probe && !probe_detach(probe))
		return 0;
	say_text(say, SAY_ERROR, LOG_ERR, "%s%s", probe ? probe_errmsg(probe) : "out of memory",
		root_hint());
	return EXIT_UNABLE;
}

/* For a service manager: it then does not belong to the daemon's own service, and lives on when that ends. */
static int software_tpm(struct say *say, const struct conf *conf)
{
	char tcti[SWTPM_TCTI_MAX], error[SWTPM_ERROR_MAX];

	if (strcmp(measurer_tpm_device(conf), "software") != 0 ||
		!swtpm_ensure(conf->tpm_software_dir, tcti, error))
		return 0;
	say_text(say, SAY_ERROR, LOG_ERR, "software TPM: %s", error);
	return EXIT_UNABLE;
}

/* From the start of the measurer to its end. Returns 0 or a negative errno that was said. */
static int measure(struct daemon *daemon, const struct measurer_setup *setup, unsigned mend)
{
	struct measurer *measurer = &daemon->measurer;
	int err = measurer_start(measurer, setup, mend);

	if (err) {
		say_text(daemon->say, SAY_ERROR, LOG_ERR, "%s%s", measurer->error, root_hint());
		return err;
	}
	err = loop(daemon);
	if (err)
		say_text(daemon->say, SAY_ERROR, LOG_ERR, "serving at %s: %s",
			setup->conf->socket_path, strerror(-err));
	if (err || daemon->ended)
		notify_stopping(&daemon->notify, STOP_TIMEOUT_MS + daemon->notify.pause_ms);
	measurer_stop(measurer, daemon->stop_why ? daemon->stop_why : "error", STOP_TIMEOUT_MS);
	return err;
}

/* What the service manager set for us is not for the processes that we start. */
static void notify_begin(struct daemon *daemon, const struct conf *conf)
{
	const char *pid = getenv("WATCHDOG_PID"), *usec = getenv("WATCHDOG_USEC");
	bool is_ours = !pid || strtoull(pid, NULL, 10) == (unsigned long long)getpid();

	notify_init(&daemon->notify, getenv("NOTIFY_SOCKET"),
		usec && is_ours ? strtoull(usec, NULL, 10) : 0,
		2ULL * conf->tpm_timeout_ms + PAUSE_MS);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
}

static int run(struct say *say, const struct conf *conf, const char *conf_path)
{
	static struct daemon daemon;
	const struct measurer_setup setup = {
		.conf = conf,
		.conf_path = conf_path,
		.say = say,
		.faults_began = daemon.tell.began,
		.alive = alive,
		.alive_arg = &daemon,
	};
	unsigned mend = 0;
	int err;

	/* libtss2 reads it once; what it has to say comes to us as an error. */
	setenv("TSS2_LOG", "all+none", 0);
	signal(SIGPIPE, SIG_IGN);
	daemon.say = say;
	notify_begin(&daemon, conf);
	do {
		err = measure(&daemon, &setup, mend);
		mend = daemon.measurer.mend;
		measurer_done(&daemon.measurer);
	} while (!err && mend && !daemon.ended);
	notify_done(&daemon.notify);
	return err ? EXIT_UNABLE : 0;
}

/* The task is an option's letter; 0: measure. */
static int perform(int task, const char *conf_path, struct say *say)
{
	char error[CONF_ERR_SIZE];
	struct conf conf;

	if (task == 'd')
		return detach(say);
	if (conf_load(conf_path, &conf, error, sizeof(error))) {
		say_text(say, SAY_ERROR, LOG_ERR, "%s", error);
		return EXIT_USAGE;
	}
	switch (task) {
	case 'a':
		return attach(say, &conf);
	case 's':
		return software_tpm(say, &conf);
	case 'k':
		return 0;
	default:
		return run(say, &conf, conf_path);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'k' },
		{ "attach", no_argument, NULL, 'a' },
		{ "detach", no_argument, NULL, 'd' },
		{ "software-tpm", no_argument, NULL, 's' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	const struct say_setup speech = {
		.journal = say_journal(getenv("JOURNAL_STREAM"), STDERR_FILENO),
		.fd = STDERR_FILENO,
		.now_ms = measurer_now_ms,
	};
	const char *conf_path = CONF_DEFAULT;
	static char name[] = "bpfmeasured";
	int option, task = 0, tasks = 0;
	struct say *say;

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
		case 's':
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
				      : "one of --check, --attach, --detach and --software-tpm");
		return EXIT_USAGE;
	}
	say = say_new(&speech);
	if (!say) {
		fputs("bpfmeasured: out of memory\n", stderr);
		return EXIT_UNABLE;
	}
	option = perform(task, conf_path, say);
	say_free(say);
	return option;
}
