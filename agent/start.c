/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From nothing to measuring: the order matters, and each step says why it is where it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cms.h"
#include "agent/measurer.h"

enum {
	CANARY_WAIT_MS = 2000, /* for the end of a program, which comes after an RCU grace period */
	FILE_HASH_MAX = 64 << 20,
};

[[gnu::format(printf, 3, 4)]] static int fail(
	struct measurer *measurer, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(measurer->error, sizeof(measurer->error), format, args);
	va_end(args);
	return err;
}

/* ---- TPM ---- */

int measurer_tpm_connect(struct measurer *measurer)
{
	const struct conf *conf = measurer->conf;
	const char *device = conf->tpm_device;
	char error[SWTPM_ERROR_MAX];
	int err;

	if (!strcmp(device, "auto"))
		device = access("/dev/tpmrm0", F_OK) ? "software" : "/dev/tpmrm0";
	if (!strcmp(device, "software")) {
		err = swtpm_ensure(conf->tpm_software_dir, measurer->tcti, error);
		if (err) {
			snprintf(measurer->tpm_trouble, MEASURER_TEXT_MAX, "software TPM: %.400s",
				error);
			return err;
		}
	} else {
		snprintf(measurer->tcti, sizeof(measurer->tcti), "%s%s",
			device[0] == '/' ? "device:" : "", device);
	}
	tpm_set_timeout(measurer->tpm, conf->tpm_timeout_ms);
	err = tpm_connect(measurer->tpm, measurer->tcti);
	if (!err)
		err = tpm_ak_open(measurer->tpm, conf->tpm_ak_handle);
	if (err)
		snprintf(measurer->tpm_trouble, MEASURER_TEXT_MAX, "TPM %.200s: %s", measurer->tcti,
			tpm_errmsg(measurer->tpm));
	return err;
}

static int tpm_start(struct measurer *measurer)
{
	const struct conf *conf = measurer->conf;
	uint16_t foreign;
	int err = measurer_tpm_connect(measurer);

	if (err)
		return fail(measurer, err, "%s", measurer->tpm_trouble);
	if (!(tpm_banks(measurer->tpm, conf->tpm_pcr) & 1U << BANK_SHA256))
		return fail(measurer, -ENOTSUP,
			"TPM %s: PCR %u has no sha256 bank (tpm2_pcrallocate)", measurer->tcti,
			conf->tpm_pcr);
	foreign = tpm_foreign_bank(measurer->tpm, conf->tpm_pcr);
	if (foreign)
		return fail(measurer, -ENOTSUP,
			"TPM %s: PCR %u has a bank of algorithm 0x%04x, which cannot be extended "
			"from here and could be forged: free it (tpm2_pcrallocate)",
			measurer->tcti, conf->tpm_pcr, foreign);
	return 0;
}

/* ---- log ---- */

/* Files of the log are the group's to read. A machine without that group keeps them to root. */
static void log_group(const struct conf *conf)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	const struct group *group = getgrnam(conf->log_group);
	char path[CONF_PATH_SIZE + 8];

	for (size_t i = 0; group && i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		snprintf(path, sizeof(path), "%s%s", conf->log_path, suffixes[i]);
		if (chown(path, (uid_t)-1, group->gr_gid) || chmod(path, 0640))
			continue; /* a reader that cannot read is told so by its own error */
	}
}

/* The directory of a file, made if it is missing: root's, and the group's to look into. */
static int dir_ensure(struct measurer *measurer, const char *file)
{
	const struct group *group = getgrnam(measurer->conf->log_group);
	char dir[CONF_PATH_SIZE];

	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(file, '/') - file), file);
	if (!*dir || !access(dir, F_OK))
		return 0;
	if (mkdir(dir, 0750) ||
		(group && (chown(dir, (uid_t)-1, group->gr_gid) || chmod(dir, 02750))))
		return fail(measurer, -errno, "%s: %s", dir, strerror(errno));
	return 0;
}

static int log_start(struct measurer *measurer)
{
	int err = dir_ensure(measurer, measurer->conf->log_path);

	if (!err)
		err = dir_ensure(measurer, measurer->conf->socket_path);
	if (err)
		return err;
	err = db_create(measurer->db, measurer->conf->log_path);
	if (err)
		return fail(measurer, err, "log %s: %s", measurer->conf->log_path,
			db_errmsg(measurer->db));
	log_group(measurer->conf);
	measurer->log = log_new(measurer->db, measurer->conf->log_program_store);
	if (!measurer->log)
		return fail(measurer, -ENOMEM, "out of memory");
	err = log_open(measurer->log);
	return err ? fail(measurer, err, "log %s: %s", measurer->conf->log_path,
			     log_errmsg(measurer->log))
		   : 0;
}

/* ---- hooks ---- */

