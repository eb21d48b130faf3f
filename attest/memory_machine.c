/* SPDX-License-Identifier: BSD-2-Clause */
/* The machines that a verifier knows. */
#include "attest/memory_own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MACHINE_COLUMNS "name, address, mode, tpm, ak, ek, pcr, base_banks, base, enrolled_ns"

/* ---- a row ---- */

bool memory_mode(sqlite3_stmt *stmt, int column, enum machine_mode *ret_mode)
{
	char word[32];

	if (!memory_text(stmt, column, word, sizeof(word)))
		return false;
	for (enum machine_mode mode = MACHINE_EK_CERT; mode <= MACHINE_FIRST_USE; mode++)
		if (strcmp(word, machine_mode_name(mode)) == 0) {
			*ret_mode = mode;
			return true;
		}
	return false;
}

bool memory_tpm(sqlite3_stmt *stmt, int column, enum machine_tpm *ret_tpm)
{
	char word[32];

	if (!memory_text(stmt, column, word, sizeof(word)))
		return false;
	for (enum machine_tpm tpm = MACHINE_UNPROVEN; tpm <= MACHINE_SOFTWARE; tpm++)
		if (strcmp(word, machine_tpm_name(tpm)) == 0) {
			*ret_tpm = tpm;
			return true;
		}
	return false;
}

static int read_machine(struct memory *memory, sqlite3_stmt *stmt, struct machine *ret_machine)
{
	struct machine machine = {
		.pcr = (unsigned)memory_number(stmt, 6),
		.base_banks = (bank_set)memory_number(stmt, 7),
		.enrolled_ns = memory_number(stmt, 9),
	};

	if (!memory_text(stmt, 0, machine.name, sizeof(machine.name)) ||
		!memory_text(stmt, 1, machine.address, sizeof(machine.address)) ||
		!memory_mode(stmt, 2, &machine.mode) || !memory_tpm(stmt, 3, &machine.tpm) ||
		!memory_bytes(stmt, 4, machine.ak, sizeof(machine.ak), &machine.ak_len) ||
		!memory_bytes(stmt, 5, machine.ek, sizeof(machine.ek), &machine.ek_len) ||
		!memory_is_number(stmt, 6, EVIDENCE_PCR_MAX) ||
		!memory_is_number(stmt, 7, (1u << BANK_COUNT) - 1) ||
		!memory_exactly(stmt, 8, &machine.base, sizeof(machine.base)))
		return memory_damaged(memory, "a machine's row");
	*ret_machine = machine;
	return 0;
}

/* ---- put, get, remove ---- */

struct putting {
	const struct machine *machine;
	bool replace;
};

static bool is_same_keys(const struct machine *a, const struct machine *b)
{
	return a->ak_len == b->ak_len && memcmp(a->ak, b->ak, a->ak_len) == 0 &&
		a->ek_len == b->ek_len && memcmp(a->ek, b->ek, a->ek_len) == 0;
}

static int put(struct memory *memory, void *arg)
{
	const struct putting *putting = arg;
	const struct machine *machine = putting->machine;
	struct machine old;
	int r = memory_machine_get(memory, machine->name, &old);

	if (r && r != -ENOENT)
		return r;
	if (!r && !putting->replace && !is_same_keys(&old, machine))
		return memory_refuse(
			memory, -EEXIST, "%s is enrolled with other keys", machine->name);
	if (!r && putting->replace)
		r = memory_do(memory, "DELETE FROM machine WHERE name=?1", "t", machine->name);
	if (r && r != -ENOENT)
		return r;
	return memory_do(memory,
		"INSERT INTO machine(" MACHINE_COLUMNS ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)"
		" ON CONFLICT(name) DO UPDATE SET address=excluded.address, mode=excluded.mode,"
		" tpm=excluded.tpm, pcr=excluded.pcr, base_banks=excluded.base_banks,"
		" base=excluded.base, enrolled_ns=excluded.enrolled_ns",
		"ttttbbnnbn", machine->name, machine->address, machine_mode_name(machine->mode),
		machine_tpm_name(machine->tpm), machine->ak, machine->ak_len, machine->ek,
		machine->ek_len, (uint64_t)machine->pcr, (uint64_t)machine->base_banks,
		&machine->base, sizeof(machine->base), machine->enrolled_ns);
}

int memory_machine_put(struct memory *memory, const struct machine *machine, bool replace)
{
	struct putting putting = { .machine = machine, .replace = replace };

	return memory_transact(memory, put, &putting);
}

int memory_machine_get(struct memory *memory, const char *name, struct machine *ret_machine)
{
	[[gnu::cleanup(memory_stmt_freep)]] sqlite3_stmt *stmt = NULL;
	int r = memory_ask(
		memory, &stmt, "SELECT " MACHINE_COLUMNS " FROM machine WHERE name=?1", "t", name);

	if (r == 0)
		return memory_refuse(memory, -ENOENT, "%s is not enrolled", name);
	return r < 0 ? r : read_machine(memory, stmt, ret_machine);
}

int memory_machine_remove(struct memory *memory, const char *name)
{
	int r = memory_do(memory, "DELETE FROM machine WHERE name=?1", "t", name);

	if (!r && sqlite3_changes(memory->sql) == 0)
		return memory_refuse(memory, -ENOENT, "%s is not enrolled", name);
	return r;
}

/* By name, one statement each: fn may write to the memory meanwhile. */
static int next_machine(struct memory *memory, const char *after, struct machine *ret_machine)
{
	[[gnu::cleanup(memory_stmt_freep)]] sqlite3_stmt *stmt = NULL;
	int r = memory_ask(memory, &stmt,
		"SELECT " MACHINE_COLUMNS " FROM machine WHERE name>?1 ORDER BY name LIMIT 1", "t",
		after);

	if (r != 1)
		return r;
	r = read_machine(memory, stmt, ret_machine);
	return r ? r : 1;
}

static void freep(struct machine **machine)
{
	free(*machine);
}

int memory_machines_each(
	struct memory *memory, int (*fn)(void *arg, const struct machine *machine), void *arg)
{
	[[gnu::cleanup(freep)]] struct machine *machine = calloc(1, sizeof(*machine));
	int r, stop = 0;

	if (!machine)
		return memory_refuse(memory, -ENOMEM, "not enough memory");
	while ((r = next_machine(memory, machine->name, machine)) > 0)
		if ((stop = fn(arg, machine)) != 0)
			return stop;
	return r;
}
