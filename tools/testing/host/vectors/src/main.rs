// SPDX-License-Identifier: GPL-2.0

//! Page tables that our library builds, and what our walkers make of them: for QEMU to disagree.
//!
//! Prints the document that `tools/testing/qtest/compare.py` reads. Each case is a table with pages of
//! every size at both ends of its addresses, and questions at all their borders; then the same table
//! with entries that a hostile or careless guest could have written.

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
