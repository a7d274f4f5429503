// SPDX-License-Identifier: GPL-2.0

//! Ioctl structures of arbitrary bytes.

#![no_main]

use iommufd_pure::fuzz::commands;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    commands(data);
});