static int hooks_start(struct measurer *measurer)
{
	const struct conf *conf = measurer->conf;
	struct probe_options options = {
		.ring_size = conf->measure_ring_size,
		.map_content_max = conf->measure_map_content_max,
		.exe_hash_max = conf->measure_exe_hash_max,
	};
	int err = probe_attach(measurer->probe, &options);

	if (err)
		return fail(measurer, err, "hooks: %s", probe_errmsg(measurer->probe));
	err = ring_open(
		probe_ring_fd(measurer->probe), probe_ring_size(measurer->probe), &measurer->ring);
	if (err)
		return fail(measurer, err, "mapping the ring: %s", strerror(-err));
	measurer->read_end = ring_position(measurer->ring);
	probe_state(measurer->probe)->agent_tgid = 0;
	probe_state(measurer->probe)->agent_start = 0;
	probe_state(measurer->probe)->agent_tgid = (uint32_t)getpid();
	measurer_collect_init(measurer);
	return 0;
}

/* ---- what was loaded before ---- */

/* The newest record of the very same program: 1 and its number, digest and facts, or 0. */
static int earlier_find(struct measurer *measurer, const struct event_prog *prog, uint64_t *ret_seq,
	uint8_t ret_sha256[static SHA256_LEN], struct record_program_facts *ret_facts)
{
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	size_t len;

	if (db_ref_last(measurer->db, prog->id, 1, ret_seq) ||
		db_line_get(measurer->db, *ret_seq, &line, &len))
		return 0;
	record_program_facts(line, len, ret_facts);
	if (ret_facts->load_time_ns != prog->load_time_ns)
		return 0;
	if (ret_facts->kernel_digest.known &&
		memcmp(ret_facts->kernel_digest.sha256, prog->digest, SHA256_LEN))
		return 0;
	return !sha256(line, len, ret_sha256);
}

static int baseline_program(
	void *arg, const struct event_prog *prog, const struct event_map *maps, size_t map_count)
{
	struct measurer *measurer = arg;
	const struct program_known *known = programs_find(&measurer->programs, prog->id);
	struct log_put put = { .kind = RECORD_BASELINE, .ref = prog->id };
	struct record_program_facts facts = {};
	struct record_baseline baseline;
	uint8_t digest[SHA256_LEN];
	uint64_t seq = 0;
	int err, found;

	if (prog->id > measurer->highest_id)
		measurer->highest_id = prog->id;
	if (known && known->load_time_ns == prog->load_time_ns &&
		known->seq >= log_epoch_seq(measurer->log))
		return 0;
	found = earlier_find(measurer, prog, &seq, digest, &facts);
	if (!found || seq < log_epoch_seq(measurer->log)) {
		describe_baseline(&measurer->describe, prog, maps, map_count, &measurer->described,
			&baseline);
		baseline.has_earlier = found;
		baseline.earlier_seq = seq;
		memcpy(baseline.earlier_sha256, digest, found ? SHA256_LEN : 0);
		err = log_put(measurer->log, &put, &baseline, &seq);
		if (err)
			return err;
		if (!found)
			facts.verdict = baseline.signature.verdict;
	}
	facts.load_time_ns = prog->load_time_ns;
	return programs_add_recorded(&measurer->programs, prog->id, seq, &facts);
}

int measurer_baseline(struct measurer *measurer)
{
	int err = probe_baseline(measurer->probe, baseline_program, measurer);

	if (err)
		snprintf(measurer->tpm_trouble, MEASURER_TEXT_MAX, "%s",
			probe_errmsg(measurer->probe));
	else
		measurer->baseline_due = false;
	return err;
}

/* ---- canaries ---- */

static int canary_loaded(void *arg, uint32_t id)
{
	struct measurer *measurer = arg;
	int err;

	measurer->canary_id = id;
	err = measurer_drain(measurer);
	if (!err)
		err = measurer_baseline(measurer);
	/* The iterator came by the canary, which is recorded, or it would have a baseline
	 * record now. */
	if (!err && programs_find(&measurer->programs, id))
		measurer->hooks_shown |= 1U << HOOK_BASELINE;
	return err;
}

static void missing_join(struct measurer *measurer, unsigned missing)
{
	size_t len = (size_t)snprintf(
		measurer->hook_trouble, MEASURER_TEXT_MAX, "hooks that do not fire:");

	for (enum event_hook hook = 0; hook < HOOK_COUNT; hook++)
		if (missing & 1U << hook && len < MEASURER_TEXT_MAX)
			len += (size_t)snprintf(measurer->hook_trouble + len,
				MEASURER_TEXT_MAX - len, " %s%s",
				probe_hook_name(measurer->probe, hook),
				hook == HOOK_IDENTITY ? " (boot with bpf in lsm= for this one)"
						      : "");
}

/* Every hook in use has to show its own event. */
static int canaries_run(struct measurer *measurer)
{
	unsigned wanted = probe_wanted(measurer->probe);
	int err;

	measurer->hooks_shown = 0;
	err = probe_canaries(measurer->probe, canary_loaded, measurer);
	if (err)
		return fail(measurer, err, "the kernel refuses the plainest program: %s",
			strerror(-err));
	for (unsigned ms = 0; ms < CANARY_WAIT_MS; ms += 10) {
		err = measurer_drain(measurer);
		if (err)
			return fail(measurer, err, "%s", measurer->log_trouble);
		if ((measurer->hooks_shown & wanted) == wanted)
			break;
		usleep(10000);
	}
	measurer->hook_trouble[0] = 0;
	if (wanted & ~measurer->hooks_shown)
		missing_join(measurer, wanted & ~measurer->hooks_shown);
	return 0;
}

