# SPDX-License-Identifier: GPL-2.0
#
# The commands of this project; `make` alone lists them. The modules are described in
# Kbuild, which the kernel's build reads instead of this file.
#
# Everything is built under $(IOMMUFD_CACHE), by default
# ~/.cache/iommufd-rust, with the tools of tools/testing/vm/toolchain.sh.

VM := $(CURDIR)/tools/testing/vm

ARCH ?= x86_64
export ARCH

# Variables of the command line or the environment that the scripts read
export KDIR KSRC O V IOMMUFD_TEST FLAVOUR MACHINE

ifneq ($(ARCH),x86_64)
$(error ARCH=$(ARCH) is not supported yet; x86_64 is)
endif

.DEFAULT_GOAL := help
# The scripts build in parallel themselves.
.NOTPARALLEL:

##@ See it work
run: ## boot a VM in which a PCI device does DMA through our /dev/iommu
	@$(VM)/run.sh

shell: ## a terminal in that VM (MACHINE=vtd|vtd-noir|vtd-off|amd FLAVOUR=lean|debug)
	@$(VM)/shell.sh

##@ Test it
test: ## all checks, host tests, and kselftests in VMs of all machines
	@$(VM)/test.sh

check: ## formatting, lints, documentation, unsafe and SPDX rules, host tests
	@$(VM)/check.sh

bench: ## what page tables and IO address spaces cost: ours, and the kernel's
	@$(VM)/bench.sh

profile: ## where the instructions of mapping go (SIDE=C|Rust WHAT=one|many|range)
	@$(VM)/bench.sh profile $(or $(SIDE),Rust) $(or $(WHAT),one)

bench-host: ## what ours cost on this machine, in time
	@$(VM)/bench.sh host

##@ Build parts of it
modules: ## our .ko files (KDIR=<kernel build> O=<output> IOMMUFD_TEST=1)
	@$(VM)/build.sh modules

selftests: ## the C test programs (O=<output>)
	@$(VM)/build.sh selftests

toolchain: ## the compilers and QEMU: the host's, or a Debian sysroot
	@$(VM)/toolchain.sh ensure

kernel: ## one kernel (FLAVOUR=lean|debug)
	@$(VM)/kernel.sh build $(or $(FLAVOUR),lean)

kernels: ## both kernels
	@$(VM)/kernel.sh build lean
	@$(VM)/kernel.sh build debug

##@ Work on it
fmt: ## format the Rust sources as the kernel does
	@$(VM)/checks/rustfmt.sh --write

rust-analyzer: ## rust-project.json, for editors
	@$(VM)/rust-analyzer.sh

##@ Tidy up
clean: ## remove what was built from this checkout
	@$(VM)/clean.sh checkout

distclean: ## remove all caches too: toolchain, sources, kernels, logs
	@$(VM)/clean.sh all

help: ## this list
	@awk 'BEGIN { FS = ":.*## " } \
	     /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	     /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\nVariables: V=1 shows more; KSRC= a Linux source, KDIR= a kernel build,\n'
	@printf 'IOMMUFD_CACHE= where to build, IOMMUFD_TOOLCHAIN=host|sysroot which tools.\n'

.PHONY: help run shell test check bench profile bench-host modules selftests toolchain kernel \
	kernels fmt rust-analyzer clean distclean
