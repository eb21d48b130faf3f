// SPDX-License-Identifier: BSD-2-Clause
/* The verifier when memory or OpenSSL fails in the middle of it: it could not find out, and says nothing
 * else. Never is that a verdict on the evidence, good or bad. */
#include "tests/unit/history_fixture.h"

#include "attest/activation.h"

#include <errno.h>
#include <openssl/pem.h>

#include "tests/fault/nth_each.h"

static const int errors[] = { -ENOMEM, -EIO, 0 };
enum { CLASSES = 1 << NTH_MEMORY | 1 << NTH_OPENSSL | 1 << NTH_HEAP };

static struct forge forge;
static struct ak ak, out_ak;

static void nothing_is_left(int)
{
}

static void forge_new(void)
{
	forge_init(&forge);
	forge_tpm(&forge);
	ak = forge_ak(&forge);
}

static void each(const char *name, void (*before)(void), int (*call)(void), void (*check)(int r))
{
	nth_each(&(struct nth_scenario){ .name = name,
		.classes = CLASSES,
		.errors = errors,
		.before = before,
		.call = call,
		.check = check ? check : nothing_is_left });
}

/* ---- evidence ---- */

static struct verify_result result;
static char *text;
static size_t text_len;
static enum verify_reason expected;

static void text_new(void)
{
	if (text)
		return;
	forge_new();
	struct evidence_kept kept = forge_keep(&forge, 5);
	forge_hand_over(&forge, &kept);
	text = forge_text(&forge, &text_len);
	expected = VERIFY_OK;
}

/* -EIO stands for "could not find out", -EPERM for a verdict that is wrong. */
static int verify(void)
{
	const struct verify_options options = forge_options(&forge, &ak);

	result = forge_verify_text(text, text_len, &options);
	if (result.reason == VERIFY_FAILED)
		return -EIO;
	if (result.reason != expected)
		print_message("%s: %s\n", verify_reason_name(result.reason), result.explanation);
	return result.reason == expected ? 0 : -EPERM;
}

static void is_unknown(int r)
{
	if (r < 0) {
		assert_int_equal(result.verdict, VERIFY_UNKNOWN);
		assert_false(result.is_proven);
		assert_true(strlen(result.explanation) > 0);
	}
}

static void good_evidence_is_trusted_or_unknown(void **)
{
	each("verify_evidence", text_new, verify, is_unknown);
	free(text);
	text = NULL;
}

static void expect_untrusted(enum verify_reason reason)
{
	expected = reason;
	free(text);
	text = forge_text(&forge, &text_len);
}

static void bad_signature_new(void)
{
	if (text)
		return;
	text_new();
	forge.statement.signature[12] ^= 1;
	expect_untrusted(VERIFY_SIGNATURE);
}

static void a_bad_signature_is_untrusted_or_unknown(void **)
{
	each("verify_evidence of a bad signature", bad_signature_new, verify, is_unknown);
	free(text);
	text = NULL;
}

static void bad_line_new(void)
{
	if (text)
		return;
	text_new();
	forge_edit(&forge, 5, "four", "FOUR");
	expect_untrusted(VERIFY_REPLAY);
}

static void a_changed_record_is_untrusted_or_unknown(void **)
{
	each("verify_evidence of a changed record", bad_line_new, verify, is_unknown);
	free(text);
	text = NULL;
}

/* ---- kept quotes ---- */

static struct evidence_kept kept;
static struct tpms_attest attest, no_attest;

static void kept_new(void)
{
	forge_new();
	kept = forge_keep(&forge, 5);
	memset(&no_attest, 0x5a, sizeof(no_attest));
	attest = no_attest;
}

static int kept_verify(void)
{
	char words[VERIFY_TEXT_MAX];
	enum verify_reason reason = verify_kept(&kept, &ak, &attest, words);

	return reason == VERIFY_OK ? 0 : reason == VERIFY_FAILED ? -EIO : -EPERM;
}

static void attest_is_untouched(int r)
{
	if (r < 0)
		assert_memory_equal(&attest, &no_attest, sizeof(attest));
	else
		assert_int_equal(attest.reset_count, forge.reset_count);
}

static void a_kept_quote_is_good_or_unknown(void **)
{
	each("verify_kept", kept_new, kept_verify, attest_is_untouched);
}

/* ---- keys ---- */

static uint8_t key_bytes[1024];
static size_t key_len;

static void key_new(void)
{
	forge_new();
	key_len = forge.statement.ak_len;
	memcpy(key_bytes, forge.statement.ak, key_len);
	memset(&out_ak, 0x5a, sizeof(out_ak));
}

static void pem_new(void)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;

	key_new();
	PEM_write_bio_PUBKEY(bio, forge.key);
	key_len = (size_t)BIO_get_mem_data(bio, &pem);
	memcpy(key_bytes, pem, key_len);
	BIO_free(bio);
}

static int decode_key(void)
{
	char error[AK_ERROR_MAX];

	return ak_decode(key_bytes, key_len, &out_ak, error);
}

static void key_is_untouched(int r)
{
	struct ak untouched;

	memset(&untouched, 0x5a, sizeof(untouched));
	if (r < 0)
		assert_memory_equal(&out_ak, &untouched, sizeof(out_ak));
	else
		assert_true(ak_is_same_key(&out_ak.public, &ak.public));
}

static void a_good_key_is_read_or_not_found_bad(void **)
{
	each("ak_decode", key_new, decode_key, key_is_untouched);
	each("ak_decode of PEM", pem_new, decode_key, key_is_untouched);
}

