// SPDX-License-Identifier: BSD-2-Clause
/* The statements and the style are files of their own, and part of the program. */
#include "cli/report_own.h"

#define EMBEDDED(name, path)                                                                       \
	__asm__(".pushsection .rodata\n"                                                           \
		".global " #name "\n" #name ": .incbin \"" path "\"\n.byte 0\n"                    \
		".popsection\n")

EMBEDDED(report_sql, "cli/report.sql");
EMBEDDED(report_tables_sql, "cli/report_tables.sql");
EMBEDDED(report_css, "cli/report.css");
