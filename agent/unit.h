/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The systemd unit that a cgroup is of, by its path alone: nobody is asked, so a path has the same
 * unit on every machine, whether or not systemd made it.
 *
 * The rules are those of systemd's cg_path_get_unit(), cg_path_get_user_unit(), cg_unescape() and
 * unit_name_is_valid(); systemd.unit(5) has the names.
 */
#ifndef AGENT_UNIT_H
#define AGENT_UNIT_H

#include "bpf/record.h"

enum { UNIT_NAME_MAX = 255, UNIT_TEXT_MAX = UNIT_NAME_MAX + 1 + UNIT_NAME_MAX };

/*
 * The first name on the path behind those of slices, where it is a unit's. Behind a user's manager
 * (user@1000.service) that user's own unit follows, after a slash: "user@1000.service/foo.service".
 * Names of units have no slash, so a user's unit never passes for one of the system's.
 *
 * cgroup  the path from the hierarchy's root, any bytes.
 *
 * Returns a text in room, none where the path has no unit: of a container that systemd does not
 * know, of a slice itself, of the root.
 */
struct record_text unit_of_cgroup(struct record_text cgroup, char room[static UNIT_TEXT_MAX]);

#endif
