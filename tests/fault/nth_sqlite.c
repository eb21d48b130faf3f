// SPDX-License-Identifier: BSD-2-Clause
/*
 * SQLite as db/ calls it. A call that fails does nothing, and the handle's error is what SQLite would
 * make it, until the next call.
 */
#include <sqlite3.h>
#include <stdarg.h>

#include "tests/fault/nth.h"

static const int codes[] = { SQLITE_NOMEM, SQLITE_IOERR_READ, SQLITE_BUSY, SQLITE_FULL };
static _Thread_local int injected; /* SQLITE_OK: the last call was SQLite's own */

static bool fails(const char *name)
{
	bool yes = nth_fails(NTH_SQLITE, name);

	injected = yes ? codes[nth_variant(sizeof(codes) / sizeof(codes[0]))] : SQLITE_OK;
	return yes;
}

/* Where there is no handle yet, or only memory can lack. */
static bool fails_without_memory(const char *name)
{
	bool yes = nth_fails(NTH_SQLITE, name);

	injected = yes ? SQLITE_NOMEM : SQLITE_OK;
	return yes;
}

#define WRAP(name, params, ...)                                                                    \
	int __real_##name params;                                                                  \
	int __wrap_##name params;                                                                  \
	int __wrap_##name params                                                                   \
	{                                                                                          \
		return fails(#name) ? injected : __real_##name(__VA_ARGS__);                       \
	}

#define WRAP_VALUE(type, name, params, ...)                                                        \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return fails_without_memory(#name) ? NULL : __real_##name(__VA_ARGS__);            \
	}

/* ---- what it says of the last call ---- */

int __real_sqlite3_errcode(sqlite3 *sql);
int __wrap_sqlite3_errcode(sqlite3 *sql);
int __wrap_sqlite3_errcode(sqlite3 *sql)
{
	return injected ? injected : __real_sqlite3_errcode(sql);
}

int __real_sqlite3_extended_errcode(sqlite3 *sql);
int __wrap_sqlite3_extended_errcode(sqlite3 *sql);
int __wrap_sqlite3_extended_errcode(sqlite3 *sql)
{
	return injected ? injected : __real_sqlite3_extended_errcode(sql);
}

const char *__real_sqlite3_errmsg(sqlite3 *sql);
const char *__wrap_sqlite3_errmsg(sqlite3 *sql);
const char *__wrap_sqlite3_errmsg(sqlite3 *sql)
{
	return injected ? sqlite3_errstr(injected) : __real_sqlite3_errmsg(sql);
}

/* ---- calls ---- */

WRAP(sqlite3_prepare_v2,
	(sqlite3 * sql, const char *text, int len, sqlite3_stmt **stmt, const char **tail), sql,
	text, len, stmt, tail)
WRAP(sqlite3_prepare_v3,
	(sqlite3 * sql, const char *text, int len, unsigned flags, sqlite3_stmt **stmt,
		const char **tail),
	sql, text, len, flags, stmt, tail)
WRAP(sqlite3_step, (sqlite3_stmt * stmt), stmt)
WRAP(sqlite3_exec,
	(sqlite3 * sql, const char *text, int (*fn)(void *, int, char **, char **), void *arg,
		char **error),
	sql, text, fn, arg, error)
WRAP(sqlite3_bind_int64, (sqlite3_stmt * stmt, int at, sqlite3_int64 value), stmt, at, value)
WRAP(sqlite3_bind_blob,
	(sqlite3_stmt * stmt, int at, const void *data, int len, void (*done)(void *)), stmt, at,
	data, len, done)
WRAP(sqlite3_bind_text,
	(sqlite3_stmt * stmt, int at, const char *text, int len, void (*done)(void *)), stmt, at,
	text, len, done)
WRAP(sqlite3_bind_zeroblob, (sqlite3_stmt * stmt, int at, int len), stmt, at, len)
WRAP(sqlite3_busy_timeout, (sqlite3 * sql, int ms), sql, ms)
WRAP(sqlite3_file_control, (sqlite3 * sql, const char *name, int op, void *arg), sql, name, op, arg)
WRAP_VALUE(const void *, sqlite3_column_blob, (sqlite3_stmt * stmt, int column), stmt, column)
WRAP_VALUE(
	const unsigned char *, sqlite3_column_text, (sqlite3_stmt * stmt, int column), stmt, column)
WRAP_VALUE(const char *, sqlite3_column_name, (sqlite3_stmt * stmt, int column), stmt, column)

int __real_sqlite3_open_v2(const char *path, sqlite3 **sql, int flags, const char *vfs);
int __wrap_sqlite3_open_v2(const char *path, sqlite3 **sql, int flags, const char *vfs);
int __wrap_sqlite3_open_v2(const char *path, sqlite3 **sql, int flags, const char *vfs)
{
	if (!fails_without_memory("sqlite3_open_v2"))
		return __real_sqlite3_open_v2(path, sql, flags, vfs);
	*sql = NULL;
	return SQLITE_NOMEM;
}

/* db/ asks for switches only: an int and a pointer to one. */
int __real_sqlite3_db_config(sqlite3 *sql, int option, ...);
int __wrap_sqlite3_db_config(sqlite3 *sql, int option, ...);
int __wrap_sqlite3_db_config(sqlite3 *sql, int option, ...)
{
	va_list args;

	if (fails("sqlite3_db_config"))
		return injected;
	va_start(args, option);
	int value = va_arg(args, int);
	int *ret = va_arg(args, int *);
	va_end(args);
	return __real_sqlite3_db_config(sql, option, value, ret);
}
