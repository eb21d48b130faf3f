# SPDX-License-Identifier: BSD-2-Clause
# bash completion of bpfmeasured(8)
# shellcheck shell=bash

_bpfmeasured()
{
	local cur=${COMP_WORDS[COMP_CWORD]} i=$((COMP_CWORD - 1))

	COMPREPLY=()
	if [[ $cur == '=' ]]; then # --config=FILE comes in pieces
		i=$((i + 1))
	fi
	if [[ ${COMP_WORDS[i]} == '=' ]]; then
		i=$((i - 1))
	fi
	if [[ ${COMP_WORDS[i]} == '--config' ]]; then
		compopt -o default
	else
		mapfile -t COMPREPLY < <(compgen -W '--config --check --attach --detach --software-tpm --version --help' -- "$cur")
	fi
}

complete -F _bpfmeasured bpfmeasured
