/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon says, by a journal, a pipe and a clock of ours. */
#include "agent/say.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/tell.h"
#include "bpf/line.h"
#include "tests/samples.h"

static struct {
	char dir[32], path[64];
	int journal; /* what journald reads */
	int pipe[2];
	struct say *say;
	uint64_t now_ms;
	char got[SAY_LINE_MAX + 1];
} world;

static uint64_t now_ms(void)
{
	return world.now_ms;
}

static int begin(const char *journal)
{
	world.now_ms = 1000;
	if (pipe2(world.pipe, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	world.say = say_new(
		&(struct say_setup){ .journal = journal, .fd = world.pipe[1], .now_ms = now_ms });
	return world.say ? 0 : -ENOMEM;
}

static int with_journal(void **)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(world.dir, "/tmp/say-XXXXXX");
	if (!mkdtemp(world.dir))
		return -errno;
	snprintf(world.path, sizeof(world.path), "%s/socket", world.dir);
	strcpy(address.sun_path, world.path);
	world.journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(world.journal, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	return begin(world.path);
}

static int with_pipe(void **)
{
	world.journal = -1;
	return begin(NULL);
}

static int end(void **)
{
	say_free(world.say);
	close(world.pipe[0]);
	close(world.pipe[1]);
	if (world.journal >= 0) {
		close(world.journal);
		unlink(world.path);
		rmdir(world.dir);
	}
	return 0;
}

/* The next line that journald or who reads the pipe gets; "" where there is none. */
static const char *got(void)
{
	ssize_t len = world.journal >= 0 ? recv(world.journal, world.got, sizeof(world.got) - 1, 0)
					 : read(world.pipe[0], world.got, sizeof(world.got) - 1);

	world.got[len < 0 ? 0 : len] = 0;
	return world.got;
}

/* The value of a field of the line that was got; NULL where it has none, or more than one. */
static const char *field(const char *name)
{
	static char value[SAY_LINE_MAX];
	size_t len = strlen(name);
	const char *found = NULL;

	for (const char *at = world.got; *at; at = strchr(at, '\n') + 1) {
		assert_non_null(strchr(at, '\n')); /* each field ends with one */
		if (strncmp(at, name, len) != 0 || at[len] != '=')
			continue;
		if (found)
			return NULL;
		found = at + len + 1;
	}
	if (!found)
		return NULL;
	snprintf(value, sizeof(value), "%.*s", (int)strcspn(found, "\n"), found);
	return value;
}

static unsigned count_got(void)
{
	unsigned count = 0;

	while (*got())
		count++;
	return count;
}

/* ---- lines ---- */

static void on_a_pipe_a_line_is_text(void **)
{
	say_text(world.say, SAY_NOTE, LOG_ERR, "%s", "all is well");
	assert_string_equal(got(), "bpfmeasured: all is well\n");
}

static void in_the_journal_it_has_fields(void **)
{
	say_text(world.say, SAY_NOTE, LOG_ERR, "all is well");
	got();
	assert_string_equal(field("MESSAGE"), "all is well");
	assert_string_equal(field("PRIORITY"), "3");
	assert_string_equal(field("SYSLOG_IDENTIFIER"), "bpfmeasured");
	assert_string_equal(field("BPFMEASURE_KIND"), "note");
	assert_int_equal(strlen(field("MESSAGE_ID")), 32);
}

/* A newline would begin another field. */
static void no_text_makes_a_field_of_its_own(void **)
{
	struct say_line line;

	say_begin(&line, SAY_NOTE, LOG_ERR, "%s", "one\nPRIORITY=0\n\x1b[2J");
	say_field(&line, "BPFMEASURE_FAULT", "a\nMESSAGE=b\xff");
	say_send(world.say, &line);
	got();
	assert_string_equal(field("MESSAGE"), "one\\x0aPRIORITY=0\\x0a\\x1b[2J");
	assert_string_equal(field("PRIORITY"), "3");
	assert_string_equal(field("BPFMEASURE_FAULT"), "a\\x0aMESSAGE=b\\xff");
}

static void a_message_that_is_cut_shows_it(void **)
{
	char text[SAY_MESSAGE_MAX + 1];
	const char *message;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	say_text(world.say, SAY_NOTE, LOG_ERR, "%s", text);
	got();
	message = field("MESSAGE");
	assert_int_equal(strlen(message), SAY_MESSAGE_MAX - 1);
	assert_string_equal(message + strlen(message) - 4, "x...");
}

static void the_journal_is_taken_only_where_it_is_ours(void **)
{
	struct stat st;
	char stream[64];

	fstat(world.pipe[1], &st);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino);
	assert_string_equal(say_journal(stream, world.pipe[1]), "/run/systemd/journal/socket");
	assert_null(say_journal(stream, STDIN_FILENO));
	assert_null(say_journal(NULL, world.pipe[1]));
	assert_null(say_journal("nonsense", world.pipe[1]));
}

/* ---- nobody listens ---- */

static void a_journal_that_reads_nothing_holds_nobody_up(void **)
{
	unsigned sent = 0;

	for (; !say_dropped(world.say) && sent < 100000; sent++, world.now_ms += SAY_PERIOD_MS)
		say_text(world.say, SAY_NOTE, LOG_ERR, "line %u", sent);
	assert_int_equal(say_dropped(world.say), 1);
	count_got();
	say_tick(world.say);
	got();
	assert_string_equal(field("BPFMEASURE_DROPPED"), "1");
	say_tick(world.say);
	assert_string_equal(got(), "");
	assert_int_equal(say_dropped(world.say), 1);
}

static void a_pipe_that_nobody_reads_holds_nobody_up(void **)
{
	unsigned sent = 0;

	fcntl(world.pipe[1], F_SETFL, 0); /* as standard error is */
	for (; !say_dropped(world.say) && sent < 100000; sent++, world.now_ms += SAY_PERIOD_MS)
		say_text(world.say, SAY_NOTE, LOG_ERR, "%0500u", sent);
	assert_int_equal(say_dropped(world.say), 1);
	say_tick(world.say);
	assert_int_equal(say_dropped(world.say), 1); /* that one is missing is not counted */
	while (*got())
		;
	say_tick(world.say);
	assert_string_equal(got(),
		"bpfmeasured: 1 lines are missing here: nobody took them; loads are in the log\n");
}

static void without_its_socket_the_journal_has_the_line_from_standard_error(void **)
{
	unlink(world.path);
	say_text(world.say, SAY_NOTE, LOG_ERR, "all is well");
	close(world.journal);
	world.journal = -1;
	assert_string_equal(got(), "<3>bpfmeasured: all is well\n");
	rmdir(world.dir);
}

/* More than PIPE_BUF would wait where only so much room is left. */
static void the_longest_line_waits_for_no_room_in_a_pipe(void **)
{
	char page[PIPE_BUF] = "", text[SAY_MESSAGE_MAX];

	while (write(world.pipe[1], page, sizeof(page)) > 0)
		;
	assert_int_equal(read(world.pipe[0], page, sizeof(page)), sizeof(page));
	fcntl(world.pipe[1], F_SETFL, 0);
	memset(text, 0xff, sizeof(text));
	text[sizeof(text) - 1] = 0;
	alarm(10);
	say_text(world.say, SAY_NOTE, LOG_ERR, "%s", text);
	alarm(0);
	assert_int_equal(say_dropped(world.say), 0);
}

/* ---- how often ---- */

static void of_many_lines_some_are_said_and_the_rest_is_counted(void **)
{
	unsigned said = 0;

	for (unsigned i = 0; i < 1000; i++)
		said += say_wants(world.say, SAY_LOAD, 5000 + i);
	assert_int_equal(said, SAY_BURST);
	say_tick(world.say);
	assert_int_equal(count_got(), 0);
	world.now_ms += SAY_PERIOD_MS;
	say_tick(world.say);
	got();
	assert_string_equal(field("MESSAGE"),
		"980 more of kind load not shown here; they are in the log, records 5020 to 5999");
	assert_string_equal(field("BPFMEASURE_NOT_SHOWN"), "980");
	assert_string_equal(field("BPFMEASURE_FIRST"), "5020");
	assert_string_equal(field("BPFMEASURE_LAST"), "5999");
	assert_true(say_wants(world.say, SAY_LOAD, 6000));
}

/* Lines until the journal takes no more. */
static void fill(void)
{
	while (!say_dropped(world.say)) {
		say_text(world.say, SAY_NOTE, LOG_ERR, "one of many");
		world.now_ms += SAY_PERIOD_MS;
	}
}

static void a_count_that_nobody_took_is_told_later(void **)
{
	for (unsigned i = 0; i < SAY_BURST + 5; i++)
		say_wants(world.say, SAY_LOAD, 100 + i);
	fill();
	say_tick(world.say);
	count_got();
	say_wants(world.say, SAY_LOAD, 200);
	world.now_ms += SAY_PERIOD_MS;
	say_tick(world.say);
	got();
	assert_string_equal(field("MESSAGE"),
		"5 more of kind load not shown here; they are in the log, records 120 to 124");
	got();
	assert_string_equal(field("BPFMEASURE_DROPPED"), "1");
}

static void what_was_dropped_is_counted_at_the_end(void **)
{
	fill();
	count_got();
	say_free(world.say);
	world.say = NULL;
	got();
	assert_string_equal(field("BPFMEASURE_DROPPED"), "1");
}

static void one_kind_does_not_silence_another(void **)
{
	unsigned said = 0;

	for (unsigned i = 0; i < 1000; i++) {
		say_text(world.say, SAY_LOAD, LOG_INFO, "one of many");
		said += count_got();
	}
	assert_int_equal(said, SAY_BURST);
	say_text(world.say, SAY_FAULT, LOG_ERR, "something else");
	got();
	assert_string_equal(field("MESSAGE"), "something else");
}

static void what_was_not_said_is_counted_at_the_end(void **)
{
	for (unsigned i = 0; i < SAY_BURST + 3; i++) {
		say_text(world.say, SAY_SERVER, LOG_INFO, "one of many");
		count_got();
	}
	say_free(world.say);
	world.say = NULL;
	got();
	assert_string_equal(field("MESSAGE"), "3 more of kind server not shown here");
}

/* ---- records ---- */

/* A record of a kind, as the log hands it over. */
static struct log_committed committed(enum record_kind kind, const void *record)
{
	static char buf[RECORD_LINE_MAX];
	struct record_head head = { .seq = 42, .extend = true };
	struct line line;

	line_init(&line, buf, sizeof(buf));
	if (kind == RECORD_LOAD)
		record_encode_load(&line, head, record);
	else if (kind == RECORD_REJECT)
		record_encode_reject(&line, head, record);
	else if (kind == RECORD_LOST)
		record_encode_lost(&line, head, record);
	else
		record_encode_stop(&line, head, record);
	return (struct log_committed){ .kind = kind, .seq = 42, .line = line.buf, .len = line.len };
}

static void text(struct record_text *to, const char *bytes)
{
	*to = (struct record_text){ bytes, strlen(bytes) };
}

static struct record_load load_of(const char *name)
{
	struct record_load load = {
		.program = { .id = { true, 7 }, .sha256 = { .known = true }, .captured = true },
		.signature = { .verdict = VERDICT_UNSIGNED },
		.loader = { .pid = 11, .tgid = 10, .uid = 1000 },
	};

	memset(load.program.sha256.sha256, 0xab, SHA256_LEN);
	text(&load.program.name, name);
	text(&load.program.type, "xdp");
	text(&load.loader.exe, "/usr/sbin/loader");
	text(&load.loader.comm, "comm");
	return load;
}

static void tell_load_of(enum conf_loads loads, const struct record_load *load)
{
	struct log_committed record = committed(RECORD_LOAD, load);

	tell_record(world.say, loads, &record);
	got();
}

static void a_load_is_told_in_the_values_of_its_record(void **)
{
	struct record_load load = load_of("count");

	tell_load_of(LOADS_ALL, &load);
	assert_string_equal(field("MESSAGE"),
		"record 42: load: unsigned xdp count, program 7, by /usr/sbin/loader[10], uid 1000");
	assert_string_equal(field("PRIORITY"), "5");
	assert_string_equal(field("BPFMEASURE_SEQ"), "42");
	assert_string_equal(field("BPFMEASURE_VERDICT"), "unsigned");
	assert_string_equal(field("BPFMEASURE_SHA256"),
		"abababababababababababababababababababababababababababababababab");
	assert_string_equal(field("BPFMEASURE_PROGRAM_NAME"), "count");
	assert_string_equal(field("BPFMEASURE_LOADER"), "/usr/sbin/loader");
	assert_string_equal(field("BPFMEASURE_LOADER_UID"), "1000");
	assert_null(field("BPFMEASURE_PARENT"));
	assert_null(field("BPFMEASURE_STAGE"));
}

/* What a record does not know has no field: an empty one would say that it is empty. */
static void what_is_not_known_is_not_told(void **)
{
	struct record_load load = load_of("count");

	load.program.sha256.known = false;
	load.loader.exe = (struct record_text){};
	tell_load_of(LOADS_ALL, &load);
	assert_null(field("BPFMEASURE_SHA256"));
	assert_null(field("BPFMEASURE_LOADER"));
	assert_non_null(strstr(field("MESSAGE"), "by comm[10]"));
}

static void names_cannot_forge_a_field(void **)
{
	struct record_load load = load_of("a\nBPFMEASURE_VERDICT=verified\\");

	tell_load_of(LOADS_ALL, &load);
	assert_string_equal(field("BPFMEASURE_VERDICT"), "unsigned");
	assert_string_equal(
		field("BPFMEASURE_PROGRAM_NAME"), "a\\x0aBPFMEASURE_VERDICT=verified\\x5c");
}

static void the_longest_values_fit(void **)
{
	static char path[PATH_MAX];
	struct record_load load = load_of("count");

	memset(path, '\n', sizeof(path) - 1);
	text(&load.loader.exe, path);
	tell_load_of(LOADS_ALL, &load);
	assert_non_null(strstr(field("BPFMEASURE_LOADER"), "\\cut:4095:"));
	assert_string_equal(field("BPFMEASURE_LOADER_UID"), "1000");
}

static void loads_are_told_as_configured(void **)
{
	struct record_load load = load_of("count");
	struct log_committed record;

	tell_load_of(LOADS_NONE, &load);
	assert_string_equal(world.got, "");
	tell_load_of(LOADS_UNVERIFIED, &load);
	assert_string_equal(field("BPFMEASURE_VERDICT"), "unsigned");
	load.signature.verdict = VERDICT_VERIFIED;
	load.signature.covers = COVERS_INSNS;
	load.signature.keyring = KEYRING_BUILTIN;
	tell_load_of(LOADS_UNVERIFIED, &load);
	assert_string_equal(world.got, "");
	tell_load_of(LOADS_ALL, &load);
	assert_string_equal(field("PRIORITY"), "6");
	record = committed(RECORD_LOAD, &load);
	record.own = true;
	tell_record(world.say, LOADS_ALL, &record);
	assert_string_equal(got(), "");
}

/* "verified" alone is what nobody should have to read. */
static void of_a_verified_load_it_is_told_what_was_signed_and_by_whom(void **)
{
	struct record_load load = load_of("count");

	load.signature.verdict = VERDICT_VERIFIED;
	load.signature.covers = COVERS_INSNS_MAPS;
	load.signature.keyring = KEYRING_BUILTIN;
	tell_load_of(LOADS_ALL, &load);
	assert_non_null(strstr(
		field("MESSAGE"), "load: verified (insns+maps, by keyring builtin) xdp count,"));
	assert_string_equal(field("BPFMEASURE_COVERS"), "insns+maps");

	load.signature.keyring = KEYRING_USER;
	tell_load_of(LOADS_UNVERIFIED, &load);
	assert_non_null(strstr(field("MESSAGE"),
		"load: verified (insns+maps, by a key of the loader's own) xdp count,"));
	assert_string_equal(field("PRIORITY"), "5");

	load.signature.pinned.known = true;
	memset(load.signature.pinned.sha256, 0xcd, SHA256_LEN);
	tell_load_of(LOADS_ALL, &load);
	assert_non_null(strstr(field("MESSAGE"), "(insns+maps, by pinned cdcdcdcdcdcd) xdp"));
	assert_string_equal(field("PRIORITY"), "6");
	tell_load_of(LOADS_UNVERIFIED, &load);
	assert_string_equal(world.got, "");
}

static void what_was_refused_is_told_whatever_is_said_of_loads(void **)
{
	struct record_load load = load_of("count");
	struct log_committed record;

	load.stage = STAGE_LSM;
	load.error = EPERM;
	record = committed(RECORD_REJECT, &load);
	tell_record(world.say, LOADS_NONE, &record);
	got();
	assert_string_equal(field("BPFMEASURE_STAGE"), "lsm");
	assert_string_equal(field("BPFMEASURE_ERRNO"), "1");
	assert_string_equal(field("PRIORITY"), "4");
}

static void what_is_lost_is_told_and_other_kinds_are_not(void **)
{
	struct record_lost lost = { .what = LOST_LOADS, .count = 12, .first = 3, .last = 14 };
	struct record_stop stop = {};
	struct log_committed record = committed(RECORD_LOST, &lost);

	tell_record(world.say, LOADS_NONE, &record);
	got();
	assert_string_equal(field("MESSAGE"), "record 42: lost: 12 loads");
	record = committed(RECORD_STOP, &stop);
	tell_record(world.say, LOADS_ALL, &record);
	assert_string_equal(got(), "");
}

/* ---- faults ---- */

static void a_fault_is_told_once_and_its_end(void **)
{
	struct fault faults[FAULT_SLOT_COUNT] = {};
	struct tell tell = {};

	assert_true(tell_faults(&tell, world.say, faults));
	got();
	assert_string_equal(field("MESSAGE"), "measuring");
	faults[FAULT_SLOT_TPM].kind = FAULT_TPM_GONE;
	strcpy(faults[FAULT_SLOT_TPM].what, "device:/dev/tpmrm0: gone");
	assert_true(tell_faults(&tell, world.say, faults));
	got();
	assert_non_null(
		strstr(field("MESSAGE"), "degraded: tpm-gone: device:/dev/tpmrm0: gone: see that"));
	assert_string_equal(field("BPFMEASURE_FAULT"), "tpm-gone");
	assert_string_equal(field("PRIORITY"), "3");
	assert_false(tell_faults(&tell, world.say, faults));
	assert_string_equal(got(), "");
	assert_int_equal(tell.began[FAULT_TPM_GONE], 1);
	assert_int_equal(tell.began[FAULT_TPM_BUSY], 0);
	faults[FAULT_SLOT_TPM].kind = FAULT_NONE;
	assert_true(tell_faults(&tell, world.say, faults));
	got();
	assert_string_equal(field("MESSAGE"), "over: tpm-gone");
	assert_string_equal(field("BPFMEASURE_FAULT"), "tpm-gone");
	got();
	assert_string_equal(field("MESSAGE"), "measuring");
	assert_string_equal(got(), "");
}

static void what_may_be_somebodys_doing_is_critical(void **)
{
	struct fault faults[FAULT_SLOT_COUNT] = { [FAULT_SLOT_PCR] = { FAULT_PCR_FOREIGN, "13" } };
	struct tell tell = {};

	tell_faults(&tell, world.say, faults);
	got();
	assert_string_equal(field("PRIORITY"), "2");
}

#define JOURNAL(test) cmocka_unit_test_setup_teardown(test, with_journal, end)
#define PIPE(test)    cmocka_unit_test_setup_teardown(test, with_pipe, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PIPE(on_a_pipe_a_line_is_text),
		JOURNAL(in_the_journal_it_has_fields),
		JOURNAL(no_text_makes_a_field_of_its_own),
		JOURNAL(a_message_that_is_cut_shows_it),
		PIPE(the_journal_is_taken_only_where_it_is_ours),
		JOURNAL(a_journal_that_reads_nothing_holds_nobody_up),
		PIPE(a_pipe_that_nobody_reads_holds_nobody_up),
		PIPE(the_longest_line_waits_for_no_room_in_a_pipe),
		JOURNAL(without_its_socket_the_journal_has_the_line_from_standard_error),
		JOURNAL(of_many_lines_some_are_said_and_the_rest_is_counted),
		JOURNAL(a_count_that_nobody_took_is_told_later),
		JOURNAL(one_kind_does_not_silence_another),
		JOURNAL(what_was_not_said_is_counted_at_the_end),
		JOURNAL(what_was_dropped_is_counted_at_the_end),
		JOURNAL(a_load_is_told_in_the_values_of_its_record),
		JOURNAL(what_is_not_known_is_not_told),
		JOURNAL(names_cannot_forge_a_field),
		JOURNAL(the_longest_values_fit),
		JOURNAL(loads_are_told_as_configured),
		JOURNAL(of_a_verified_load_it_is_told_what_was_signed_and_by_whom),
		JOURNAL(what_was_refused_is_told_whatever_is_said_of_loads),
		JOURNAL(what_is_lost_is_told_and_other_kinds_are_not),
		JOURNAL(a_fault_is_told_once_and_its_end),
		JOURNAL(what_may_be_somebodys_doing_is_critical),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
