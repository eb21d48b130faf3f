/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replay: what a PCR must hold after a log, computed from the log's lines alone.
 *
 * The lines are hashed as they are, whether they mean anything or not; what they say of themselves
 * (seq, prev) is compared with their places, and the first contradiction of each kind is kept. So
 * the caller may look at the values first, as a verifier does, and at the lines' word afterwards.
 */
#ifndef ATTEST_REPLAY_H
#define ATTEST_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/bank.h"
#include "bpf/line.h"
#include "bpf/record.h"