/* ---- the start record ---- */

static void freep(void *pointer)
{
	free(*(void **)pointer);
}

static struct record_digest file_digest(const char *path)
{
	struct record_digest ret = {};
	[[gnu::cleanup(freep)]] void *bytes = NULL;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return ret;
	if (!fstat(fd, &st) && st.st_size <= FILE_HASH_MAX) {
		bytes = malloc((size_t)st.st_size + 1);
		ret.known = bytes && read(fd, bytes, (size_t)st.st_size) == st.st_size &&
			!sha256(bytes, (size_t)st.st_size, ret.sha256);
	}
	close(fd);
	return ret;
}

static int put_start(struct measurer *measurer, enum record_exit last_exit)
{
	unsigned wanted = probe_wanted(measurer->probe);
	struct log_put put = { .kind = RECORD_START, .keep = true };
	struct record_start start = {
		.version = { VERSION, strlen(VERSION) },
		.exe_sha256 = file_digest("/proc/self/exe"),
		.conf_sha256 = measurer->conf_sha256,
		.next_program_id = measurer->highest_id + 1,
		.last_exit = last_exit,
		.kept_measuring = probe_was_pinned(measurer->probe),
	};

	for (enum event_hook hook = 0; hook < HOOK_COUNT; hook++) {
		const char *name = probe_hook_name(measurer->probe, hook);

		if (wanted & measurer->hooks_shown & 1U << hook)
			start.hooks[start.hook_count++] = name;
		else
			start.missing[start.missing_count++] = name;
	}
	return log_put(measurer->log, &put, &start, NULL);
}

/* ---- the whole ---- */

static int objects_new(struct measurer *measurer)
{
	measurer->db = db_new();
	measurer->tpm = tpm_new();
	measurer->probe = probe_new();
	measurer->trail = trail_new(measurer->conf->audit_enable);
	measurer->trust = cms_trust_new();
	if (!measurer->db || !measurer->tpm || !measurer->probe || !measurer->trail ||
		!measurer->trust)
		return fail(measurer, -ENOMEM, "out of memory");
	measurer->describe = (struct describe){
		.probe = measurer->probe,
		.programs = &measurer->programs,
		.trust = measurer->trust,
	};
	return 0;
}

static int trust_start(struct measurer *measurer)
{
	const char *path = measurer->conf->signature_trusted_certs;
	int err;

	if (!strcmp(path, "none"))
		return 0;
	err = cms_trust_load(measurer->trust, path);
	return err ? fail(measurer, err, "trusted_certs: %s", cms_trust_errmsg(measurer->trust))
		   : 0;
}

/* A trouble of a step that the start cannot go on without. */
static int fail_trouble(struct measurer *measurer, int err)
{
	char text[3 * MEASURER_TEXT_MAX + 8];

	return fail(measurer, err, "%s", measurer_trouble(measurer, text));
}

int measurer_start(struct measurer *measurer, const struct conf *conf, const char *conf_path)
{
	enum record_exit last_exit;
	int err;

	memset(measurer, 0, sizeof(*measurer));
	measurer->conf = conf;
	measurer->conf_sha256 = file_digest(conf_path);
	err = objects_new(measurer);
	if (!err)
		err = trust_start(measurer);
	/* The log first: its lock keeps a second daemon from the hooks and the TPM. */
	if (!err)
		err = log_start(measurer);
	if (!err)
		err = tpm_start(measurer);
	if (!err)
		err = hooks_start(measurer);
	if (err)
		return err;
	last_exit = log_last_exit(measurer->log);
	/* An epoch begins with the programs that are loaded; what pinned hooks saw meanwhile is
	 * newer than the last record, so it is read before those are asked for. */
	err = measurer_ring_restore(measurer);
	if (err)
		return fail(measurer, err, "the log's note on the ring is damaged");
	err = measurer_locate(measurer);
	if (!err)
		err = measurer_drain(measurer);
	if (!err)
		err = measurer_baseline(measurer);
	if (err)
		return fail_trouble(measurer, err);
	/* What is missing of the time before is owned up to before anybody can ask: the canaries take longer
	 * than any event that was still being written. */
	measurer_give_up_holes(measurer);
	err = canaries_run(measurer);
	if (err)
		return err;
	measurer_give_up_holes(measurer);
	err = put_start(measurer, last_exit);
	if (err)
		return fail(measurer, err, "%s", log_errmsg(measurer->log));
	err = measurer_drain(measurer);
	return err ? fail_trouble(measurer, err) : 0;
}

void measurer_done(struct measurer *measurer)
{
	collect_done(&measurer->collect);
	programs_done(&measurer->programs);
	ring_close(measurer->ring);
	probe_free(measurer->probe);
	tpm_free(measurer->tpm);
	log_free(measurer->log);
	db_free(measurer->db);
	trail_free(measurer->trail);
	cms_trust_free(measurer->trust);
}