static struct tpms_public out_public;

static int decode_public(void)
{
	struct tpms_error error;

	return tpms_public_decode(key_bytes, key_len, &out_public, &error);
}

static void a_public_area_is_read_or_not_found_bad(void **)
{
	each("tpms_public_decode", key_new, decode_public, NULL);
}

/* ---- hashes ---- */

static struct merkle_hash leaves[7], root, no_root;
static struct merkle tree;

static void leaves_new(void)
{
	memset(leaves, 1, sizeof(leaves));
	memset(&no_root, 0x5a, sizeof(no_root));
	root = no_root;
	tree = (struct merkle){ 0 };
}

static int tree_build(void)
{
	return merkle_init(&tree, leaves, 7);
}

static void tree_is_there(int r)
{
	struct merkle_hash path[MERKLE_PATH_MAX];

	if (r < 0)
		assert_null(tree.nodes);
	else
		assert_int_equal(merkle_path(&tree, 6, path), 2);
	merkle_done(&tree);
	tree = (struct merkle){ 0 };
}

static int path_root(void)
{
	return merkle_path_root(&leaves[6], 6, 7, leaves, 2, &root);
}

static void root_is_untouched(int r)
{
	assert_int_equal(memcmp(&root, &no_root, sizeof(root)) == 0, r < 0);
}

static int leaf(void)
{
	return merkle_leaf_attest(leaves[0].sha256, leaves[1].sha256, &root);
}

static int leaf_kept(void)
{
	return merkle_leaf_kept(leaves[0].sha256, &root);
}

static void a_tree_is_built_or_not(void **)
{
	each("merkle_init", leaves_new, tree_build, tree_is_there);
	each("merkle_path_root", leaves_new, path_root, root_is_untouched);
	each("merkle_leaf_attest", leaves_new, leaf, root_is_untouched);
	each("merkle_leaf_kept", leaves_new, leaf_kept, root_is_untouched);
}

static int prove(void)
{
	return activation_proof(leaves[0].sha256, leaves[1].sha256, leaves[2].sha256, SHA256_LEN,
		leaves[3].sha256, SHA256_LEN, root.sha256);
}

static void an_activation_is_proven_or_not(void **)
{
	each("activation_proof", leaves_new, prove, root_is_untouched);
}

/* ---- the auditor ---- */

static struct kept_log *kept_log;
static enum verify_verdict verdict;
static uint64_t proven;

static void kept_log_new(void)
{
	void *state = &forge;

	forge_new();
	kept_log = new_log(&state);
	keep(kept_log);
	boot(kept_log, 1);
	add_load(kept_log, "second boot");
	keep(kept_log);
}

static int feed_to(struct history *history)
{
	int err = 0;

	for (uint64_t seq = 1; seq <= forge.count && !err; seq++) {
		const struct forge_line *line = &forge.lines[seq - 1];
		struct record_brief brief = { 0 };
		struct line_error error;

		(void)!record_check_brief(line->text, line->len, &brief, &error);
		err = history_record(history, seq, brief.program_id, line->text, line->len);
		for (size_t i = 0; i < kept_log->quote_count && !err; i++)
			if (kept_log->quotes[i].seq == seq)
				err = history_quote(history, seq, kept_log->quotes[i].text,
					kept_log->quotes[i].len);
	}
	return err;
}

/* -EPERM: a verdict that is wrong. */
static int history(void)
{
	[[gnu::cleanup(history_freep)]] struct history *history = history_new(&kept_log->options);
	const struct history_result *found = NULL;

	if (!history)
		return -ENOMEM;
	int err = feed_to(history);
	if (!err)
		err = history_end(history, &found);
	if (err)
		return err;
	verdict = found->verdict;
	proven = found->counts[HISTORY_PROVEN];
	return verdict == VERIFY_TRUSTED ? 0 : -EPERM;
}

static void all_is_proven(int r)
{
	if (r == 0)
		assert_int_equal(proven, forge.count);
}

static void an_audit_finds_out_or_says_that_it_did_not(void **)
{
	each("history_record, history_quote, history_end", kept_log_new, history, all_is_proven);
}

/* ---- replay ---- */

static struct replay_line replayed;

static int replay(void)
{
	struct replay replay;
	int err = 0;

	replay_init(&replay, 1, FORGE_BANKS, &forge.statement.start, NULL);
	for (size_t i = 0; i < forge.count && !err; i++)
		err = replay_next(&replay, forge.lines[i].text, forge.lines[i].len, &replayed);
	if (!err && !replay_is_at(&replay, forge.statement.banks, &forge.statement.values))
		return -EPERM;
	return err;
}

static void a_replay_leads_to_the_values_or_ends(void **)
{
	each("replay_next", forge_new, replay, NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_evidence_is_trusted_or_unknown),
		cmocka_unit_test(a_bad_signature_is_untrusted_or_unknown),
		cmocka_unit_test(a_changed_record_is_untrusted_or_unknown),
		cmocka_unit_test(a_kept_quote_is_good_or_unknown),
		cmocka_unit_test(a_good_key_is_read_or_not_found_bad),
		cmocka_unit_test(a_public_area_is_read_or_not_found_bad),
		cmocka_unit_test(a_tree_is_built_or_not),
		cmocka_unit_test(an_activation_is_proven_or_not),
		cmocka_unit_test(an_audit_finds_out_or_says_that_it_did_not),
		cmocka_unit_test(a_replay_leads_to_the_values_or_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
