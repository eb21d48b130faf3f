# SPDX-License-Identifier: BSD-2-Clause
# The rest of what `bpfmeasure --completion zsh` prints, behind _bpfmeasure_verbs(), which sets verbs, and
# _bpfmeasure_verb(), which completes the words of one.

_bpfmeasure_machines()
{
	local -a names
	names=(${(f)"$(command bpfmeasure --completion machines 2>/dev/null)"})
	compadd "$@" -a names
}

_bpfmeasure_policies()
{
	local -a policies
	policies=(${=_bpfmeasure_policy_names})
	_alternative 'policies:shipped policy:compadd -a policies' 'files:file:_files -g "*.sql"'
}

_bpfmeasure()
{
	local curcontext=$curcontext context state state_descr line
	local -A opt_args
	local -a verbs

	_arguments -C '(- *)--help[the verbs]' '(- *)--version[the version]' \
		'(- *)--completion[print what a shell completes by]:word:(bash zsh machines)' \
		'1:verb:->verb' '*::argument:->argument' && return
	case $state in
	verb)
		_bpfmeasure_verbs
		_describe -t verbs verb verbs
		;;
	argument)
		curcontext=${curcontext%:*:*}:bpfmeasure-$words[1]:
		_bpfmeasure_verb $words[1]
		;;
	esac
}

_bpfmeasure "$@"
