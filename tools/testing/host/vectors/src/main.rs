// SPDX-License-Identifier: GPL-2.0

//! Page tables of our library, and the translations that the software walkers find in them, to be
//! compared with QEMU.
//!
//! Prints the document that `tools/testing/qtest/compare.py` reads. Each case is a table with pages
//! of every size at both ends of its addresses, and questions at all their boundaries; then the
//! same table with entries that a hostile or careless guest could have written.

#![forbid(unsafe_code)]

mod case;
mod image;
mod populate;
mod smmu;
mod vtd;

use serde_json::json;

fn main() {
    let cases: Vec<_> = vtd::cases().into_iter().chain(smmu::cases()).collect();

    println!("{}", json!({ "cases": cases }));
}
