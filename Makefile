# The verbs of this project. Each is a script in tools/, where the reasons are.
# PG=16 chooses another major version, SYSTEM_PG_CONFIG=… an installation that lies elsewhere;
# TESTS="a b" selects tests of a tier; ACCEPT=1 makes what a regress or isolation test printed
# its expected output; KEEP=1 keeps a run's directory; STACK=supabase shows `demo` beside a Supabase stack;
# CLOCK="2027-01-01 00:10:00" is when the clock of a regress test's server starts.
export PG TESTS ACCEPT KEEP QUICK STACK CLOCK

.DEFAULT_GOAL := help
.PHONY: help setup build install lint unit pgtest regress isolation integration upgrade test demo bench clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 14
setup: ## install what is missing on this machine (Debian packages, cargo-pgrx)
	@tools/setup
build: ## release build, into a private copy of Postgres in the scratch directory
	@tools/build
install: ## release build, into the system's Postgres (uses sudo when needed)
	@tools/install
lint: ## formatting, clippy, shell syntax, house rules
	@tools/lint
unit: ## the pure modules, without a server
	@tools/unit
pgtest: ## tests inside a server (cargo pgrx test)
	@tools/pgtest
regress: ## SQL in, expected output out (pg_regress)
	@tools/pg_tests regress
isolation: ## interleaved sessions (pg_isolation_regress)
	@tools/pg_tests isolation
integration: ## real connections, clusters and services
	@tools/integration
upgrade: ## from every release to this version
	@tools/upgrade
test: ## all of the above, and the sum
	@tools/test
demo: ## a tour in a scratch database
	@tools/demo
bench: ## measurements
	@tools/bench
clean: ## remove builds and the scratch directory
	@tools/clean
