# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# Debian's packages of several suites by an apt of our own, to be sourced: it works on a state below
# $cache/apt, and the system's sources are only read. Newer suites serve what older ones have dropped; apt
# goes by version, not by this order. A mirror that lags behind will do: what it has is signed all the same.
suites="bookworm bookworm-backports trixie trixie-backports sid experimental"

say() { echo "vm: $*" >&2; }

die() {
	code=$1
	shift
	say "$*"
	exit "$code"
}

apt_private() {
	tool=$1
	shift
	"$tool" -qq -o Dir::State="$cache/apt" -o Dir::State::status=/dev/null \
		-o Dir::Cache="$cache/apt/cache" -o Dir::Etc::sourcelist="$cache/apt/debian.sources" \
		-o Dir::Etc::sourceparts=/dev/null -o APT::Sandbox::User= -o Debug::NoLocking=true \
		-o Acquire::Check-Valid-Until=false "$@"
}

mirror() {
	# shellcheck disable=SC2016 # apt's own variables
	apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
		awk '$1 ~ /^(bookworm|trixie|stable)$/ && $2 == "main" { print $3; exit }'
}

update() {
	uri=$(mirror)
	[ -n "$uri" ] || die 1 "the system's apt sources name no mirror of Debian 12 or 13"
	mkdir -p "$cache/apt/lists/partial" "$cache/apt/cache/archives/partial"
	cat >"$cache/apt/debian.sources" <<-END
		Types: deb
		URIs: $uri
		Suites: $suites
		Components: main
		Architectures: amd64
		Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
	END
	apt_private apt-get update >"$cache/apt/log" 2>&1
}
