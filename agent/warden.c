/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/warden.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "agent/requests.h"
#include "agent/warden_own.h"

struct warden {
	struct event_base *base;
	struct measurer *measurer;
	struct quotes *quotes;
	void (*wake)(void *arg);
	void *wake_arg;
	struct event *child; /* a process of ours has ended */
	struct event *again; /* it is time to start it again */
	struct event *look; /* it is time to see whether it lives */
	unsigned silent; /* looks without a sign of that */
	struct requests *requests; /* NULL: there is no channel */
	struct requests_credit credit;
	struct warden_status status;
	uint64_t serving_ms; /* since when (monotonic); 0: it does not serve yet */
	unsigned delay_ms;
	char why[SERVER_ERROR_MAX]; /* this process ends; empty: it does not, or nobody said */
	char said[SERVER_ERROR_MAX]; /* why, the last time */
};

const char *warden_state_name(enum warden_state state)
{
	static const char *const names[] = {
		[WARDEN_OFF] = "off",
		[WARDEN_STARTING] = "starting",
		[WARDEN_SERVING] = "serving",
		[WARDEN_RESTARTING] = "restarting",
		[WARDEN_FAILED] = "failed",
	};

	return names[state];
}

/* ---- its process ---- */

/* Between fork() and exec(): nothing but system calls. It has neither our environment nor our files, but stderr. */
[[gnu::noreturn]] static void become_server(int channel)
{
	char name[] = "bpfmeasured: attestation server", argument[] = WARDEN_ARGUMENT;
	char *const argv[] = { name, argument, NULL };
	char *const envp[] = { NULL };
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 && dup2(nothing, STDOUT_FILENO) >= 0 &&
		(channel == WARDEN_CHANNEL_FD ? fcntl(channel, F_SETFD, 0)
					      : dup2(channel, WARDEN_CHANNEL_FD)) >= 0 &&
		!close_range(WARDEN_CHANNEL_FD + 1, ~0U, 0))
		execve("/proc/self/exe", argv, envp);
	_exit(127);
}

