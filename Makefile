# raxx_detect: what goes into the server (PGXS), and the commands a user types. `make help` lists them.
#
# demo, test, bench, soak and deps work on a machine without pg_config, since they are what brings it: they install what is
# missing and call make again.

.DEFAULT_GOAL := all
EXTENSION := raxx_detect
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" raxx_detect.control)
PG_CONFIG ?= pg_config

.PHONY: help deps demo test property bench simulate soak crash-matrix rule-pages lint unit notify install-notify install-rules
help:
	@sed -n 's/^#: //p' Makefile

#: make deps           install what building, running and testing needs (Debian packages; asks for sudo)
deps:
	@tools/deps
#: make demo           build, install, and find planted incidents in a throwaway server (KEEP=1 leaves it running)
demo: deps
	@demo/run
#: make test           every test there is; the last line is "N passed, N failed"
test: deps
	@test/run
#: make property       the theorem of docs/theorem.md, on generated rows and schedules (SEED=1 ROUNDS=2000; MUTANTS=1)
property: deps
	@test/property/run
#: make bench          the evaluators beside the SQL an expert would write (ROWS=1000000,10000000)
bench: deps
	@test/bench/run
#: make rule-pages     write docs/rules anew, from the catalog and the fixtures
rule-pages: deps
	@tools/rule-pages
#: make simulate       false alarms and what is found in a simulated year of each source, into docs/simulation.md (YEARS=1)
simulate: deps
	@test/simulation/run
#: make soak           an hour of the background worker at one second, under load, into docs/soak.md (MINUTES=60)
soak: deps
	@test/soak/run
#: make crash-matrix   a run killed at every point in every way, into docs/crash-matrix.md
crash-matrix: deps
	@tools/crash-matrix
#: make lint           clang-tidy and clang-format
lint:
	@tools/deps --lint
	@tools/lint

#: make notify         build the notifier, build/notify/raxx-notify
notify:
	@cmake -S . -B build/notify >/dev/null
	@cmake --build build/notify --target raxx-notify --parallel $$(nproc)
#: make install-notify install it, its systemd unit and an example of its configuration (PREFIX=/usr/local, DESTDIR=)
PREFIX ?= /usr/local
install-notify: notify
	install -D -m 755 build/notify/raxx-notify '$(DESTDIR)$(PREFIX)/bin/raxx-notify'
	install -d '$(DESTDIR)$(PREFIX)/lib/systemd/system' '$(DESTDIR)$(PREFIX)/share/doc/raxx-notify'
	sed 's|@PREFIX@|$(PREFIX)|g' packaging/raxx-notify.service >'$(DESTDIR)$(PREFIX)/lib/systemd/system/raxx-notify.service'
	chmod 644 '$(DESTDIR)$(PREFIX)/lib/systemd/system/raxx-notify.service'
	install -m 644 packaging/raxx-notify.toml '$(DESTDIR)$(PREFIX)/share/doc/raxx-notify/raxx-notify.toml'
#: make install-rules  install raxx-rules, the command for the catalog as files (PREFIX=/usr/local, DESTDIR=)
install-rules:
	install -D -m 755 src/rules/raxx-rules '$(DESTDIR)$(PREFIX)/bin/raxx-rules'

#: make                build the module and the install script
#: make install        install into the server that pg_config names
#: make installcheck   run the regression tests in a running server

ifneq ($(shell command -v $(PG_CONFIG) 2>/dev/null),)

MODULE_big := raxx_detect
CORE_OBJS := $(patsubst %.cpp,%.o,$(sort $(wildcard src/core/*.cpp)))
PG_OBJS := $(patsubst %.cpp,%.o,$(sort $(wildcard src/pg/*.cpp src/pg/worker/*.cpp)))
OBJS := $(CORE_OBJS) $(PG_OBJS)
# Earlier versions have their install script in sql/updates, and what was written by hand beside it (sql/updates/README.md).
RELEASED := $(filter-out $(EXTVERSION),$(foreach f,$(wildcard sql/updates/*.sql),$(if $(findstring --,$(f)),,$(patsubst sql/updates/%.sql,%,$(f)))))
UPDATES := $(foreach v,$(RELEASED),$(EXTENSION)--$(v)--$(EXTVERSION).sql)
DATA_built := $(EXTENSION)--$(EXTVERSION).sql $(UPDATES)
REGRESS := $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS := --inputdir=test --load-extension=btree_gist --load-extension=raxx_detect
EXTRA_CLEAN := build
# Exists on amd64 only; what is compiled asks for the same header.
IPSEC_MB := $(shell $(CXX) -E -x c++ -include intel-ipsec-mb.h /dev/null >/dev/null 2>&1 && echo -lIPSec_MB)
SHLIB_LINK := -lstdc++ -lpsl -lm -lcrypto $(IPSEC_MB)
# Bitcode lets the JIT inline small C functions into expressions; there are none here, and it doubles the build.
override with_llvm := no

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

COMMON_CXXFLAGS := -std=c++20 -O2 -g -fPIC -Wall -Wextra -Wshadow -Wconversion -Werror
# The fence: the core never sees Postgres, the boundary never sees the C++ library (see src/core/fence.h).
$(CORE_OBJS): override CPPFLAGS := -D_GNU_SOURCE -Isrc
$(CORE_OBJS): override CXXFLAGS := $(COMMON_CXXFLAGS) -fvisibility=hidden
$(PG_OBJS): override CPPFLAGS := -Isrc $(patsubst -I/%,-isystem /%,$(filter-out -I. -I./,$(CPPFLAGS)))
$(PG_OBJS): override CXXFLAGS := $(COMMON_CXXFLAGS) -nostdinc++ -fno-exceptions -fno-rtti -Wno-register
$(CORE_OBJS): Makefile src/boundary.h $(wildcard src/core/*.h)
$(PG_OBJS): Makefile src/boundary.h $(wildcard src/pg/*.h src/pg/worker/*.h)

# The install script is made of the modules in sql/, in the order of their names, and of the fixtures.
$(EXTENSION)--$(EXTVERSION).sql: $(sort $(wildcard sql/*.sql)) $(wildcard fixtures/*/*.json) tools/install-script
	tools/install-script $(sort $(wildcard sql/*.sql)) > $@.tmp && mv $@.tmp $@

$(UPDATES): $(EXTENSION)--%--$(EXTVERSION).sql: sql/updates/%.sql $(EXTENSION)--$(EXTVERSION).sql $(wildcard sql/updates/*--*.sql) tools/update-script
	tools/update-script $< $(EXTENSION)--$(EXTVERSION).sql > $@.tmp && mv $@.tmp $@

else
all install installcheck clean: ; @echo "pg_config not found: run 'make deps' first" >&2; exit 1
endif
