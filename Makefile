# bpfmeasure: one Makefile, everything that it makes is under $(O). `make help` lists the targets.

O       ?= build
CLANG   ?= clang
PKG_CONFIG ?= pkg-config
# With sanitizers the code is slow by itself: what is quick to build is quicker in all.
CFLAGS  ?= $(if $(SAN),-O1 -g1,-O2 -g)
PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0

# ---- what is built from what ---------------------------------------------------------------------
# A folder becomes an archive; a folder's archive may use those of the folders after it.

SRC_agent  := agent/attach.c agent/attached.c agent/audit.c agent/cms.c agent/collect.c \
              agent/conf.c agent/cross.c agent/describe.c agent/drain.c agent/epoch.c \
              agent/fault.c agent/holes.c agent/identity.c agent/keep.c agent/loaded.c agent/log.c \
              agent/log_note.c agent/log_pcr.c agent/measurer.c agent/missed.c agent/notify.c \
              agent/programs.c \
              agent/quote.c agent/quotes.c agent/requests.c agent/sandbox.c agent/seen.c \
              agent/say.c agent/serve.c agent/signature.c agent/start.c agent/status.c agent/tell.c agent/trim.c \
              agent/unit.c agent/warden.c agent/warden_serve.c agent/window.c
SRC_cli    := cli/ack.c cli/appraisal.c cli/ask.c cli/attest.c cli/attest_round.c cli/audit.c \
              cli/before.c cli/cli.c cli/completion.c cli/cross.c cli/doctor.c cli/doctor_audit.c \
              cli/doctor_btf.c cli/doctor_crypt.c cli/doctor_daemon.c cli/doctor_foreign.c \
              cli/doctor_kernel.c cli/doctor_log.c cli/doctor_lsm.c cli/doctor_luks.c \
              cli/doctor_machine.c cli/doctor_pcr.c cli/doctor_service.c cli/doctor_tpm.c \
              cli/enroll.c cli/enrolment.c cli/export.c cli/field.c cli/filter.c cli/listing.c cli/log.c cli/memory.c \
              cli/output.c cli/query.c cli/quote.c cli/reference.c cli/reference_object.c \
              cli/reference_skeleton.c cli/row.c cli/show.c cli/show_program.c cli/show_record.c \
              cli/status.c cli/status_stopped.c cli/table.c cli/terminal.c cli/tree.c cli/verbs.c \
              cli/verdict.c cli/verify.c cli/when.c cli/worker.c
SRC_cli    += cli/html.c cli/report.c cli/report_axis.c cli/report_embed.c cli/report_events.c \
              cli/report_head.c cli/report_lists.c cli/report_page.c cli/report_programs.c \
              cli/report_timeline.c
SRC_attest := attest/activation.c attest/merkle.c attest/evidence.c attest/tpms.c attest/ak.c \
              attest/replay.c attest/diagnose.c attest/quoted.c attest/verify.c \
              attest/verify_kept.c attest/verify_log.c attest/verify_after.c attest/history.c \
              attest/history_epoch.c attest/history_result.c
SRC_verifier := attest/machine.c attest/memory.c attest/memory_machine.c attest/memory_round.c \
                attest/memory_violation.c attest/client.c attest/client_curl.c \
                attest/round.c attest/round_gap.c attest/round_judge.c attest/round_remember.c \
                attest/policy.c attest/policy_run.c attest/policy_shipped.c attest/policy_tables.c \
                attest/reference.c attest/credential.c attest/ek.c attest/ek_roots.c \
                attest/enrol.c attest/identity.c attest/round_peer.c
SRC_server := attest/server.c attest/server_body.c attest/server_cert.c attest/server_channel.c \
              attest/server_connection.c attest/server_exchange.c attest/server_library.c \
              attest/server_listen.c attest/server_metrics.c attest/server_stream.c \
              attest/server_tls.c
SRC_db     := db/handle.c db/stmt.c db/open.c db/log.c db/quote.c db/audit.c db/file.c db/query.c
SRC_tpm    := tpm/tcti.c tpm/tpm.c tpm/tpm_pcr.c tpm/tpm_key.c tpm/tpm_ek.c tpm/tpm_credential.c tpm/swtpm.c
SRC_probe  := bpf/probe.c bpf/probe_canary.c bpf/probe_iter.c bpf/probe_kernel.c \
              bpf/probe_pins.c bpf/ring.c