static int tell_orders(const struct conf *conf, int channel)
{
	struct warden_orders orders;

	memset(&orders, 0, sizeof(orders));
	orders.server = conf->attest;
	memcpy(orders.user, conf->attest_user, sizeof(orders.user));
	orders.sandbox_is_required = conf->attest_sandbox_required;
	return send(channel, &orders, sizeof(orders), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* A process with the channel to it. Returns its end of ours, or a negative errno. */
static int spawn(struct warden *warden)
{
	int ends[2], err;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	err = tell_orders(warden->measurer->conf, ends[0]);
	pid = err ? -1 : fork();
	if (!pid)
		become_server(ends[1]);
	if (pid < 0) {
		err = err ? err : -errno;
		close(ends[0]);
		close(ends[1]);
		return err;
	}
	close(ends[1]);
	warden->status.pid = pid;
	return ends[0];
}

/* ---- its life ---- */

/* In the daemon's log, each reason once in a row. */
static void say(struct warden *warden, const char *text)
{
	if (!strcmp(warden->said, text))
		return;
	snprintf(warden->said, sizeof(warden->said), "%s", text);
	say_text(warden->measurer->setup.say, SAY_SERVER,
		warden->status.state == WARDEN_SERVING ? LOG_INFO : LOG_WARNING,
		"attestation server: %s", text);
}

/* It is not there any more: again, later each time. */
static void start_again(struct warden *warden)
{
	struct warden_status *status = &warden->status;
	struct timeval delay;

	if (warden->serving_ms && measurer_now_ms() - warden->serving_ms >= WARDEN_GOOD_MS)
		warden->delay_ms = WARDEN_DELAY_MIN_MS;
	status->state = warden->serving_ms ? WARDEN_RESTARTING : WARDEN_FAILED;
	warden->serving_ms = 0;
	memcpy(status->why, warden->why, sizeof(status->why));
	say(warden, status->why);
	delay = (struct timeval){
		.tv_sec = warden->delay_ms / 1000,
		.tv_usec = (int)(warden->delay_ms % 1000) * 1000,
	};
	event_add(warden->again, &delay);
	warden->delay_ms = warden->delay_ms * 2 > WARDEN_DELAY_MAX_MS ? WARDEN_DELAY_MAX_MS
								      : warden->delay_ms * 2;
}

static void channel_end(struct warden *warden)
{
	requests_free(warden->requests);
	warden->requests = NULL;
}

/* A server without a channel has nothing to do; on_child() hears of its end. */
static void on_end(void *arg, const char *why)
{
	struct warden *warden = arg;

	if (*why && !warden->why[0])
		snprintf(warden->why, sizeof(warden->why), "%s", why);
	channel_end(warden);
	/* One that ends by itself is on its way; its exit code says more than a signal of ours would. */
	if (*why)
		kill(warden->status.pid, SIGKILL);
}

static void on_state(void *arg, const struct channel_state *state)
{
	struct warden *warden = arg;
	struct warden_status *status = &warden->status;
	char text[SERVER_ERROR_MAX];

	if (state->error) {
		snprintf(warden->why, sizeof(warden->why), "%s", state->text);
		return;
	}
	status->state = WARDEN_SERVING;
	status->why[0] = 0;
	status->landlock = state->landlock;
	status->seccomp = state->seccomp;
	warden->serving_ms = measurer_now_ms();
	snprintf(text, sizeof(text), "serving%s%s%s",
		state->landlock && state->seccomp ? "" : ", without",
		state->landlock ? "" : " Landlock", state->seccomp ? "" : " seccomp");
	say(warden, text);
}

static void start(struct warden *warden)
{
	struct requests_setup setup = {
		.base = warden->base,
		.measurer = warden->measurer,
		.quotes = warden->quotes,
		.waiting_max = warden->measurer->conf->attest.waiting_max,
		.activations_per_minute = warden->measurer->conf->attest.activations_per_minute,
		.credit = &warden->credit,
		.on_state = on_state,
		.on_end = on_end,
		.arg = warden,
		.wake = warden->wake,
		.wake_arg = warden->wake_arg,
	};
	int channel = spawn(warden);

	warden->silent = 0;
	warden->why[0] = 0;
	if (channel < 0) {
		snprintf(warden->why, sizeof(warden->why), "starting it: %s", strerror(-channel));
		start_again(warden);
		return;
	}
	warden->requests = requests_new(&setup, channel);
	if (!warden->requests) {
		close(channel); /* it ends by that */
		snprintf(warden->why, sizeof(warden->why), "out of memory");
	}
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct warden *warden = arg;

	(void)fd;
	(void)what;
	warden->status.restarts++;
	start(warden);
}

static void say_end(struct warden *warden, int wait_status)
{
	if (warden->why[0])
		return;
	if (WIFSIGNALED(wait_status))
		snprintf(warden->why, sizeof(warden->why), "ended by signal %d (%s)",
			WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
	else
		snprintf(warden->why, sizeof(warden->why), "ended with code %d",
			WEXITSTATUS(wait_status));
}

static void on_child(evutil_socket_t fd, short what, void *arg)
{
	struct warden *warden = arg;
	int wait_status;

	(void)fd;
	(void)what;
	if (!warden->status.pid ||
		waitpid(warden->status.pid, &wait_status, WNOHANG) != warden->status.pid)
		return;
	warden->status.pid = 0;
	say_end(warden, wait_status);
	channel_end(warden);
	start_again(warden);
}

/*
 * One that hangs has its channel open still. Looks are counted and not time: what it sent while we waited
 * for the TPM is read before the next look.
 */
static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct warden *warden = arg;
	uint32_t limit_ms = warden->measurer->conf->attest.hang_timeout_ms;
	uint32_t look_ms = limit_ms / WARDEN_LOOKS;
	char why[80];

	(void)fd;
	(void)what;
	if (!warden->serving_ms && limit_ms < WARDEN_START_MS)
		limit_ms = WARDEN_START_MS;
	if (!warden->requests || requests_heard(warden->requests)) {
		warden->silent = 0;
	} else if (++warden->silent > limit_ms / look_ms) {
		snprintf(why, sizeof(why), "it gave no sign of life for %" PRIu32 " ms", limit_ms);
		on_end(warden, why);
	}
}

static int look_begin(struct warden *warden)
{
	unsigned ms = warden->measurer->conf->attest.hang_timeout_ms / WARDEN_LOOKS;
	struct timeval period = { .tv_sec = ms / 1000, .tv_usec = (int)(ms % 1000) * 1000 };

	warden->look = event_new(warden->base, -1, EV_PERSIST, on_look, warden);
	return warden->look && !event_add(warden->look, &period) ? 0 : -ENOMEM;
}

/* ---- the warden ---- */

static bool is_wanted(const struct server_conf *conf)
{
	return *conf->listen || *conf->metrics_listen || *conf->socket;
}

int warden_new(struct event_base *base, struct measurer *measurer, struct quotes *quotes,
	void (*wake)(void *arg), void *arg, struct warden **ret_warden)
{
	struct warden *warden = calloc(1, sizeof(*warden));

	if (!warden)
		return -ENOMEM;
	*warden = (struct warden){
		.base = base,
		.measurer = measurer,
		.quotes = quotes,
		.wake = wake,
		.wake_arg = arg,
		.child = evsignal_new(base, SIGCHLD, on_child, warden),
		.again = event_new(base, -1, 0, on_again, warden),
		.credit = requests_credit_new(),
		.delay_ms = WARDEN_DELAY_MIN_MS,
	};
	measurer->attest = &warden->status;
	if (!warden->child || !warden->again || event_add(warden->child, NULL)) {
		warden_free(warden);
		return -ENOMEM;
	}
	if (is_wanted(&measurer->conf->attest)) {
		if (look_begin(warden)) {
			warden_free(warden);
			return -ENOMEM;
		}
		warden->status.state = WARDEN_STARTING;
		start(warden);
	}
	*ret_warden = warden;
	return 0;
}

void warden_free(struct warden *warden)
{
	if (!warden)
		return;
	channel_end(warden);
	if (warden->status.pid) {
		kill(warden->status.pid, SIGKILL);
		while (waitpid(warden->status.pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (*warden->measurer->conf->attest.socket)
		unlink(warden->measurer->conf->attest.socket);
	if (warden->child)
		event_free(warden->child);
	if (warden->again)
		event_free(warden->again);
	if (warden->look)
		event_free(warden->look);
	warden->measurer->attest = NULL;
	free(warden);
}

void warden_turn(struct warden *warden)
{
	if (warden->requests)
		requests_turn(warden->requests);
}
