/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `bpfmeasure --completion WORD`: what makes a shell complete our command lines, out of the table of
 * verbs. Nothing in it is of a shell's package of completions.
 */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

/*
 * word  bash, zsh: the script for that shell, on stdout
 *       machines: the names of those that are enrolled, one a line, which both scripts ask for when they
 *       need them. Bytes as they are: names have no white space and nothing that is not printable
 *
 * Returns an exit code; what is wrong was said. Without a memory there are no machines.
 */
[[nodiscard]] int completion_print(const char *word);

#endif
