# SPDX-License-Identifier: BSD-2-Clause
# The rest of what `bpfmeasure --completion bash` prints, behind _bpfmeasure_table(), which sets
# takes, words and options for a verb and the word before the cursor.
# shellcheck shell=bash

# Of the words on stdin those that begin as the one at the cursor does. readline replaces no more than
# what is behind a colon. Words may be anybody's: they are quoted, and never expanded.
_bpfmeasure_offer()
{
	local word whole=$1 kept=''
	case $whole in *:*) kept=${whole%"${whole##*:}"} ;; esac
	while IFS= read -r word; do
		case $word in "$whole"*) ;; *) continue ;; esac
		printf -v word %q "${word#"$kept"}"
		COMPREPLY+=("$word")
	done
}

_bpfmeasure()
{
	local cur=${COMP_WORDS[COMP_CWORD]} verb='' i=$((COMP_CWORD - 1)) j
	local takes='' words='' options=''

	COMPREPLY=()
	# --option=value and HOST:PORT come in pieces
	if [[ $cur == '=' ]]; then
		cur=''
		i=$((i + 1))
	fi
	while ((i > 1)) && [[ $cur == :* || ${COMP_WORDS[i]} == *: ]]; do
		cur=${COMP_WORDS[i]}$cur
		i=$((i - 1))
	done
	if [[ ${COMP_WORDS[i]} == '=' ]]; then
		i=$((i - 1))
	fi
	if ((COMP_CWORD > 1)); then
		verb=${COMP_WORDS[1]}
	fi
	_bpfmeasure_table "$verb" "${COMP_WORDS[i]}"

	# behind -- there are arguments only
	for ((j = 2; j <= i; j++)); do
		if [[ ${COMP_WORDS[j]} == '--' ]]; then
			options=''
		fi
	done
	if [[ $options && $cur == -* ]]; then
		takes='word'
		words=$options
	fi
	case $takes in
	word | policy)
		_bpfmeasure_offer "$cur" <<<"${words// /$'\n'}"
		;;
	bank)
		compopt -o nospace
		_bpfmeasure_offer "$cur" <<<$'sha1:\nsha256:\nsha384:\nsha512:'
		;;
	machine)
		_bpfmeasure_offer "$cur" < <(command bpfmeasure --completion machines 2>/dev/null)
		;;
	host)
		_bpfmeasure_offer "$cur" < <(compgen -A hostname)
		;;
	command)
		_bpfmeasure_offer "$cur" < <(compgen -A command)
		;;
	esac
	# names of files are readline's to find, and to quote
	case $takes in
	file | policy) compopt -o default ;;
	folder) compopt -o dirnames ;;
	esac
}

complete -F _bpfmeasure bpfmeasure
