/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest_expect.h"
#include "attest_forge_kept.h"

#include <errno.h>

/* ---- the statement ---- */

static size_t encode(const struct evidence_statement *statement, char *buf)
{
	struct line line;

	line_init(&line, buf, EVIDENCE_STATEMENT_MAX);
	evidence_statement_encode(&line, statement);
	return line.len;
}

static void what_was_encoded_is_decoded(void **state)
{
	const struct forge *forge = *state;
	struct evidence_statement decoded;
	struct line_error error;
	char first[EVIDENCE_STATEMENT_MAX], second[EVIDENCE_STATEMENT_MAX];
	size_t len = encode(&forge->statement, first);

	assert_int_equal(evidence_statement_decode(first, len, &decoded, &error), 0);
	assert_int_equal(encode(&decoded, second), len);
	assert_memory_equal(first, second, len);
	assert_memory_equal(&decoded.values, &forge->statement.values, sizeof(decoded.values));
	assert_int_equal(decoded.quote_len, forge->statement.quote_len);
	assert_string_equal(decoded.agent, "0.1.0");
}

static void the_largest_statement_fits(void **state)
{
	struct forge *forge = *state;
	struct evidence_statement *statement = &forge->statement, decoded;
	struct line_error error;
	char buf[EVIDENCE_STATEMENT_MAX];

	statement->first = statement->last = statement->behind = LINE_UINT_MAX;
	statement->since = LINE_UINT_MAX - 1;
	statement->start_banks = statement->banks = (1u << BANK_COUNT) - 1;
	statement->quote_len = EVIDENCE_QUOTE_MAX;
	statement->signature_len = EVIDENCE_SIGNATURE_MAX;
	statement->ak_len = EVIDENCE_AK_MAX;
	statement->path_len = MERKLE_PATH_MAX;
	statement->count = MERKLE_LEAVES_MAX;
	statement->index = MERKLE_LEAVES_MAX - 1;
	memset(statement->agent, 'v', EVIDENCE_AGENT_MAX);
	statement->has_kept = true;
	statement->kept.seq = LINE_UINT_MAX;
	statement->kept.banks = statement->banks;
	statement->kept.quote_len = EVIDENCE_QUOTE_MAX;
	statement->kept.signature_len = EVIDENCE_SIGNATURE_MAX;
	size_t len = encode(statement, buf);

	assert_int_equal(evidence_statement_decode(buf, len, &decoded, &error), 0);
	assert_memory_equal(&decoded.path, &statement->path, sizeof(decoded.path));
	assert_string_equal(decoded.agent, statement->agent);
	assert_true(decoded.has_kept);
	assert_int_equal(decoded.kept.ak_len, EVIDENCE_AK_MAX);
	assert_int_equal(decoded.kept.quote_len, EVIDENCE_QUOTE_MAX);
}

static void refuse(struct forge *forge, const char *what, const char *with)
{
	struct evidence_statement decoded;
	struct line_error error = { 0 };
	char buf[EVIDENCE_STATEMENT_MAX + 64];
	size_t len = encode(&forge->statement, buf);
	char *at = memmem(buf, len, what, strlen(what));

	assert_non_null(at);
	memmove(at + strlen(with), at + strlen(what), len - (size_t)(at - buf) - strlen(what));
	memcpy(at, with, strlen(with));
	len = len - strlen(what) + strlen(with);
	if (!evidence_statement_decode(buf, len, &decoded, &error))
		fail_msg("%s", with);
	assert_true(strlen(error.what) > 0);
	assert_true(error.at <= len);
}

static void statements_that_contradict_themselves_are_refused(void **state)
{
	struct forge *forge = *state;

	refuse(forge, "\"last\":8", "\"last\":0");
	refuse(forge, "\"first\":1", "\"first\":10");
	refuse(forge, "\"since\":0", "\"since\":1");
	refuse(forge, "\"index\":0", "\"index\":1");
	refuse(forge, "\"count\":1", "\"count\":0");
	refuse(forge, "\"start\":{\"sha256\"", "\"start\":{\"sha1\"");
	refuse(forge, "\"evidence/1\"", "\"evidence/2\"");
	refuse(forge, "\"measuring\"", "\"asleep\"");
	refuse(forge, "\"pcr\":13", "\"pcr\":24");
	refuse(forge, "\"path\":[]", "\"path\":[\"00\"]");
	refuse(forge, "}", "},\"more\":1");
	refuse(forge, "\"nonce\"", "\"nonce\":\"\",\"nonce\"");
	refuse(forge, "{", " {");
}

static void the_kept_quote_is_of_these_records_or_the_one_before(void **state)
{
	struct forge *forge = *state;

	forge->statement.kept = forge_keep(forge, 5);
	forge->statement.has_kept = true;
	refuse(forge, "\"kept\":{\"seq\":5", "\"kept\":{\"seq\":9");
	refuse(forge, "\"kept\":{\"seq\":5", "\"kept\":{\"seq\":0");
	refuse(forge, "\"first\":1", "\"first\":7");
	refuse(forge, "\"kept\":{\"seq\":5,", "\"kept\":{");
	refuse(forge, "\"kept\":{\"seq\":5,\"sha256\":\"", "\"kept\":{\"seq\":5,\"sha256\":\"00");
}

