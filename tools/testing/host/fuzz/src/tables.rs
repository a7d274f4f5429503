// SPDX-License-Identifier: GPL-2.0

//! Tables that the library has written, walked as hardware does.

#![no_main]

mod suite;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| suite::run(data, true));
