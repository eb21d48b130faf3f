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
#include <syslog.h>
#include <unistd.h>

#include "agent/cms.h"
#include "agent/measurer.h"
#include "agent/tell.h"

enum {
	FILE_HASH_MAX = 64 << 20,
	RETRY_TIMEOUT_MS = 5000,
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

/* What the TPM has to have. The texts say what to change. */
static int tpm_check(struct measurer *measurer)
{
	unsigned pcr = measurer->conf->tpm_pcr;
	uint16_t foreign = tpm_foreign_bank(measurer->tpm, pcr);

	if (!(tpm_banks(measurer->tpm, pcr) & 1U << BANK_SHA256))
		measurer_fault(measurer, FAULT_SLOT_TPM, FAULT_TPM_UNSUITABLE,
			"%s: PCR %u has no sha256 bank (tpm2_pcrallocate)", measurer->tcti, pcr);
	else if (foreign)
		measurer_fault(measurer, FAULT_SLOT_TPM, FAULT_TPM_UNSUITABLE,
			"%s: PCR %u has a bank of algorithm 0x%04x, which cannot be extended from "
			"here and could be forged: free it (tpm2_pcrallocate)",
			measurer->tcti, pcr, foreign);
	else
		return 0;
	return -ENOTSUP;
}

const char *measurer_tpm_device(const struct conf *conf)
{
	if (strcmp(conf->tpm_device, "auto"))
		return conf->tpm_device;
	return access("/dev/tpmrm0", F_OK) && errno == ENOENT ? "software" : "/dev/tpmrm0";
}

static int tpm_connect_to(struct measurer *measurer)
{
	const struct conf *conf = measurer->conf;
	const char *device = measurer_tpm_device(conf);
	char error[SWTPM_ERROR_MAX];
	int err;

	if (!strcmp(device, "software")) {
		err = swtpm_ensure(conf->tpm_software_dir, measurer->tcti, error);
		if (err) {
			measurer_fault(measurer, FAULT_SLOT_TPM, FAULT_TPM_GONE,
				"software TPM: %.400s", error);
			return err;
		}
	} else {
		snprintf(measurer->tcti, sizeof(measurer->tcti), "%s%s",
			device[0] == '/' ? "device:" : "", device);
	}
	/* One that gave no answer is asked briefly: others wait for answers too. */
	tpm_set_timeout(measurer->tpm,
		measurer_is_well(measurer, FAULT_SLOT_TPM) ||
				conf->tpm_timeout_ms < RETRY_TIMEOUT_MS
			? conf->tpm_timeout_ms
			: RETRY_TIMEOUT_MS);
	identity_forget(measurer);
	err = tpm_connect(measurer->tpm, measurer->tcti);
	if (!err)
		err = tpm_ak_open(measurer->tpm, conf->tpm_ak_handle);
	tpm_set_timeout(measurer->tpm, conf->tpm_timeout_ms);
	return err ? measurer_fail_tpm(measurer, err) : tpm_check(measurer);
}

int measurer_tpm_connect(struct measurer *measurer)
{
	uint64_t began = measurer_now_ms();

	if (began < measurer->tpm_retry_ms)
		return -EAGAIN;
	int err = tpm_connect_to(measurer);
	uint64_t ended = measurer_now_ms();
	measurer->tpm_retry_ms = err ? ended + (ended - began) : 0;
	return err;
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

static void on_committed(void *arg, const struct log_committed *record)
{
	struct measurer *measurer = arg;

	if (record->kind == RECORD_EPOCH)
		window_forget(&measurer->counts.window);
	if (record->kind == RECORD_LOAD && record->returned_ns && !record->own)
		window_durable(&measurer->counts.window,
			&(struct window_load){ record->seq, record->returned_ns },
			measurer_boot_ns());
	tell_record(measurer->setup.say, measurer->conf->journal_loads, record);
}

static int log_start(struct measurer *measurer)
{
	const struct conf *conf = measurer->conf;
	char aside[CONF_PATH_SIZE + 64];
	int err = 0;

	log_free(measurer->log);
	measurer->log = NULL;
	db_free(measurer->db);
	measurer->db = db_new();
	if (!measurer->db) {
		measurer_fault(measurer, FAULT_SLOT_LOG, FAULT_MEMORY, "out of memory");
		return -ENOMEM;
	}
	if (measurer->mend & MEND_SET_ASIDE) {
		err = db_set_aside(measurer->db, conf->log_path, aside, sizeof(aside));
		if (!err)
			say_text(measurer->setup.say, SAY_NOTE, LOG_WARNING,
				"the damaged log is %s now", aside);
		measurer->mend = 0;
	}
	if (!err || err == -ENOENT)
		err = db_create(measurer->db, conf->log_path);
	if (err)
		return measurer_fail_log(measurer, err);
	log_group(conf);
	measurer->log = log_new(measurer->db, conf->log_program_store);
	if (!measurer->log)
		return measurer_fail_log(measurer, -ENOMEM);
	log_listen(measurer->log, on_committed, measurer);
	err = log_open(measurer->log);
	if (err)
		return measurer_fail_log(measurer, err);
	measurer->last_exit = log_last_exit(measurer->log);
	measurer_mended(measurer, FAULT_SLOT_LOG);
	return 0;
}

/* ---- hooks ---- */

struct probe_options measurer_probe_options(const struct conf *conf)
{
	return (struct probe_options){
		.ring_size = conf->measure_ring_size,
		.map_content_max = conf->measure_map_content_max,
		.exe_hash_max = conf->measure_exe_hash_max,
	};
}

static int hooks_start(struct measurer *measurer)
{
	struct probe_options options = measurer_probe_options(measurer->conf);
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

/* The ids of the time before, known by now, do not end where the hooks' own begin. Where they are not known,
 * and the hooks were there before us, they begin where the hooks' own end. */
static int own_ids(struct measurer *measurer)
{
	uint32_t first, last;

	if (!probe_own_ids(measurer->probe, &first, &last))
		return 0;
	if (measurer->ids.low == UINT64_MAX && probe_was_pinned(measurer->probe) &&
		!measurer->read_end)
		seen_init(&measurer->ids, measurer->excused_from[0] = last + 1);
	for (uint32_t id = first; id <= last; id++)
		measurer_id_seen(measurer, id);
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

static int put_start(struct measurer *measurer)
{
	unsigned in_use = probe_wanted(measurer->probe) & measurer->hooks_shown;
	unsigned expected = probe_expected(measurer->probe);
	struct log_put put = { .kind = RECORD_START, .keep = true };
	struct record_start start = {
		.version = { VERSION, strlen(VERSION) },
		.exe_sha256 = file_digest("/proc/self/exe"),
		.conf_sha256 = measurer->conf_sha256,
		.next_program_id = measurer->highest_id + 1,
		.last_exit = measurer->last_exit,
		.kept_measuring = probe_was_pinned(measurer->probe),
		.attached_ns = probe_state(measurer->probe)->attached_ns,
	};

	int err;

	for (enum event_hook hook = 0; hook < HOOK_COUNT; hook++) {
		const char *name = probe_hook_name(measurer->probe, hook);

		if (in_use & 1U << hook)
			start.hooks[start.hook_count++] = name;
		else if (expected & 1U << hook)
			start.missing[start.missing_count++] = name;
	}
	err = log_put(measurer->log, &put, &start, NULL);
	return err ? measurer_fail_log(measurer, err) : 0;
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

/* What is missing of the time before is owned up to before anybody can ask: the canaries take longer than
 * any event that was still being written. */
static int holes_before(struct measurer *measurer)
{
	measurer_give_up_holes(measurer);
	return 0;
}

/* Where the TPM was lost since the step before, it is connected to again. */
static int locate(struct measurer *measurer)
{
	int err = 0;

	if (!measurer_is_well(measurer, FAULT_SLOT_TPM))
		err = measurer_tpm_connect(measurer);
	return err ? err : measurer_locate(measurer);
}

/*
 * What is left once the hooks record; each step relies on those above it, and one that fails is done
 * again.
 *
 * An epoch begins with the programs that are loaded; what pinned hooks saw meanwhile is newer than
 * the last record, so it is known from where to read before those are asked for.
 */
static int (*const steps[])(struct measurer *) = {
	log_start,
	measurer_ring_restore,
	own_ids,
	measurer_tpm_connect,
	locate,
	measurer_drain,
	measurer_baseline,
	holes_before,
	measurer_canaries,
	holes_before,
	put_start,
	measurer_commit,
};
enum { STEP_COUNT = sizeof(steps) / sizeof(steps[0]) };

bool measurer_is_started(const struct measurer *measurer)
{
	return measurer->step == STEP_COUNT;
}

int measurer_go_on(struct measurer *measurer)
{
	int err;

	for (; measurer->step < STEP_COUNT; measurer->step++) {
		measurer->setup.alive(measurer->setup.alive_arg);
		err = steps[measurer->step](measurer);
		if (err)
			return err;
	}
	return 0;
}

/* What no waiting mends. */
static bool is_hopeless(const struct measurer *measurer, int err)
{
	return measurer->faults[FAULT_SLOT_TPM].kind == FAULT_TPM_UNSUITABLE ||
		(measurer->step == 0 && (err == -EBUSY || err == -EMEDIUMTYPE || err == -EINVAL));
}

int measurer_start(struct measurer *measurer, const struct measurer_setup *setup, unsigned mend)
{
	const struct measurer_counts counts = measurer->counts;
	const struct conf *conf = setup->conf;
	char text[MEASURER_TROUBLE_MAX];
	int err;

	memset(measurer, 0, sizeof(*measurer));
	measurer->counts = counts;
	measurer->setup = *setup;
	measurer->conf = conf;
	measurer->conf_sha256 = file_digest(setup->conf_path);
	measurer->mend = mend & MEND_SET_ASIDE;
	err = objects_new(measurer);
	if (!err)
		err = trust_start(measurer);
	if (!err)
		err = dir_ensure(measurer, conf->log_path);
	if (!err)
		err = dir_ensure(measurer, conf->socket_path);
	if (!err && mend & MEND_REATTACH && probe_detach(measurer->probe))
		err = fail(measurer, -EIO, "hooks: %s", probe_errmsg(measurer->probe));
	if (!err)
		err = hooks_start(measurer);
	if (err)
		return err;
	err = measurer_go_on(measurer);
	if (err && is_hopeless(measurer, err))
		return fail(measurer, err, "%s", measurer_trouble(measurer, text));
	return 0;
}

void measurer_done(struct measurer *measurer)
{
	measurer->counts.malformed += measurer->collect.malformed;
	if (measurer->trail)
		measurer->counts.audit_failed += trail_failed(measurer->trail);
	collect_done(&measurer->collect);
	free(measurer->ends);
	free(measurer->gone);
	programs_done(&measurer->programs);
	attached_done(&measurer->attached);
	window_done(&measurer->counts.window);
	ring_close(measurer->ring);
	probe_free(measurer->probe);
	tpm_free(measurer->tpm);
	log_free(measurer->log);
	db_free(measurer->db);
	trail_free(measurer->trail);
	cms_trust_free(measurer->trust);
}
