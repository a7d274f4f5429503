// SPDX-License-Identifier: GPL-2.0

//! An empty library, which cargo requires; the benchmarks are in `benches`.

#![forbid(unsafe_code)]
