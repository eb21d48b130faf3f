// SPDX-License-Identifier: BSD-2-Clause
/* bpfmeasure doctor: what the daemon says of itself. */
#include <errno.h>
#include <jansson.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/doctor.h"

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static json_int_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* ---- is it there, and what troubles it ---- */

static void see_silent(struct doctor *doctor)
{
	if (doctor->status_error == -EACCES) {
		doctor_find(doctor, DOCTOR_NOT_SEEN,
			"the daemon was not asked: only root and the group %s may",
			doctor->conf.group);
		doctor_do_join(doctor);
		return;
	}
	if (!doctor->was_asked || !doctor_daemon_is_here(doctor))
		return; /* nobody was to be expected: doctor_installed() */
	doctor_find(doctor, DOCTOR_PROBLEM, "%s: nothing is recorded but what waits in the kernel",
		doctor->status_why);
	doctor_do(doctor,
		"Start it; where that fails, see why:\n\tsudo systemctl start bpfmeasured\n\t"
		"sudo journalctl -b -u bpfmeasured");
}

static void see_faults(struct doctor *doctor)
{
	const json_t *faults = json_object_get(doctor->status, "faults");
	json_t *fault;
	size_t i;

	json_array_foreach(faults, i, fault)
	{
		const char *remedy = text_of(fault, "remedy");

		doctor_find(doctor, DOCTOR_PROBLEM, "%s: %s", text_of(fault, "fault"),
			text_of(fault, "what"));
		if (*remedy)
			doctor_do(doctor, "%s", remedy);
	}
	if (json_array_size(faults) > 0)
		return;
	if (strcmp(text_of(doctor->status, "state"), "measuring") == 0)
		doctor_find(doctor, DOCTOR_OK, "the daemon is measuring");
	else
		doctor_find(doctor, DOCTOR_PROBLEM, "the daemon is %s: %s",
			text_of(doctor->status, "state"), text_of(doctor->status, "why"));
}

void doctor_daemon(struct doctor *doctor)
{
	const char *version = text_of(doctor->status, "version");

	if (!doctor->status) {
		see_silent(doctor);
		return;
	}
	see_faults(doctor);
	if (strcmp(version, VERSION) == 0)
		return;
	doctor_find(doctor, DOCTOR_NOTE, "the daemon is of version %s, this program of %s", version,
		VERSION);
	doctor_do(doctor,
		"Where the daemon was upgraded and not restarted:\n\tsudo systemctl restart "
		"bpfmeasured");
}

/* ---- hooks, and what got by them ---- */

static void join(const json_t *names, char *ret, size_t size)
{
	size_t i, len = 0;
	json_t *name;

	ret[0] = '\0';
	json_array_foreach(names, i, name)
	{
		if (json_is_string(name) && len < size)
			len += (size_t)snprintf(ret + len, size - len, "%s%s", len ? ", " : "",
				json_string_value(name));
	}
}

static void see_counts(struct doctor *doctor)
{
	const struct {
		const char *key, *what;
	} counts[] = {
		{ "lost", "loads or events are recorded as lost" },
		{ "dropped_events", "events found the kernel's ring full" },
		{ "malformed_events", "events made no sense" },
	};
	const json_t *ring = json_object_get(doctor->status, "ring");

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (number_of(doctor->status, counts[i].key) == 0)
			continue;
		doctor_find(doctor, DOCTOR_NOTE, "%lld %s",
			(long long)number_of(doctor->status, counts[i].key), counts[i].what);
		doctor_do(doctor, "When, how many and why:\n\tbpfmeasure log --kind lost");
	}
	if (number_of(ring, "held") <= number_of(ring, "size") / 2)
		return;
	doctor_find(doctor, DOCTOR_PROBLEM,
		"the kernel's ring is more than half full: loads come faster "
		"than they are recorded");
	doctor_do(doctor,
		"Unless it empties by itself, enlarge ring_size in [measure] of "
		"/etc/bpfmeasure/agent.conf; who loads so much:\n\tbpfmeasure query \"SELECT "
		"loader_exe, count(*) FROM load GROUP BY loader_exe ORDER BY 2 DESC\"");
}

void doctor_hooks(struct doctor *doctor)
{
	const json_t *missing = json_object_get(doctor->status, "missing");
	bool measuring = strcmp(text_of(doctor->status, "state"), "measuring") == 0;
	size_t in_use = json_array_size(json_object_get(doctor->status, "hooks"));
	char names[1024];

	if (!doctor->status)
		return;
	join(missing, names, sizeof(names));
	if (*names) {
		doctor_find(doctor, measuring ? DOCTOR_NOTE : DOCTOR_PROBLEM,
			"%zu hooks have shown their canaries; missing: %s", in_use, names);
		doctor_do(doctor,
			"docs/kernels.md, \"What is missing, and what that means\", has each.");
	} else {
		doctor_find(doctor, DOCTOR_OK, "all %zu hooks have shown their canaries", in_use);
	}
	see_counts(doctor);
}

/* ---- the attestation server ---- */

static void x509_freep(X509 **certificate)
{
	X509_free(*certificate);
}

/* Of a certificate of one's own; the one that the server makes itself does not end. */
static void see_certificate(struct doctor *doctor)
{
	enum { SOON_S = 30 * 86400 };
	const char *path = doctor->conf.certificate;
	char word[DOCTOR_QUOTED_MAX];
	[[gnu::cleanup(doctor_buf_freep)]] char *pem = NULL;
	time_t now = time(NULL), soon = now + SOON_S;
	size_t len;

	if (*path != '/')
		return;
	int r = doctor_read(doctor, path, DOCTOR_FILE_MAX, &pem, &len);
	BIO *bio = r == 0 ? BIO_new_mem_buf(pem, (int)len) : NULL;
	[[gnu::cleanup(x509_freep)]] X509 *certificate = bio
		? PEM_read_bio_X509(bio, NULL, NULL, NULL)
		: NULL;
	BIO_free(bio);
	if (r < 0) {
		doctor_find(doctor, DOCTOR_NOT_SEEN, "the server's certificate %s: %s", path,
			strerror(-r));
		doctor_do_as_root(doctor);
	} else if (!certificate) {
		doctor_find(doctor, DOCTOR_PROBLEM, "%s is no certificate in PEM", path);
		doctor_do(doctor, "\topenssl x509 -noout -text -in %s", doctor_word(path, word));
	} else if (X509_cmp_time(X509_get0_notAfter(certificate), &soon) < 0) {
		doctor_find(doctor, DOCTOR_PROBLEM, "the server's certificate %s %s", path,
			X509_cmp_time(X509_get0_notAfter(certificate), &now) < 0
				? "has expired"
				: "expires within 30 days");
		doctor_do(doctor,
			"Put a new one there, and then:\n\tsudo systemctl restart bpfmeasured");
	}
}

void doctor_server(struct doctor *doctor)
{
	const json_t *attest = json_object_get(doctor->status, "attest");
	const char *state = text_of(attest, "state"), *listen = text_of(attest, "listen");

	see_certificate(doctor);
	if (!attest)
		return;
	if (strcmp(state, "failed") == 0 || strcmp(state, "restarting") == 0) {
		doctor_find(doctor, DOCTOR_PROBLEM, "the attestation server is %s: %s", state,
			text_of(attest, "why"));
		doctor_do(doctor,
			"docs/operations.md, \"The attestation server\", has what ends that.");
	} else {
		doctor_find(doctor, DOCTOR_OK, "the attestation server is %s%s%s", state,
			*listen ? " on " : ", and not on the network", listen);
	}
}