static void a_statement_without_a_bank_is_refused(void **state)
{
	const struct forge *forge = *state;
	struct evidence_statement decoded;
	struct line_error error;
	char buf[EVIDENCE_STATEMENT_MAX];
	size_t len = encode(&forge->statement, buf);
	char *from = memmem(buf, len, "\"values\":{", 10);
	char *comma = memchr(from, ',', len);
	size_t cut = (size_t)(comma + 1 - (from + 10));

	/* Without sha256, sha384 alone. */
	memmove(from + 10, comma + 1, len - (size_t)(comma + 1 - buf));
	assert_int_equal(evidence_statement_decode(buf, len - cut, &decoded, &error), -EBADMSG);
	assert_string_equal(error.what, "no sha256 bank");
}

static void every_prefix_is_refused(void **state)
{
	const struct forge *forge = *state;
	struct evidence_statement decoded;
	struct line_error error;
	char buf[EVIDENCE_STATEMENT_MAX];
	size_t len = encode(&forge->statement, buf);

	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(evidence_statement_decode(buf, cut, &decoded, &error), -EBADMSG);
}

/* ---- the reader ---- */

struct stream {
	struct evidence_reader reader;
	FILE *file;
	char *text;
};

static struct stream *open_stream(const char *text, size_t len)
{
	struct stream *stream = malloc(sizeof(*stream));

	assert_non_null(stream);
	stream->text = malloc(len + 1);
	assert_non_null(stream->text);
	memcpy(stream->text, text, len);
	stream->file = len ? fmemopen(stream->text, len, "r") : fopen("/dev/null", "r");
	assert_non_null(stream->file);
	evidence_reader_init(&stream->reader, stream->file);
	return stream;
}

static void close_stream(struct stream *stream)
{
	fclose(stream->file);
	free(stream->text);
	free(stream);
}

static void lines_are_read_as_they_are(void **state)
{
	static const char text[] = "one\n\ntw\0o\r\n three \n";
	struct stream *stream = open_stream(text, sizeof(text) - 1);
	const char *line;
	size_t len;

	(void)state;
	assert_int_equal(evidence_read(&stream->reader, &line, &len), 1);
	assert_int_equal(len, 3);
	assert_memory_equal(line, "one", 3);
	assert_int_equal(evidence_read(&stream->reader, &line, &len), 1);
	assert_int_equal(len, 0);
	assert_int_equal(evidence_read(&stream->reader, &line, &len), 1);
	assert_int_equal(len, 5);
	assert_memory_equal(line, "tw\0o\r", 5);
	assert_int_equal(evidence_read(&stream->reader, &line, &len), 1);
	assert_memory_equal(line, " three ", 7);
	assert_int_equal(stream->reader.line, 4);
	assert_int_equal(evidence_read(&stream->reader, &line, &len), 0);
	assert_int_equal(evidence_read(&stream->reader, &line, &len), 0);
	close_stream(stream);
}

static void a_line_without_its_newline_was_cut(void **state)
{
	struct stream *stream = open_stream("one\ntwo", 7);
	const char *line;
	size_t len;

	(void)state;
	assert_int_equal(evidence_read(&stream->reader, &line, &len), 1);
	assert_int_equal(evidence_read(&stream->reader, &line, &len), -ENODATA);
	assert_int_equal(evidence_read(&stream->reader, &line, &len), -ENODATA);
	close_stream(stream);
}

static void nothing_has_no_lines(void **state)
{
	struct stream *stream = open_stream("", 0);
	const char *line;
	size_t len;

	(void)state;
	assert_int_equal(evidence_read(&stream->reader, &line, &len), 0);
	close_stream(stream);
}

/* Lines of every length around the buffer's, so that they begin everywhere in it. */
static void lines_of_any_length_are_read(void **state)
{
	static const size_t lens[] = { 1, RECORD_LINE_MAX, 0, RECORD_LINE_MAX - 1, 70, 40000, 40000,
		40000, RECORD_LINE_MAX, 1 };
	enum { COUNT = sizeof(lens) / sizeof(lens[0]) };
	size_t total = 0;

	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		total += lens[i] + 1;
	char *text = malloc(total);
	assert_non_null(text);
	for (size_t i = 0, at = 0; i < COUNT; i++) {
		memset(text + at, 'a' + (int)i, lens[i]);
		at += lens[i];
		text[at++] = '\n';
	}
	struct stream *stream = open_stream(text, total);
	for (size_t i = 0; i < COUNT; i++) {
		const char *line;
		size_t len;
		assert_int_equal(evidence_read(&stream->reader, &line, &len), 1);
		assert_int_equal(len, lens[i]);
		assert_true(!len || (line[0] == 'a' + (int)i && line[len - 1] == line[0]));
	}
	close_stream(stream);
	free(text);
}

static void a_line_that_is_too_long_is_refused(void **state)
{
	char *text = malloc(RECORD_LINE_MAX + 2);
	const char *line;
	size_t len;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', RECORD_LINE_MAX + 1);
	text[RECORD_LINE_MAX + 1] = '\n';
	struct stream *stream = open_stream(text, RECORD_LINE_MAX + 2);
	assert_int_equal(evidence_read(&stream->reader, &line, &len), -EMSGSIZE);
	assert_int_equal(evidence_read(&stream->reader, &line, &len), -EMSGSIZE);
	close_stream(stream);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(what_was_encoded_is_decoded),
		TEST(the_largest_statement_fits),
		TEST(statements_that_contradict_themselves_are_refused),
		TEST(the_kept_quote_is_of_these_records_or_the_one_before),
		TEST(a_statement_without_a_bank_is_refused),
		TEST(every_prefix_is_refused),
		cmocka_unit_test(lines_are_read_as_they_are),
		cmocka_unit_test(a_line_without_its_newline_was_cut),
		cmocka_unit_test(nothing_has_no_lines),
		cmocka_unit_test(lines_of_any_length_are_read),
		cmocka_unit_test(a_line_that_is_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