SRC_bpf    := bpf/bank.c bpf/line_write.c bpf/line_check.c bpf/line_value.c bpf/record_schema.c \
              bpf/record.c bpf/record_facts.c bpf/record_views.c

MAIN_agent := agent/main.c
MAIN_cli   := cli/main.c

# Unit tests: tests/unit/NAME.c, and the archives that each one may use.
UNIT_bpf    := bank line line_values record record_check record_facts
UNIT_tpm    := tpm_pcr tpm_key tpm_ek tpm_credential tpm_errors tpm_device tpm_proxy tpm_swtpm
UNIT_db     := db_log db_reader db_crash db_query db_faults db_trim db_file db_audit
UNIT_attest := attest_activation attest_merkle attest_evidence attest_kept attest_replay \
               attest_verify attest_log attest_break attest_tamper attest_history \
               attest_history_tpm
UNIT_oracle := attest_tpms attest_tpm
UNIT_agent  := cms_claims cms_pinned conf agent_attached agent_seen agent_programs agent_ring \
               agent_collect agent_collect_end agent_collect_model agent_integrity agent_signature \
               agent_describe agent_identity agent_log agent_log_find agent_notify agent_quotes agent_requests \
               agent_say agent_sandbox agent_unit agent_window
UNIT_server := attest_server
UNIT_verifier := attest_client memory memory_round round round_policy policy policy_shipped policy_manual
UNIT_enrolment := attest_credential attest_ek attest_enrol
UNIT_cli    := cli_html cli_hint cli_text cli_tree cli_verify cli_when cli_worker

PKGS_agent  := libevent_core inih libbpf libcrypto audit jansson libcap-ng libseccomp
PKGS_cli    := smartcols jansson libcrypto sqlite3
PKGS_attest := libcrypto
PKGS_server := libevent libevent_openssl libssl libcrypto jansson
PKGS_verifier := libssl libcrypto sqlite3 jansson
PKGS_db     := sqlite3
PKGS_tpm    := tss2-esys tss2-sys tss2-rc tss2-mu
PKGS_probe  := libbpf
PKGS_bpf    := libcrypto
PKGS_all    := $(sort $(PKGS_agent) $(PKGS_server) $(PKGS_cli) $(PKGS_attest) $(PKGS_verifier) $(PKGS_db) $(PKGS_tpm) \
                      $(PKGS_probe) $(PKGS_bpf) cmocka)

# ---- flags ---------------------------------------------------------------------------------------

# The targets that install what is missing come back here by way of a make of their own.
ifeq ($(filter help clean format man demo check check-long check-distros check-packages bench hook-kernel deb uninstall,$(MAKECMDGOALS)),)
TOOLS   := $(firstword $(CC)) $(firstword $(CLANG)) $(firstword $(PKG_CONFIG))
missing := $(shell for t in $(TOOLS); do command -v $$t >/dev/null || echo $$t; done)
missing := $(or $(missing),$(shell for p in $(PKGS_all); do $(PKG_CONFIG) --exists $$p || echo $$p; done))
ifneq ($(missing),)
$(error not found: $(missing) - run tests/install-packages as root)
endif
endif

probe_flag = $(shell echo 'int main(void){return 0;}' | \
               $(CC) -Werror $(1) -x c -o /dev/null - 2>/dev/null && echo $(1))

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes \
            -Wpointer-arith -Wundef -Wvla -Wwrite-strings -Wformat=2 \
            -Wno-missing-field-initializers $(call probe_flag,-Wjump-misses-init)
HARDENING := $(call probe_flag,-fstack-protector-strong) $(call probe_flag,-fcf-protection) \
             $(call probe_flag,-fstack-clash-protection) -fPIE
