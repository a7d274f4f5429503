// SPDX-License-Identifier: GPL-2.0

//! A package needs a library or a program; what this one is for is in `benches`.

#![forbid(unsafe_code)]
