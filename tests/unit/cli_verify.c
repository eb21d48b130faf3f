/* SPDX-License-Identifier: BSD-2-Clause */
/* The verb `verify`, and the same evidence under a replay that shares no code with it. */
#include "attest_expect.h"
#include "attest_forge_kept.h"

#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/verbs.h"

struct files {
	char dir[32];
	char evidence[64], ak[64], out[64], err[64];
};

static struct files files;

static void write_file(const char *path, const void *bytes, size_t len)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void write_evidence(const struct forge *forge, const char *path)
{
	size_t len;
	char *text = forge_text(forge, &len);

	write_file(path, text, len);
	free(text);
}

static const char *read_file(const char *path)
{
	static char text[8192];
	FILE *file = fopen(path, "rb");

	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

static int make_files(void **state)
{
	const struct forge *forge;

	if (make(state))
		return -1;
	forge = *state;
	strcpy(files.dir, "/tmp/attest_cli.XXXXXX");
	if (!mkdtemp(files.dir))
		return -1;
	snprintf(files.evidence, sizeof(files.evidence), "%s/evidence", files.dir);
	snprintf(files.ak, sizeof(files.ak), "%s/ak", files.dir);
	snprintf(files.out, sizeof(files.out), "%s/out", files.dir);
	snprintf(files.err, sizeof(files.err), "%s/err", files.dir);
	write_evidence(forge, files.evidence);
	write_file(files.ak, forge->statement.ak, forge->statement.ak_len);
	return 0;
}

static int remove_files(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", files.dir);
	return system(command) || unmake(state);
}

/* Run a child with its output in files.out and files.err; returns its exit code. */
static int run(int (*child)(int, char **), const char *const *args)
{
	char *argv[16] = { 0 };
	int argc = 0;

	while (args[argc]) {
		argv[argc] = strdup(args[argc]);
		argc++;
	}
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (!freopen(files.out, "w", stdout) || !freopen(files.err, "w", stderr))
			_exit(99);
		int code = child(argc, argv);
		fflush(NULL);
		_exit(code);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#define VERIFY(...) run(verify_main, (const char *const[]){ "verify", __VA_ARGS__, NULL })

static void assert_out(const char *words)
{
	if (!strstr(read_file(files.out), words))
		fail_msg("%s", read_file(files.out));
}

/* One line, and nothing on the standard output. */
static void assert_complaint(const char *words)
{
	const char *text = read_file(files.err);

	if (!strstr(text, words))
		fail_msg("%s", text);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	assert_string_equal(read_file(files.out), "");
}

static void good_evidence_is_code_0(void **state)
{
	(void)state;
	assert_int_equal(VERIFY(files.evidence, "--ak", files.ak), 0);
	assert_int_equal(strncmp(read_file(files.out), "trusted\n", 8), 0);
	assert_out("loads: 2 verified, 3 unsigned, 1 unknown");
	assert_out("note: freshness was not checked");
	assert_string_equal(read_file(files.err), "");
}

static void changed_evidence_is_code_1(void **state)
{
	struct forge *forge = *state;

	forge_edit(forge, 5, "four", "FOUR");
	write_evidence(forge, files.evidence);
	assert_int_equal(VERIFY(files.evidence, "--ak", files.ak), 1);
	assert_out("untrusted: replay\nThe log was altered: record 5 was changed");
}

static void a_foreign_extend_is_code_1(void **state)
{
	struct forge *forge = *state;
	struct evidence_kept kept = forge_keep(forge, 5);

	forge_break(forge);
	forge_tpm(forge);
	forge_hand_over(forge, &kept);
	write_evidence(forge, files.evidence);
	assert_int_equal(VERIFY(files.evidence, "--ak", files.ak), 1);
	assert_out("untrusted: foreign\nRecords 1-5 are proven by the quote that was kept");
}

static void what_was_trimmed_is_said(void **state)
{
	struct forge *forge = *state;
	struct evidence_kept kept = forge_keep(forge, 5);

	forge_add_trim(forge, &kept);
	forge_trim(forge, &kept);
	forge_tpm(forge);
	write_evidence(forge, files.evidence);
	assert_int_equal(VERIFY(files.evidence, "--ak", files.ak), 0);
	assert_out("note: history before record 6 is not shown");
	assert_int_equal(VERIFY(files.evidence, "--ak", files.ak, "--policy", "no-foreign"), 3);
	assert_out("unknown: policy-failed\n");
	assert_out("policy failed: they were not shown all that this boot has recorded");
}

static void an_agent_behind_is_code_3(void **state)
{
	struct forge *forge = *state;

	forge->statement.behind = 1;
	write_evidence(forge, files.evidence);
	assert_int_equal(VERIFY(files.evidence, "--ak", files.ak), 3);
	assert_out("unknown: behind\n");
}

static void the_nonce_is_compared(void **state)
{
	const struct forge *forge = *state;
	char nonce[2 * SHA256_LEN + 1];

	for (size_t i = 0; i < SHA256_LEN; i++)
		snprintf(nonce + 2 * i, 3, "%02x", forge->statement.nonce[i]);
	assert_int_equal(VERIFY(files.evidence, "--ak", files.ak, "--nonce", nonce), 0);
	nonce[0] = nonce[0] == '0' ? '1' : '0';
	assert_int_equal(VERIFY(files.evidence, "--ak", files.ak, "--nonce", nonce), 1);
	assert_out("untrusted: nonce\n");
}

static void the_pcr_is_compared(void **state)
{
	(void)state;
	assert_int_equal(VERIFY(files.evidence, "--ak", files.ak, "--pcr", "12"), 1);
	assert_out("untrusted: pcr-selection\n");
}

static void evidence_goes_on_after_a_file(void **state)
{
	struct forge *forge = *state;
	char more[64];

	snprintf(more, sizeof(more), "%s/more", files.dir);
	forge->statement.start = forge->statement.values;
	forge_add_load(forge, "seven", VERDICT_VERIFIED, true);
	memcpy(&forge->lines[0], &forge->lines[FORGE_RECORDS], sizeof(forge->lines[0]));
	forge->count = 1;
	forge->statement.first = forge->statement.last = FORGE_RECORDS + 1;
	forge_tpm(forge);
	write_evidence(forge, more);
	assert_int_equal(VERIFY(more, "--ak", files.ak, "--after", files.evidence), 0);
	assert_out("Records 9-9 are what PCR 13 holds");
	assert_int_equal(VERIFY(more, "--ak", files.ak), 1);
	assert_out("untrusted: start\n");
	assert_int_equal(VERIFY(files.evidence, "--ak", files.ak, "--after", more), 3);
	assert_complaint("is no anchor: start:");
}

static void json_says_the_same(void **state)
{
	struct forge *forge = *state;

	assert_int_equal(VERIFY(files.evidence, "--ak", files.ak, "--json"), 0);
	assert_out("{\"verdict\":\"trusted\",\"reason\":\"ok\",");
	assert_out("\"freshness_checked\":false");
	assert_out("\"loads\":{\"verified\":2,\"unsigned\":3,\"unknown\":1}");
	forge->statement.quote[60] ^= 1;
	write_evidence(forge, files.evidence);
	assert_int_equal(VERIFY("--json", files.evidence, "--ak", files.ak), 1);
	assert_out("{\"verdict\":\"untrusted\",\"reason\":\"signature\",");
	assert_null(strstr(read_file(files.out), "\"facts\""));
}

static void what_cannot_be_read_is_code_3(void **state)
{
	(void)state;
	assert_int_equal(VERIFY("/nonexistent", "--ak", files.ak), 3);
	assert_complaint("/nonexistent: No such file");
	assert_int_equal(VERIFY(files.evidence, "--ak", "/nonexistent"), 3);
	assert_complaint("/nonexistent: No such file");
	assert_int_equal(VERIFY(files.evidence, "--ak", files.evidence), 3);
	assert_complaint("too large for a key");
	assert_int_equal(VERIFY(files.dir, "--ak", files.ak), 3);
	assert_out("unknown: unreadable\n");
}

static void bad_usage_is_code_2(void **state)
{
	(void)state;
	assert_int_equal(VERIFY("--ak", files.ak), 2);
	assert_complaint("needs one FILE");
	assert_int_equal(VERIFY(files.evidence), 2);
	assert_complaint("needs --ak FILE");
	assert_int_equal(VERIFY(files.evidence, files.evidence, "--ak", files.ak), 2);
	assert_complaint("needs one FILE");
	assert_int_equal(VERIFY(files.evidence, "--ak", files.ak, "--nonce", "12"), 2);
	assert_complaint("--nonce takes 64");
	assert_int_equal(VERIFY(files.evidence, "--ak", files.ak, "--pcr", "24"), 2);
	assert_complaint("--pcr takes");
	assert_int_equal(VERIFY(files.evidence, "--ak", files.ak, "--pcr", "-1"), 2);
	assert_int_equal(VERIFY(files.evidence, "--ak", files.ak, "--nonsense"), 2);
	assert_complaint("unrecognized option");
}

/* ---- the independent replay ---- */

static int python(int argc, char **argv)
{
	(void)argc;
	execvp("python3", argv);
	return 98;
}

#define REPLAY(...)                                                                                \
	run(python, (const char *const[]){ "python3", "tests/replay.py", __VA_ARGS__, NULL })

static void an_independent_replay_agrees(void **state)
{
	struct forge *forge = *state;
	char hex[2 * BANK_DIGEST_MAX + 8] = "sha384 ", pcr[96], path[64];

	for (size_t i = 0; i < 48; i++)
		snprintf(
			hex + 7 + 2 * i, 3, "%02x", forge->statement.values.digest[BANK_SHA384][i]);
	snprintf(path, sizeof(path), "%s/pcr", files.dir);
	snprintf(pcr, sizeof(pcr), "sha384=%s", path);
	write_file(path, hex + 7, 96);
	assert_int_equal(REPLAY(files.evidence, "--pcr-file", pcr), 0);
	assert_out(hex);

	forge_edit(forge, 8, "six", "SIX");
	write_evidence(forge, files.evidence);
	assert_int_equal(REPLAY(files.evidence), 1);
}

int main(void)
{
#define FILES(name) cmocka_unit_test_setup_teardown(name, make_files, remove_files)
	static const struct CMUnitTest tests[] = {
		FILES(good_evidence_is_code_0),
		FILES(changed_evidence_is_code_1),
		FILES(a_foreign_extend_is_code_1),
		FILES(what_was_trimmed_is_said),
		FILES(an_agent_behind_is_code_3),
		FILES(the_nonce_is_compared),
		FILES(the_pcr_is_compared),
		FILES(evidence_goes_on_after_a_file),
		FILES(json_says_the_same),
		FILES(what_cannot_be_read_is_code_3),
		FILES(bad_usage_is_code_2),
		FILES(an_independent_replay_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
