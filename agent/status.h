/* SPDX-License-Identifier: BSD-2-Clause */
/* What the measurer says of itself, as JSON (docs/format.md, "Status"). */
#ifndef AGENT_STATUS_H
#define AGENT_STATUS_H

#include "agent/measurer.h"

struct cross;

/* One compact object without a newline, for the caller to free(); NULL without memory. */
char *status_json(const struct measurer *measurer);

/* The same of the programs that are loaded now (docs/format.md, "Programs loaded now"). */
char *status_loaded_json(const struct measurer *measurer, const struct cross *cross);

#endif
