// SPDX-License-Identifier: GPL-2.0

//! Walks of hardware through tables that the library has written.

#![no_main]

mod suite;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| suite::run(data, true));