LINK_HARDENING := -pie -Wl,-z,relro,-z,now -Wl,--as-needed
ifdef SAN
SAN_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else
HARDENING += $(if $(filter -O0,$(CFLAGS))$(findstring _FORTIFY_SOURCE,$(CFLAGS) $(CPPFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif
ifdef WERROR
WARNINGS += -Werror
endif

COMPILE := $(CC) -std=gnu2x -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -I. -I$(O) \
           $(WARNINGS) $(HARDENING) $(SAN_FLAGS) -ffile-prefix-map='$(CURDIR)'=. $(CFLAGS) $(CPPFLAGS) -MMD -MP
LINK     = $(CC) $(SAN_FLAGS) $(LINK_HARDENING) $(CFLAGS) $(LDFLAGS)

# One short line per command; V=1 shows the commands themselves.
ifndef V
Q   := @
say = @printf '  %-4s %s\n' $(1) $(2)
endif

# What is missing is named above, in one line.
pkg       = $(shell $(PKG_CONFIG) $(1) 2>/dev/null)

FOLDERS  := agent server cli verifier attest db tpm probe bpf
$(foreach f,$(FOLDERS),$(eval CFLAGS_$(f) := $(call pkg,--cflags $(PKGS_$(f)))))
libs      = $(call pkg,--libs $(sort $(foreach f,$(1),$(PKGS_$(f)))))

# ---- targets -------------------------------------------------------------------------------------

.DELETE_ON_ERROR:
.PHONY: all bpf-object help clean
all: $(O)/bpfmeasured $(O)/bpfmeasure completion

help:
	@echo 'make all            build bpfmeasured and bpfmeasure under $(O)/'
	@echo 'make demo           the main job in a virtual machine, from nothing to a verdict'
	@echo 'make check          every test, sampled; make check-long: the full counts'
	@echo 'make check-unit     unit tests only, with ASan and UBSan'
	@echo 'make check-vm       tests on real kernels only'
	@echo 'make check-NAME     another part of it: doctor, fault, flips, http, indexes, nth, plain (units without sanitizers)'
	@echo 'make check-distros  unit tests and those of the command line on a fresh Debian 12 and 13'
	@echo 'make check-packages the packages, on a fresh Debian 12 and 13'
	@echo 'make hook-kernel    build the kernels of tests/vm/hook-kernel, once'
	@echo 'make check-hook-kernel  tests on them'
	@echo 'make fuzz [T=60]    fuzz every parser for T seconds each; T=0 only builds the fuzzers'
	@echo 'make fuzz-coverage  which lines of each parser the fuzzers reach'
	@echo 'make bench          figures: of measuring, in the virtual machine, and of attesting'
	@echo 'make man            the manual pages, to read without installing them'
	@echo 'make lint           layers, headers, format; manual pages, --help and docs against the programs'
	@echo 'make format         clang-format over the tree'
	@echo 'make install        to $$(DESTDIR)$$(PREFIX); make uninstall removes it'
	@echo 'make deb            Debian packages, in $(O)/deb'
	@echo 'make clean          remove $(O)/'

clean:
	rm -rf $(O)

# archive of one folder: $(1) archive name, $(2) its sources
define archive
$(O)/$(1).a: $(2:%.c=$(O)/%.o)
	$$(call say,AR,$$@)
	@rm -f $$@
	$$(Q)$$(AR) rcs $$@ $$^
$(2:%.c=$(O)/%.o): private CFLAGS_folder := $(CFLAGS_$(1))
endef
$(foreach f,$(FOLDERS),$(eval $(call archive,$(f),$(SRC_$(f)))))
$(MAIN_agent:%.c=$(O)/%.o): private CFLAGS_folder := $(CFLAGS_agent)
$(MAIN_cli:%.c=$(O)/%.o): private CFLAGS_folder := $(CFLAGS_cli)

$(O)/%.o: %.c Makefile
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(CFLAGS_folder) -MT $@ -c -o $@ $<

ARCHIVES_agent := $(patsubst %,$(O)/%.a,agent server attest db tpm probe bpf)
ARCHIVES_cli   := $(patsubst %,$(O)/%.a,cli verifier attest db bpf)

$(O)/bpfmeasured: $(MAIN_agent:%.c=$(O)/%.o) $(ARCHIVES_agent)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(call libs,agent server attest db tpm probe bpf)

$(O)/bpfmeasure: $(MAIN_cli:%.c=$(O)/%.o) $(ARCHIVES_cli)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(call libs,cli verifier attest db bpf)

# What a name of a policy means is part of the program.
$(O)/attest/policy_shipped.o: $(wildcard policies/*.sql)
$(O)/cli/completion.o: cli/completion.bash cli/completion.zsh

# What shells complete by: out of the table of verbs.
.PHONY: completion
completion: $(O)/completion/bpfmeasure.bash $(O)/completion/_bpfmeasure

$(O)/completion/bpfmeasure.bash: $(O)/bpfmeasure
	@mkdir -p $(@D)
	$(Q)$< --completion bash >$@
$(O)/completion/_bpfmeasure: $(O)/bpfmeasure
	@mkdir -p $(@D)
	$(Q)$< --completion zsh >$@

# So are a report's statements and its style.
$(O)/cli/report_embed.o: cli/report.sql cli/report_tables.sql cli/report.css

# ---- the BPF programs ----------------------------------------------------------------------------

bpf-object: $(O)/bpf/measure.bpf.o

$(O)/probe.a: $(O)/bpf/probe_object.o

$(O)/bpf/probe_object.o: bpf/probe_object.S $(O)/bpf/measure.bpf.o
	$(call say,AS,$<)
	$(Q)$(CC) -DPROBE_OBJECT='"$(O)/bpf/measure.bpf.o"' -c -o $@ $<

$(O)/bpf/%.bpf.o: bpf/%.bpf.c Makefile
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -target bpf -mcpu=v3 -O2 -g -Wall -Wextra $(if $(WERROR),-Werror) -Wno-unused-parameter -ffile-prefix-map='$(CURDIR)'=. \
		-D__TARGET_ARCH_x86 -I. $(call pkg,--cflags libbpf) -MMD -MP -c -o $@ $<

# Programs for tests and the demo: as small as they can be, with the system's headers.
$(O)/tests/%.bpf.o: tests/%.bpf.c
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -target bpf -O2 -g -I/usr/include/$(shell $(CC) -dumpmachine) -c -o $@ $<

# ---- trying, testing, installing -----------------------------------------------------------------

.PHONY: demo check check-long check-distros check-packages check-vm hook-kernel check-hook-kernel bench install uninstall deb
# What root has built by sudo is for the user to build on.
give_back := if [ "$$SUDO_UID" ] && [ -d $(O) ]; then chown -R "$$SUDO_UID:$$SUDO_GID" $(O); fi

demo:
	@tests/install-packages
	@trap '$(give_back)' EXIT; $(MAKE) --no-print-directory all $(O)/tests/demo/hello.bpf.o && tests/demo/run

check:
	@tests/install-packages
	@trap '$(give_back)' EXIT; tests/check

check-long:
	@tests/install-packages
	@trap '$(give_back)' EXIT; CHECK_LONG=1 tests/check

# Debian 12 and 13, each in a chroot of its own: a part of `make check-long` only, for it takes minutes.
check-distros:
	@tests/install-packages
	@tests/distro/check 12 13

check-packages:
	@tests/install-packages
	@tests/e2e/install

check-vm: all
	@tests/vm/selftest
	@tests/e2e/loads --keep $(O)/e2e
	@tests/e2e/forge $(O)/e2e
	@tests/e2e/ways
	@tests/e2e/loader-identity
	@tests/e2e/attachments
	@tests/e2e/restart
	@tests/e2e/hooks
	@tests/e2e/evade
	@tests/e2e/reboot
	@tests/e2e/flood
	@tests/e2e/audit
	@tests/e2e/attest
	@tests/e2e/debian

# Kernels with a hook that no released one has: a build of minutes, so not a part of `make check`.
hook-kernel:
	@tests/install-packages
	@tests/install-packages tests/vm/hook-kernel/packages
	@tests/vm/hook-kernel/build

check-hook-kernel: all
	@tests/e2e/integrity
	@tests/e2e/loads hook-verdict hook-notice

bench:
	@tests/install-packages
	@$(MAKE) --no-print-directory all bench-tools fault-programs
	@tests/bench/run
	@tests/bench/window
	@tests/bench/attest
	@tests/bench/look

# What is installed below PREFIX, as MODE:FROM:TO; of what is in init/, with the daemon's place filled in.
INITRAMFS := initramfs-tools
ZSH       ?= share/zsh/site-functions
INSTALLED := 755:$(O)/bpfmeasure:bin/bpfmeasure 755:$(O)/bpfmeasured:sbin/bpfmeasured \
             644:init/sysusers.conf:lib/sysusers.d/bpfmeasure.conf \
             $(foreach f,$(notdir $(wildcard init/*.service)),644:init/$(f):lib/systemd/system/$(f)) \
             $(foreach f,hooks/bpfmeasure scripts/init-top/bpfmeasure, \
                     755:init/$(INITRAMFS)/$(f):share/bpfmeasure/$(INITRAMFS)/$(f)) \
             $(foreach f,$(wildcard policies/*.sql monitoring/*.yml),644:$(f):share/bpfmeasure/$(f)) \
             644:$(O)/completion/bpfmeasure.bash:share/bash-completion/completions/bpfmeasure \
             644:init/completion/bpfmeasured.bash:share/bash-completion/completions/bpfmeasured \
             644:$(O)/completion/_bpfmeasure:$(ZSH)/_bpfmeasure \
             644:init/completion/_bpfmeasured:$(ZSH)/_bpfmeasured \
             $(foreach f,README.md CHANGELOG.md SECURITY.md $(wildcard docs/*.md),644:$(f):share/doc/bpfmeasure/$(notdir $(f)))

install: all
	@case '$(PREFIX)' in *[!A-Za-z0-9/._+-]* | [!/]*) \
		echo 'PREFIX is written into units and scripts: an absolute path of letters, digits and /._+-' >&2; exit 1;; esac
	@for file in $(INSTALLED); do \
		mode=$${file%%:*} from=$${file#*:} to='$(DESTDIR)$(PREFIX)'/$${file##*:}; \
		from=$${from%:*}; \
		install -D -m $$mode $$from "$$to" || exit; \
		case $$from in init/*) sed -i 's|@SBINDIR@|$(PREFIX)/sbin|' "$$to" || exit;; esac; \
	done
	@test -e '$(DESTDIR)/etc/bpfmeasure/agent.conf' || \
		install -D -m 644 agent.conf '$(DESTDIR)/etc/bpfmeasure/agent.conf'
	@$(call man_into,'$(DESTDIR)$(PREFIX)/share/man')

# The pages say which version they are of. $(1) where to
MAN_PAGES := $(wildcard docs/man/*.[158])
define man_into
for page in $(MAN_PAGES); do \
	file=$(1)/man$${page##*.}/$${page##*/}; install -d "$${file%/*}" && \
	sed 's/^\.Os bpfmeasure$$/& $(VERSION)/; s|/usr/local/share|$(PREFIX)/share|' $$page >"$$file" && chmod 644 "$$file" || exit; \
done
endef

.PHONY: man
man:
	@$(call man_into,$(O)/man)
	@echo 'to read them: man -M $(O)/man bpfmeasure'

# Leaves the configuration and the log.
uninstall:
	@for file in $(INSTALLED); do rm -f '$(DESTDIR)$(PREFIX)'/$${file##*:} || exit; done
	@for page in $(MAN_PAGES); do rm -f '$(DESTDIR)$(PREFIX)'/share/man/man$${page##*.}/$${page##*/} || exit; done
	@rm -rf '$(DESTDIR)$(PREFIX)/share/bpfmeasure' '$(DESTDIR)$(PREFIX)/share/doc/bpfmeasure'

# Debian packages, by debian/: of what git knows, or without it of all that is here, in a copy below $(O). The date is that
# of the last change.
DEB               := $(O)/deb
MAINTAINER         = $(shell sed -n 's/^Maintainer: //p' debian/control)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)

deb:
	@rm -rf $(DEB) && mkdir -p $(DEB)/src
	@{ git ls-files -z 2>/dev/null || find * -path '$(O)' -prune -o -type f -print0; } | xargs -0 cp --parents --preserve=mode,timestamps -t $(DEB)/src
	@sed -i 's/^VERSION := .*/VERSION := $(VERSION)/' $(DEB)/src/Makefile
	@printf 'bpfmeasure (%s-1) unstable; urgency=medium\n\n  * What is new: CHANGELOG.md.\n\n -- %s  %s\n' '$(VERSION)' \
		'$(MAINTAINER)' "$$(LC_ALL=C date --utc --rfc-email --date=@$(SOURCE_DATE_EPOCH))" >$(DEB)/src/debian/changelog
	@cd $(DEB)/src && env -u MAKEFLAGS -u MAKELEVEL -u O dpkg-buildpackage --build=binary --no-sign

# ---- unit tests ----------------------------------------------------------------------------------

# $(1) folder, $(2) test names, $(3) folders it may use
define unit
$(patsubst %,$(O)/tests/unit/%.o,$(2)): private CFLAGS_folder := $(foreach f,$(3),$(CFLAGS_$(f))) $(call pkg,--cflags cmocka)
$(patsubst %,$(O)/tests/unit/%,$(2)): $(O)/tests/unit/%: $(O)/tests/unit/%.o $(patsubst %,$(O)/%.a,$(3))
	$$(call say,LINK,$$@)
	$$(Q)$$(LINK) -o $$@ $$^ $$(call libs,$(3)) $(call pkg,--libs cmocka)
UNIT_TESTS += $(2)
endef
$(eval $(call unit,bpf,$(UNIT_bpf),bpf))
$(eval $(call unit,tpm,$(UNIT_tpm),tpm bpf))
$(eval $(call unit,db,$(UNIT_db),db))
$(eval $(call unit,attest,$(UNIT_attest),attest db bpf))
$(eval $(call unit,oracle,$(UNIT_oracle),attest tpm bpf))
$(eval $(call unit,agent,$(UNIT_agent),agent server attest db tpm probe bpf))
$(eval $(call unit,cli,$(UNIT_cli),cli verifier attest db bpf))
$(eval $(call unit,server,$(UNIT_server),server attest db bpf))
$(eval $(call unit,verifier,$(UNIT_verifier),verifier attest db bpf))
$(eval $(call unit,enrolment,$(UNIT_enrolment),verifier attest tpm bpf))

# Records for tests in other languages.
$(O)/tests/samples: $(O)/tests/samples.o $(O)/bpf.a
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(call libs,bpf)

.PHONY: unit-tests check-unit test-programs
test-programs: all unit-tests fault-programs nth-programs flips-programs $(O)/tests/samples $(O)/tests/demo/hello.bpf.o
unit-tests: $(patsubst %,$(O)/tests/unit/%,$(UNIT_TESTS))

# Each test plainly, then with ASan and UBSan.
check-unit: unit-tests
	@$(MAKE) --no-print-directory SAN=1 O=$(O)/san unit-tests
	@tests/run-units $(patsubst %,$(O)/tests/unit/%,$(UNIT_TESTS)) \
		$(patsubst %,$(O)/san/tests/unit/%,$(UNIT_TESTS))

# Without sanitizers only.
.PHONY: check-plain
check-plain: unit-tests
	@tests/run-units $(patsubst %,$(O)/tests/unit/%,$(UNIT_TESTS))

# What a package's build can run anywhere.
.PHONY: check-package
check-package: $(patsubst %,$(O)/tests/unit/%,$(UNIT_bpf) $(UNIT_db) $(UNIT_cli))
	@tests/run-units $^

# ---- the daemon without BPF ----------------------------------------------------------------------
# The same objects, but the kernel below bpf/probe.h is one made of files: tests/fault/kernel.h.

KERNEL_fault := $(O)/tests/fault/kernel.o $(O)/tests/fault/kernel_load.o

.PHONY: fault-programs check-fault
check-fault: all fault-programs
	@$(MAKE) --no-print-directory SAN=1 O=$(O)/san all fault-programs
	@tests/fault/kill
	@tests/fault/kill --san --kills $(if $(CHECK_LONG),1000,40)

fault-programs: $(O)/tests/fault/bpfmeasured $(O)/tests/fault/kernel

FAULT_DAEMON := $(MAIN_agent:%.c=$(O)/%.o) $(O)/tests/fault/probe_fake.o $(KERNEL_fault) \
		$(O)/bpf/probe_kernel.o $(O)/bpf/ring.o $(filter-out $(O)/probe.a,$(ARCHIVES_agent))
$(O)/tests/fault/bpfmeasured: $(FAULT_DAEMON)
	$(call say,LINK,$@)
	$(Q)$(LINK) -Wl,--wrap=ring_open -o $@ $^ $(call libs,agent server attest db tpm probe bpf)

$(O)/tests/fault/kernel: $(O)/tests/fault/kernel_main.o $(KERNEL_fault) $(O)/bpf.a
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(call libs,bpf)

# The attestation server with a measurer that is made up.
HTTP_TOOLS := $(O)/tests/http/fake-channel $(O)/tests/bench/make-log

.PHONY: http-programs check-http
http-programs: $(HTTP_TOOLS)

check-http: all http-programs fault-programs
	@$(MAKE) --no-print-directory SAN=1 O=$(O)/san http-programs
	@tests/fault/http --san
	@tests/fault/http-flood

$(O)/tests/http/fake-channel: $(O)/tests/tools/fake-channel.o $(patsubst %,$(O)/%.a,server attest db bpf)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(call libs,server attest db bpf)

# Machines made of files, for `bpfmeasure doctor`.
.PHONY: check-doctor
check-doctor: all $(O)/tests/bench/make-log
	@$(MAKE) --no-print-directory SAN=1 O=$(O)/san $(O)/san/bpfmeasure
	@O=$(O) tests/doctor
	@O=$(O) BPFMEASURE=$(O)/san/bpfmeasure tests/doctor

# ---- the n-th call fails -------------------------------------------------------------------------
# tests/fault/nth.h: the same objects, their calls wrapped by what the nth_*.c of NTH define.

NTH         := nth nth_memory nth_openssl nth_sqlite nth_esys
NTH_TESTS   := nth_db nth_tpm nth_attest nth_agent nth_verifier nth_enrol
NTH_OBJECTS := $(NTH:%=$(O)/tests/fault/%.o)
NTH_LIBS     = $(call libs,agent server verifier attest db tpm probe bpf) $(call pkg,--libs cmocka)
NTH_WRAPS    = $$(nm $(NTH_OBJECTS) | sed -n 's/.* T __wrap_/-Wl,--wrap=/p')

.PHONY: nth-programs check-nth
check-nth: all fault-programs nth-programs
	@$(MAKE) --no-print-directory SAN=1 O=$(O)/san all fault-programs nth-programs
	@tests/run-units $(NTH_TESTS:%=$(O)/tests/fault/%) $(NTH_TESTS:%=$(O)/san/tests/fault/%)
	@tests/fault/nth
	@tests/fault/nth --san

nth-programs: $(NTH_TESTS:%=$(O)/tests/fault/%) $(O)/tests/fault/bpfmeasured-nth

$(NTH_OBJECTS) $(NTH_TESTS:%=$(O)/tests/fault/%.o): private CFLAGS_folder := \
	$(sort $(foreach f,$(FOLDERS),$(CFLAGS_$(f)))) $(call pkg,--cflags cmocka)

$(NTH_TESTS:%=$(O)/tests/fault/%): %: %.o $(NTH_OBJECTS) $(O)/verifier.a $(ARCHIVES_agent)
	$(call say,LINK,$@)
	$(Q)$(LINK) $(NTH_WRAPS) -o $@ $^ $(NTH_LIBS)

$(O)/tests/fault/bpfmeasured-nth: $(FAULT_DAEMON) $(NTH_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(LINK) $(NTH_WRAPS) -Wl,--wrap=ring_open -o $@ $^ $(NTH_LIBS)

# ---- a changed file ------------------------------------------------------------------------------
# tests/fault/flips.c: the verb's own code on logs whose file was changed.

.PHONY: flips-programs check-flips
check-flips: flips-programs
	@$(MAKE) --no-print-directory SAN=1 O=$(O)/san flips-programs
	@tests/run-units $(O)/tests/fault/flips
	@env -u CHECK_LONG tests/run-units $(O)/san/tests/fault/flips

flips-programs: $(O)/tests/fault/flips $(O)/tests/bench/make-history

.PHONY: check-indexes
check-indexes: $(O)/bpfmeasure $(O)/tests/bench/make-log
	@tests/indexes $(O)

$(O)/tests/fault/flips.o: private CFLAGS_folder := $(call pkg,--cflags cmocka)
$(O)/tests/fault/flips: $(O)/tests/fault/flips.o $(O)/tests/fault/answers.o $(ARCHIVES_cli)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(call libs,cli verifier attest db bpf) $(call pkg,--libs cmocka)

# ---- figures -------------------------------------------------------------------------------------

BENCH_TOOLS := load record evidence refuse quote make-log make-history make-story

.PHONY: bench-tools
bench-tools: $(BENCH_TOOLS:%=$(O)/tests/bench/%)

$(O)/tests/bench/load: $(O)/tests/bench/load.o
$(O)/tests/bench/record: $(O)/tests/bench/record.o $(O)/bpf.a
$(O)/tests/bench/evidence: $(O)/tests/bench/evidence.o $(O)/attest.a $(O)/db.a $(O)/bpf.a
$(O)/tests/bench/refuse: $(O)/tests/bench/refuse.o $(O)/attest.a $(O)/bpf.a
$(O)/tests/bench/make-log: $(O)/tests/tools/make-log.o $(O)/attest.a $(O)/db.a $(O)/bpf.a
$(O)/tests/bench/make-history: $(O)/tests/tools/make-history.o $(O)/attest.a $(O)/db.a $(O)/bpf.a
$(O)/tests/bench/make-story: $(O)/tests/tools/make-story.o $(O)/db.a $(O)/bpf.a
$(O)/tests/bench/quote: $(O)/tests/bench/quote.o
$(BENCH_TOOLS:%=$(O)/tests/bench/%):
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(call libs,attest db bpf) $(LIBS_$(@F))
$(O)/tests/bench/quote: private LIBS_quote := $(call pkg,--libs tss2-esys tss2-tctildr)

# ---- fuzzing -------------------------------------------------------------------------------------
# libFuzzer is clang's: everything once more below $(O)/fuzz, instrumented.

FUZZ := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
T    ?= 60

.PHONY: fuzz fuzz-coverage fuzz-programs
fuzz:
	@$(MAKE) --no-print-directory CC=$(CLANG) SAN=1 O=$(O)/fuzz \
		WARNINGS= \
		SAN_FLAGS='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined' fuzz-programs
	@$(if $(filter 0,$(T)),,tests/fuzz/run $(O)/fuzz $(T) $(FUZZ))

# What the corpora reach of each parser.
fuzz-coverage:
	@$(MAKE) --no-print-directory CC=$(CLANG) SAN=1 O=$(O)/coverage WARNINGS= CFLAGS='-O1 -g' \
		SAN_FLAGS='-fsanitize=fuzzer-no-link -fprofile-instr-generate -fcoverage-mapping' fuzz-programs
	@tests/fuzz/coverage $(O)/coverage $(FUZZ)

fuzz-programs: $(patsubst %,$(O)/tests/fuzz/%,$(FUZZ))

$(patsubst %,$(O)/tests/fuzz/%.o,$(FUZZ)): private CFLAGS_folder := $(sort $(foreach f,$(FOLDERS),$(CFLAGS_$(f)))) \
                                                                   $(call pkg,--cflags cmocka)
$(patsubst %,$(O)/tests/fuzz/%,$(FUZZ)): %: %.o $(O)/cli.a $(O)/verifier.a $(ARCHIVES_agent)
	$(call say,LINK,$@)
	$(Q)$(LINK) -fsanitize=fuzzer -o $@ $^ $(call libs,verifier agent server attest db tpm probe bpf) $(call pkg,--libs cmocka)

# ---- how it looks --------------------------------------------------------------------------------

C_FILES = $(shell git ls-files '*.c' '*.h')

.PHONY: lint format
lint: all $(O)/tests/samples
	@tests/lint
	@tests/lint-docs $(O)

format:
	@clang-format --version | grep -q 'version 14\.' || { echo 'the code is as clang-format 14 has it' >&2; exit 1; }
	clang-format -i $(C_FILES)

-include $(shell test -d $(O) && find $(O) -name '*.d' -type f)
