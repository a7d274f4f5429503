// SPDX-License-Identifier: GPL-2.0

//! Steps on a page table of any format, compared with the model.

#![no_main]

mod suite;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| suite::run(data, false));
