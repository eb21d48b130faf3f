// SPDX-License-Identifier: BSD-2-Clause
/* bpfmeasure doctor: the kernel's audit trail, to which the daemon adds a record for each load. */
#include <errno.h>
#include <jansson.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "cli/doctor.h"

struct reply {
	struct nlmsghdr head;
	union {
		struct audit_status status;
		struct nlmsgerr error;
		char room[512];
	};
};

/* Returns 0; -EPERM without CAP_AUDIT_CONTROL; another negative errno. */
static int ask_kernel(int fd, struct audit_status *ret_status)
{
	const struct timeval timeout = { .tv_sec = 1 };
	const struct nlmsghdr request = { .nlmsg_len = sizeof(request),
		.nlmsg_type = AUDIT_GET,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK };
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct reply reply = {};

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
		sendto(fd, &request, sizeof(request), 0, (struct sockaddr *)&kernel,
			sizeof(kernel)) < 0)
		return -errno;
	for (;;) { /* the acknowledgement, and the answer */
		ssize_t len = recv(fd, &reply, sizeof(reply), 0);

		if (len < 0)
			return -errno;
		if ((size_t)len < sizeof(reply.head) + sizeof(reply.error.error))
			return -EPROTO;
		if (reply.head.nlmsg_type == NLMSG_ERROR && reply.error.error < 0)
			return reply.error.error;
		if (reply.head.nlmsg_type != AUDIT_GET)
			continue;
		*ret_status = reply.status; /* older kernels tell less of it: the rest is zero */
		return 0;
	}
}

static int audit_status(struct audit_status *ret_status)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);

	if (fd < 0)
		return -errno;
	int r = ask_kernel(fd, ret_status);
	close(fd);
	return r;
}

static bool is_switched_off(const struct doctor *doctor)
{
	char line[4096];

	if (doctor_line(doctor, "/proc/cmdline", line, sizeof(line)) < 0)
		return false;
	return doctor_list_has(line, " ", "audit=0") || doctor_list_has(line, " ", "audit=off");
}

/* What the kernel says of itself; as root only. Returns whether it did. */
static bool see_status(struct doctor *doctor)
{
	struct audit_status status = {};

	if (*doctor->root || audit_status(&status) < 0)
		return false;
	if (status.enabled == 0) {
		doctor_find(doctor, DOCTOR_NOTE,
			"the kernel's audit is off: loads are in our log, but not in the audit trail");
		doctor_do(doctor,
			"Should you want them there, install a daemon that takes them, which "
			"switches it on:\n\tsudo apt install auditd");
	} else if (status.pid == 0) {
		doctor_find(doctor, DOCTOR_NOTE,
			"the kernel's audit is on, but no auditd takes its records: they go to the "
			"kernel's messages, and a flood of them holds programs up");
		doctor_do(doctor, "\tsudo apt install auditd");
	} else {
		doctor_find(doctor, DOCTOR_OK,
			"auditd (process %u) takes the audit trail: %u records wait, %u were lost",
			status.pid, status.backlog, status.lost);
	}
	return true;
}

void doctor_audit(struct doctor *doctor)
{
	json_int_t failed = json_integer_value(json_object_get(doctor->status, "audit_failed"));

	if (failed > 0) {
		doctor_find(doctor, DOCTOR_NOTE,
			"%lld loads are in our log, but not in the audit trail: the kernel did not take "
			"them",
			(long long)failed);
		doctor_do(doctor, "See what keeps it from that:\n\tsudo auditctl -s");
	}
	if (strcmp(doctor->conf.audit, "no") == 0)
		doctor_find(doctor, DOCTOR_OK,
			"loads are not sent to the kernel's audit trail: agent.conf says so");
	else if (!doctor_has(doctor, "/proc/self/loginuid") && doctor_has(doctor, "/proc/self"))
		doctor_find(doctor, DOCTOR_NOTE,
			"this kernel has no audit trail: loads are in our log only");
	else if (is_switched_off(doctor))
		doctor_find(doctor, DOCTOR_NOTE,
			"the kernel's audit is switched off (audit=0 on its command line): loads are in "
			"our log only");
	else if (see_status(doctor))
		return;
	else if (doctor_has(doctor, "/run/auditd.pid"))
		doctor_find(doctor, DOCTOR_OK, "auditd takes the audit trail");
	else
		doctor_find(doctor, DOCTOR_NOTE,
			"there is no auditd: unless the kernel's audit is on all the same, which only "
			"root can see, loads are in our log only");
}
